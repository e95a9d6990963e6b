package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium with one page. What it complains of fails the test.
type browser struct {
	t   *testing.T
	ctx context.Context
	axe string // axe-core, which finds faults of accessibility; "" = it is not there

	mu       sync.Mutex // guards troubles
	troubles []string
}

type step = chromedp.Action[chromedp.Void]

func startBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		required(t, "chromium is missing; on Debian: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser's end
		cancel()
	})
	b := &browser{t: t, ctx: ctx}
	b.axe = readAxe(t)
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

// do does one step after the other, each within a minute.
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
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return a(ctx, t)
	})
	if err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%v; at %s, which says:\n%s", err, where, text)
	}
	return value
}

// until waits until a JavaScript expression holds.
func (b *browser) until(expression string) {
	b.t.Helper()
	b.do(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond)))
}

// look holds a page against the rules of accessibility, in both colours, and takes pictures of it where somebody wants to see them.
func (b *browser) look(name string) {
	b.t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		b.prefer(scheme)
		b.accessible(name + ", " + scheme)
	}
	b.do(chromedp.EmulateViewport(360, 800))
	b.until("innerWidth === 360")
	if wide := get(b, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > 360 {
		b.t.Errorf("%s is %d px wide on a screen of 360", name, wide)
	}
	b.do(chromedp.EmulateViewport(1280, 900))
	b.until("innerWidth === 1280")
	b.shoot(name)
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

// shoot takes pictures of the page.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("PILOTLIGHT_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(chromedp.EmulateViewport(width, 900))
			b.prefer(scheme)
			b.do(chromedp.Sleep(200 * time.Millisecond)) // for the new layout; only pictures depend on it
			picture := get(b, chromedp.FullScreenshot(100))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o600); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.do(chromedp.EmulateViewport(1280, 900))
}

// wantLivePlots has the charts of the page draw what has happened, and a drag on one set the time of all; a double click goes back.
func (b *browser) wantLivePlots(page string) {
	b.t.Helper()
	b.until("window.livePlots?.shown().every((p) => p.points > 2)")
	drag := `(() => {
		const over = document.querySelectorAll(".u-over")[1], box = over.getBoundingClientRect();
		const at = (kind, part, target) => target.dispatchEvent(new MouseEvent(kind, {bubbles: true, clientX: box.left + box.width * part, clientY: box.top + 40, button: 0, movementX: 9}));
		at("mouseenter", 0.25, over); at("mousedown", 0.25, over); at("mousemove", 0.5, over); at("mousemove", 0.75, over); at("mouseup", 0.75, document);
	})()`
	before := get(b, chromedp.Evaluate[[]window]("window.livePlots.shown()"))
	b.do(chromedp.Evaluate[chromedp.Void](drag))
	b.until(fmt.Sprintf("window.livePlots.shown().every((p) => p.max - p.min < %v)", 0.7*(before[0].Max-before[0].Min)))
	after := get(b, chromedp.Evaluate[[]window]("window.livePlots.shown()"))
	for _, w := range after {
		if w.Min != after[1].Min || w.Max != after[1].Max || w.Max-w.Min < 0.3*(before[0].Max-before[0].Min) {
			b.t.Errorf("%s: after a drag on one the charts show %+v, want half of the time, the same on all", page, after)
		}
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll(".u-over")[2].dispatchEvent(new MouseEvent("dblclick", {bubbles: true}))`))
	b.until(fmt.Sprintf("window.livePlots.shown().every((p) => p.max - p.min >= %v)", before[0].Max-before[0].Min))
	b.do(chromedp.Click(`#spans button[data-span="300"]`))
	b.until("window.livePlots.shown().every((p) => p.max - p.min === 300)")
}

// window is the time that a chart shows, in seconds.
type window struct {
	Min, Max float64
	Points   int
}

const smallModel = "meta-llama/Meta-Llama-3.1-8B-Instruct"

// TestConsole is a newcomer's path, and an operator's: each page is driven as people drive it.
func TestConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs a browser")
	}
	s := startDev(t, t.TempDir(), "--sim-speed", "10")
	b := startBrowser(t)

	// One command, one link, two clicks: a streamed answer, from cold.
	b.do(chromedp.Navigate(s.Console), chromedp.WaitVisible("#models table"))
	b.look("models-cold")
	b.do(chromedp.Click(`//a[contains(., "Meta-Llama-3.1-8B-Instruct")]`), chromedp.WaitVisible("#send"))
	b.look("model-cold")
	b.do(chromedp.Evaluate[chromedp.Void](`window.shift = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) if (!e.hadRecentInput) window.shift += e.value }).observe({type: "layout-shift", buffered: false});
		window.phases = []; setInterval(() => { const e = document.querySelector(".activation-now b"); if (e && !window.phases.includes(e.textContent)) window.phases.push(e.textContent) }, 10)`))
	b.do(chromedp.Click("#send"))
	b.until(`document.querySelector(".activation-now b") !== null`)
	b.look("model-starting")
	b.until(`document.querySelector(".said.assistant")?.textContent.length > 20`)
	b.until(`document.querySelector("[data-figure=cost]").textContent.startsWith("$")`)
	b.until(`document.querySelector("#now .state.hot") !== null`)
	if shift := get(b, chromedp.Evaluate[float64]("window.shift")); shift > 0.02 {
		t.Errorf("the layout has shifted by %v while the answer was streamed", shift)
	}
	if phases := get(b, chromedp.Evaluate[[]string]("window.phases")); len(phases) < 2 {
		t.Errorf("saw the phases %q, want some of an activation", phases)
	}
	b.look("model-hot")

	// A snippet is a program.
	b.do(chromedp.Click(`//label[text()="curl"]`))
	snippet := get(b, chromedp.Text(`.tab[data-tab="2"] pre`))
	command := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(snippet, "curl", "curl -sS", 1))
	command.Env = append(os.Environ(), "PILOTLIGHT_TOKEN="+s.Token)
	if out, err := command.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
		t.Errorf("the snippet of the page gave %v and %q", err, out)
	}

	// A token is made, shown once, and works.
	b.do(chromedp.Navigate(s.Admin+"/tokens"), chromedp.Click("summary"), chromedp.SetValue("#name", "from the console"), chromedp.SetValue("#rpm", "100"))
	b.look("tokens-form")
	b.do(chromedp.Click(`//button[text()="Create token"]`), chromedp.WaitVisible("#secret"))
	b.look("tokens-secret")
	made := strings.TrimSpace(get(b, chromedp.Text("#secret")))
	ours := s.Token
	s.Token = made
	s.mustChat(t, smallModel, true)
	s.Token = ours
	b.do(chromedp.Navigate(s.Admin+"/tokens"), chromedp.WaitVisible("tbody tr"))
	if strings.Contains(get(b, chromedp.Text("body")), made) {
		t.Error("the token's secret is shown again")
	}
	b.look("tokens")

	// What was used, as sums, as requests and as one receipt.
	b.do(chromedp.Navigate(s.Admin+"/usage"), chromedp.WaitVisible("figure.chart"))
	b.look("usage")
	b.do(chromedp.Navigate(s.Admin+"/requests"), chromedp.WaitVisible("tbody tr"))
	b.look("requests")
	b.do(chromedp.Click(`//a[text()="receipt"]`), chromedp.WaitVisible(".line"))
	b.look("request")

	// What operators see, and change.
	b.do(chromedp.Navigate(s.Admin+"/fleet"), chromedp.WaitVisible(".gpu"))
	b.wantLivePlots("fleet")
	b.look("fleet")
	b.do(chromedp.Navigate(s.Admin+"/queue"), chromedp.WaitVisible("#queue"))
	b.look("queue")
	b.do(chromedp.Navigate(s.Admin+"/invoices"), chromedp.WaitVisible("main h1"))
	b.look("invoices")
	b.do(chromedp.Navigate(s.Admin+"/activations"), chromedp.WaitVisible(".activation"))
	b.look("activations")
	b.do(chromedp.Navigate(s.Admin+"/pools"), chromedp.WaitVisible("#local-max_parked_per_gpu"))
	b.look("pools")
	b.do(chromedp.SetValue("#local-max_parked_per_gpu", "2"), chromedp.Click(`//button[text()="What if?"]`), chromedp.WaitVisible(".said-list"))
	if text := get(b, chromedp.Text("main")); !strings.Contains(text, "simulated") || !strings.Contains(text, "instead of") && !strings.Contains(text, "as now") {
		t.Errorf("got %q, want what was simulated", text)
	}
	b.look("pools-whatif")
	b.do(chromedp.Navigate(s.Admin+"/pools"), chromedp.SetValue("#local-max_parked_per_gpu", "2"), chromedp.Click(`//button[text()="Change"]`), chromedp.WaitVisible(`button[name=confirm]`))
	b.look("pools-confirm")
	b.do(chromedp.Click(`button[name=confirm]`), chromedp.WaitVisible(".notice.good"))
	pools, err := s.admin(t).Pools(t.Context())
	if err != nil || len(pools) == 0 || pools[0].MaxParkedPerGPU != 2 {
		t.Errorf("got pools %+v and %v, want what was tuned", pools, err)
	}
	b.do(chromedp.Navigate(s.Admin+"/kit"), chromedp.WaitVisible(".tiles"))
	b.look("kit")

	// A caller sees what is the caller's.
	b.do(chromedp.Click(`//button[text()="Sign out"]`), chromedp.WaitVisible("#token"))
	b.look("signin")
	public := strings.TrimSuffix(s.API, "/v1")
	b.do(chromedp.Navigate(public+"/console"), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", made), chromedp.Submit("#token"), chromedp.WaitVisible("#models table"))
	b.look("caller-models")
	if strings.Contains(get(b, chromedp.Text("nav")), "Fleet") {
		t.Error("a caller is offered the operators' pages")
	}
	b.quiet()
	b.do(chromedp.Navigate(public+"/console/usage"), chromedp.WaitVisible(".problem"))
	b.look("no-rights")
	b.do(chromedp.Navigate(public+"/console/fleet"), chromedp.WaitVisible(".problem"))
}
