package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const smallModel = "meta-llama/Meta-Llama-3.1-8B-Instruct"

// TestConsole is a newcomer's path, and an operator's: each page is driven as people drive it.
func TestConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs a browser")
	}
	s := startDev(t, t.TempDir(), "--sim-speed", "10")
	b := startBrowser(t)
	b.prefer("light")

	// A newcomer's path: one command, and a click on the link that it prints, on a model and on Send. What is streamed is an answer from cold.
	b.clicks++
	b.do(chromedp.Navigate(s.Console), chromedp.WaitVisible("#models table"))
	b.click(`//a[contains(., "Meta-Llama-3.1-8B-Instruct")]`)
	b.do(chromedp.WaitVisible("#send"))
	b.do(chromedp.Evaluate[chromedp.Void](`window.shift = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) if (!e.hadRecentInput) window.shift += e.value }).observe({type: "layout-shift", buffered: false});
		window.phases = []; setInterval(() => { const e = document.querySelector(".activation-now b"); if (e && !window.phases.includes(e.textContent)) window.phases.push(e.textContent) }, 10)`))
	b.click("#send")
	b.until(`document.querySelector(".activation-now b") !== null`)
	b.accessible("a model that starts")
	b.until(`document.querySelector(".said.assistant")?.textContent.length > 20`)
	b.until(`document.querySelector("[data-figure=cost]").textContent.startsWith("$")`)
	b.until(`document.querySelector("#now .state.hot") !== null`)
	if b.clicks > 3 {
		t.Errorf("it took %d clicks, want at most 3", b.clicks)
	}
	if speed := get(b, chromedp.Evaluate[float64](`(() => { const e = document.querySelector("[data-figure=speed]"); return e.scrollWidth - e.clientWidth + (e.textContent.includes("tokens/s") && e.clientHeight < 30 ? 0 : 1000) })()`)); speed > 0 {
		t.Errorf("the speed does not stand on one line: off by %v", speed)
	}
	if shift := get(b, chromedp.Evaluate[float64]("window.shift")); shift > 0.02 {
		t.Errorf("the layout has shifted by %v while the answer was streamed", shift)
	}
	if phases := get(b, chromedp.Evaluate[[]string]("window.phases")); len(phases) < 2 {
		t.Errorf("saw the phases %q, want some of an activation", phases)
	}
	b.check("a model that is hot")

	// What is copied is a program.
	b.wantCopiedPrograms(t, s.Token)

	// A token is made, shown once, and works.
	b.do(chromedp.Navigate(s.Admin+"/tokens"), chromedp.Click("summary"), chromedp.SetValue("#name", "from the console"), chromedp.SetValue("#rpm", "100"))
	b.check("tokens-form")
	b.do(chromedp.Click(`//button[text()="Create token"]`), chromedp.WaitVisible("#secret"))
	b.check("tokens-secret")
	made := strings.TrimSpace(get(b, chromedp.Text("#secret")))
	ours := s.Token
	s.Token = made
	s.mustChat(t, smallModel, true)
	s.Token = ours
	b.do(chromedp.Navigate(s.Admin+"/tokens"), chromedp.WaitVisible("tbody tr"))
	if strings.Contains(get(b, chromedp.Text("body")), made) {
		t.Error("the token's secret is shown again")
	}
	b.check("tokens")

	// What was used, as a file.
	b.do(chromedp.Navigate(s.Admin+"/usage"), chromedp.WaitVisible("figure.chart"))
	month := time.Now().UTC().Format("2006-01")
	if csv := b.download(`//a[text()="CSV"]`, "usage-"+month+".csv"); !strings.Contains(csv, smallModel) {
		t.Errorf("the file of what was used has %q, want the model", csv)
	}
	b.do(chromedp.Navigate(s.Admin+"/requests"), chromedp.Click(`//a[text()="receipt"]`), chromedp.WaitVisible(".line"))
	receipt := get(b, chromedp.Location())

	// What has happened of late, as charts.
	b.do(chromedp.Navigate(s.Admin+"/fleet"), chromedp.WaitVisible("#plots"))
	b.wantLivePlots("fleet")
	b.check("fleet with charts")

	// What operators change, after they have looked at what it would have done.
	b.do(chromedp.Navigate(s.Admin+"/pools"), chromedp.WaitVisible("#local-max_parked_per_gpu"))
	b.do(chromedp.SetValue("#local-max_parked_per_gpu", "2"), chromedp.Click(`//button[text()="What if?"]`), chromedp.WaitVisible(".said-list"))
	if text := get(b, chromedp.Text("main")); !strings.Contains(text, "simulated") || !strings.Contains(text, "instead of") && !strings.Contains(text, "as now") {
		t.Errorf("got %q, want what was simulated", text)
	}
	b.check("pools-whatif")
	b.do(chromedp.Navigate(s.Admin+"/pools"), chromedp.SetValue("#local-max_parked_per_gpu", "2"), chromedp.Click(`//button[text()="Change"]`), chromedp.WaitVisible(`button[name=confirm]`))
	b.check("pools-confirm")
	b.do(chromedp.Click(`button[name=confirm]`), chromedp.WaitVisible(".notice.good"))
	pools, err := s.admin(t).Pools(t.Context())
	if err != nil || len(pools) == 0 || pools[0].MaxParkedPerGPU != 2 {
		t.Errorf("got pools %+v and %v, want what was tuned", pools, err)
	}

	// A table is searched and sorted without JavaScript, too.
	b.script(false)
	b.do(chromedp.Navigate(s.Admin+"/models"), chromedp.SendKeys("#q", "405b"), chromedp.Submit("#q"), chromedp.WaitVisible(`#q[value="405b"]`), chromedp.WaitVisible("#models table"))
	if rows := get(b, chromedp.Text("#models tbody")); !strings.Contains(rows, "405B") || strings.Contains(rows, "8B-Instruct") {
		t.Errorf("without JavaScript a search for 405b gives %q", rows)
	}
	b.do(chromedp.Navigate(s.Admin+"/models"), chromedp.Click(`//th/a[text()="GPUs"]`), chromedp.WaitVisible(`//th[@aria-sort="ascending"]/a[text()="GPUs"]`))
	b.script(true)

	// The keyboard is enough: over the skip link to a model, and an answer.
	b.do(chromedp.Navigate(s.Admin+"/model/"+smallModel), chromedp.WaitVisible("#send"), chromedp.KeyEvent("\t"))
	if focus := get(b, chromedp.Evaluate[string]("document.activeElement.className")); focus != "skip" {
		t.Errorf("the first key goes to %q, want the link to the content", focus)
	}
	b.do(chromedp.KeyEvent("\r"))
	for tabs := 0; get(b, chromedp.Evaluate[string]("document.activeElement.id")) != "prompt"; tabs++ {
		if tabs > 5 {
			t.Fatal("the message cannot be reached by the keyboard")
		}
		b.do(chromedp.KeyEvent("\t"))
	}
	b.do(chromedp.KeyEvent(" And who lights it?"), chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("[data-figure=cost]").textContent.startsWith("$")`)
	b.quiet()

	// A caller sees what is the caller's.
	b.do(chromedp.Click(`//button[text()="Sign out"]`), chromedp.WaitVisible("#token"))
	public := strings.TrimSuffix(s.API, "/v1")
	b.do(chromedp.Navigate(public+"/console"), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", made), chromedp.Submit("#token"), chromedp.WaitVisible("#models table"))
	b.check("a caller's models")
	if strings.Contains(get(b, chromedp.Text("nav")), "Fleet") {
		t.Error("a caller is offered the operators' pages")
	}
	b.quiet()
	b.do(chromedp.Navigate(public+"/console/usage"), chromedp.WaitVisible(".problem"))
	b.check("a page without rights")
	b.do(chromedp.Navigate(public+"/console/fleet"), chromedp.WaitVisible(".problem"))

	// Another organisation is refused what is this one's.
	if _, err := s.admin(t).CreateOrg(t.Context(), admin.NewOrg{Name: "zoo"}); err != nil {
		t.Fatal(err)
	}
	theirs, err := s.admin(t).CreateToken(t.Context(), admin.NewToken{Org: "zoo", Scopes: tenant.Scopes()})
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(public+"/console"), chromedp.Click(`//button[text()="Sign out"]`), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", theirs.Secret), chromedp.Submit("#token"), chromedp.WaitVisible("#models table"))
	for path, want := range map[string]string{
		"/request/" + filepath.Base(receipt): "There is no such request",
		"/invoice/dev/" + month:              "There is nothing here",
	} {
		b.do(chromedp.Navigate(public+"/console"+path), chromedp.WaitVisible(".problem"))
		if got := get(b, chromedp.Text(".problem h1")); got != want {
			t.Errorf("%s of another organisation: got %q, want %q", path, got, want)
		}
	}
	b.do(chromedp.Navigate(public+"/console/usage?org=dev"), chromedp.WaitVisible(".tiles"))
	if got := get(b, chromedp.Text("main")); strings.Contains(got, smallModel) {
		t.Errorf("another organisation sees %q", got)
	}
}
