package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// view is a page of the console with what there is to see once it is there.
type view struct{ name, path, there string }

// operatorViews are the pages of an operator. {model} is a model's path.
var operatorViews = []view{
	{"models", "/models", "#models"},
	{"model", "{model}", "#why"},
	{"tokens", "/tokens", "#found"},
	{"usage", "/usage", ".tiles"},
	{"requests", "/requests", "main h1"},
	{"invoices", "/invoices", "#found"},
	{"queue", "/queue", "#queue"},
	{"fleet", "/fleet", "#servers tr"},
	{"decisions", "/decisions", "#found"},
	{"activations", "/activations", "#activations"},
	{"pools", "/pools", "main h1"},
	{"audit", "/audit", "main h1"},
}

// visit goes to a page and waits until it is there.
func (b *browser) visit(s *devServer, v view, model string) {
	b.t.Helper()
	path := strings.Replace(v.path, "{model}", "/model/"+model, 1)
	b.do(chromedp.Navigate(s.Admin+path), chromedp.WaitVisible(v.there))
}

// narrow fails the test where the page is wider than a screen of 360 px.
func (b *browser) narrow(name string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(360, 800))
	b.until("innerWidth === 360")
	if wide := get(b, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > 360 {
		widest := get(b, chromedp.Evaluate[string](`[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > 361 && !e.closest(".scroll, pre, .chart")).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).join("\n")`))
		b.t.Errorf("%s is %d px wide on a screen of 360:\n%s", name, wide, widest)
	}
	b.do(chromedp.EmulateViewport(1280, 900))
	b.until("innerWidth === 1280")
}

// picture takes pictures of the page for docs/console, where PILOTLIGHT_SCREENSHOTS names a folder: two widths, light and dark.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("PILOTLIGHT_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, width := range []int64{1280, 390} {
		b.do(chromedp.EmulateViewport(width, 900))
		b.until(fmt.Sprintf("innerWidth === %d", width))
		scale, tallest := 0.75, 1100.0
		if width < 1000 {
			scale, tallest = 1, 1500
		}
		for _, scheme := range []string{"light", "dark"} {
			b.prefer(scheme)
			b.do(chromedp.Sleep(300 * time.Millisecond)) // for the layout; only pictures depend on it
			tall := min(get(b, chromedp.Evaluate[float64]("Math.max(document.documentElement.scrollHeight, 400)")), tallest)
			b.do(chromedp.EmulateViewport(width, int64(tall)))
			b.do(chromedp.Sleep(100 * time.Millisecond))
			quality := int64(45)
			shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
				Format: "webp", Quality: &quality, Clip: &page.Viewport{Width: float64(width), Height: tall, Scale: scale},
			})
			if err != nil {
				b.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.webp", name, width, scheme)), shot.Data, 0o600); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.do(chromedp.EmulateViewport(1280, 900))
	b.until("innerWidth === 1280")
}

// thousand is a config of a thousand models.
func thousand(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("backend \"local\" {\n  gpus = 64\n}\n")
	for k := range 1000 {
		fmt.Fprintf(&text, "model \"%s/model-%03d-instruct\" {\n  gpus = %d\n  context_length = %d\n  max_concurrency = 8\n  engine \"sim\" {}\n}\n",
			[]string{"acme", "zoo", "university", "some-organisation-with-a-long-name"}[k%4], k, 1<<(k%4), 4096<<(k%5))
	}
	file := filepath.Join(t.TempDir(), "thousand.hcl")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestConsole_EveryPage looks at every page with no data, with dev's, and with a thousand models: none has a serious fault of accessibility, is wider than
// a phone, or makes the browser complain. With PILOTLIGHT_SCREENSHOTS=DIR it takes the pictures that docs/console shows.
func TestConsole_EveryPage(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs a browser")
	}
	b := startBrowser(t)
	t.Run("empty", func(t *testing.T) {
		s := startDev(t, t.TempDir())
		b.do(chromedp.Navigate(s.Console), chromedp.WaitVisible("#models table"))
		for _, v := range operatorViews {
			b.visit(s, v, smallModel)
			b.check("empty-" + v.name)
		}
		b.do(chromedp.Navigate(s.Admin+"/kit"), chromedp.WaitVisible("#kit-slot"))
		b.check("kit")
		b.do(chromedp.Click(`//button[text()="Sign out"]`), chromedp.WaitVisible("#token"))
		b.check("signin")
		b.quiet()
	})
	t.Run("dev", func(t *testing.T) {
		s := startDev(t, t.TempDir(), "--sim-speed", "5")
		for range 3 {
			s.mustChat(t, smallModel, true)
		}
		b.do(chromedp.Navigate(s.Console), chromedp.WaitVisible("#models table"))
		for _, v := range operatorViews {
			if v.name == "queue" {
				s.crowd(t)
			}
			b.visit(s, v, smallModel)
			b.check("dev-" + v.name)
		}
		b.do(chromedp.Navigate(s.Admin+"/requests"), chromedp.Click(`//a[text()="receipt"]`), chromedp.WaitVisible(".line"))
		b.check("dev-request")
		b.do(chromedp.Navigate(s.Admin+"/invoice/dev/"+time.Now().UTC().Format("2006-01")), chromedp.WaitVisible("main h1"))
		b.check("dev-invoice")
		b.quiet()
	})
	t.Run("thousand", func(t *testing.T) {
		s := startDev(t, t.TempDir(), "--config", thousand(t), "--sim-speed", "20")
		for k := range 12 {
			s.start(t, fmt.Sprintf("%s/model-%03d-instruct", []string{"acme", "zoo", "university", "some-organisation-with-a-long-name"}[k%4], k))
		}
		b.do(chromedp.Navigate(s.Console), chromedp.WaitVisible("#models table"))
		for _, v := range operatorViews {
			b.visit(s, v, "zoo/model-001-instruct")
			b.check("thousand-" + v.name)
		}
		b.quiet()
	})
	b.wantAllChecked()
}

// wantAllChecked fails the test where a page leads to one of a kind that was not looked at.
func (b *browser) wantAllChecked() {
	b.t.Helper()
	if len(b.checked) < len(operatorViews) {
		b.t.Errorf("looked at %d kinds of pages, want %d at least", len(b.checked), len(operatorViews))
	}
	for kind := range b.linked {
		if !b.checked[kind] {
			b.t.Errorf("pages lead to /%s, at which nobody has looked", kind)
		}
	}
}

// note keeps of which kind the page is, and to which kinds it leads: what comes first in their paths.
func (b *browser) note() {
	b.t.Helper()
	kindOf := func(path string) string {
		kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		return kind
	}
	b.checked[kindOf(get(b, chromedp.Evaluate[string]("location.pathname")))] = true
	for _, path := range get(b, chromedp.Evaluate[[]string](`[...new Set([...document.links].filter((a) => a.origin === location.origin && !a.hasAttribute("download") && !a.pathname.endsWith(".csv")).map((a) => a.pathname))]`)) {
		if kind := kindOf(path); kind != "" { // "/" is the list of models
			b.linked[kind] = true
		}
	}
}

// check holds a page against the rules of accessibility in both colours, and on a phone, and takes its pictures.
func (b *browser) check(name string) {
	b.t.Helper()
	b.note()
	for _, scheme := range []string{"dark", "light"} {
		b.prefer(scheme)
		b.accessible(name + ", " + scheme)
	}
	b.narrow(name)
	b.picture(name)
}

// crowd has a model started that needs all GPUs, and others waited for behind it.
func (s *devServer) crowd(t *testing.T) {
	t.Helper()
	s.start(t, "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8")
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	for range 3 {
		asking.Go(func() { _, _ = s.chat(ctx, "meta-llama/Meta-Llama-3-8B-Instruct", true) }) // nobody is served before the test ends
	}
	t.Cleanup(func() {
		cancel()
		asking.Wait()
	})
	for waiting := 0; waiting < 3; {
		models, err := s.admin(t).Models(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting = 0
		for _, m := range models {
			waiting += m.Waiting
		}
	}
}

// start has a model started for ten minutes.
func (s *devServer) start(t *testing.T, model string) {
	t.Helper()
	if _, err := s.admin(t).StartModel(t.Context(), model, 10*time.Minute); err != nil {
		t.Logf("starting %s: %v", model, err)
	}
}
