package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium with one page. What it complains of fails the test.
type browser struct {
	t   *testing.T
	ctx context.Context
	axe string // axe-core, which finds faults of accessibility; "" = it is not there

	clicks int // of a person, so far

	linked, checked map[string]bool // kinds of pages that pages lead to, and that check has looked at

	mu       sync.Mutex // guards troubles
	troubles []string
}

type step = chromedp.Action[chromedp.Void]

// stepLimit is for a browser that hangs: axe-core alone takes a minute for a page of a thousand models on a machine that has much else to do.
const stepLimit = 5 * time.Minute

func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		required(t, "chromium is missing; on Debian: apt-get install chromium")
	}
	axe := readAxe(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser's end
		cancel()
	})
	b := &browser{t: t, ctx: ctx, axe: axe, linked: map[string]bool{}, checked: map[string]bool{}}
	b.do(chromedp.EmulateViewport(1280, 900))
	var reading sync.WaitGroup
	console := chromedp.Console(ctx)
	reading.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				b.mu.Lock()
				b.troubles = append(b.troubles, m.String())
				b.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return b
}

// readAxe gives the script of axe-core, where the stock clients are installed.
func readAxe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), "node/node_modules/axe-core/axe.min.js"))
	if err != nil && os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
		t.Fatalf("axe-core is missing (%v); run cmd/pilotlight/testdata/clients/install DIR and set PILOTLIGHT_CLIENTS=DIR", err)
	}
	return string(script)
}

// quiet fails the test for what the browser has complained of so far.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		b.t.Error("in the browser: " + trouble)
	}
	b.troubles = nil
}

// do does one step after the other, each within stepLimit.
func (b *browser) do(steps ...step) {
	b.t.Helper()
	for _, s := range steps {
		_ = get(b, s)
	}
}

// get is do for one step that gives something.
func get[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (T, error) {
		ctx, cancel := context.WithTimeout(ctx, stepLimit)
		defer cancel()
		return a(ctx, t)
	})
	if err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%v; at %s, which says:\n%.2000s", err, where, text)
	}
	return value
}

// until waits until a JavaScript expression holds.
func (b *browser) until(expression string) {
	b.t.Helper()
	b.do(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond)))
}

// prefer has the browser ask for light or dark pages.
func (b *browser) prefer(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// accessible fails the test for serious faults that axe-core finds in the page.
func (b *browser) accessible(name string) {
	b.t.Helper()
	if b.axe == "" {
		return
	}
	found := get(b, chromedp.Evaluate[[]string](b.axe+`;
		axe.run({resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html + " " + n.failureSummary)))`,
		chromedp.EvalAwaitPromise))
	for _, fault := range found {
		b.t.Errorf("%s is not accessible: %s", name, fault)
	}
}

// click is do for one click, which is counted.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.clicks++
	b.do(chromedp.Click(selector))
}

// clipboard gives what was copied last.
func (b *browser) clipboard() string {
	b.t.Helper()
	for _, right := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
			Permission: &cdpbrowser.PermissionDescriptor{Name: right}, Setting: cdpbrowser.PermissionSettingGranted,
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return get(b, chromedp.Evaluate[string]("navigator.clipboard.readText()", chromedp.EvalAwaitPromise))
}

// download clicks on something, and gives the file that the browser keeps.
func (b *browser) download(selector, name string) string {
	b.t.Helper()
	dir := b.t.TempDir()
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Click(selector))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil && len(text) > 0 {
			return string(text)
		}
	}
	b.t.Fatalf("no file %s was downloaded", name)
	return ""
}

// script switches JavaScript on or off.
func (b *browser) script(on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}
