package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// copiedPrograms are the programs of a model's page, by the name of their tab, and what runs them.
var copiedPrograms = []struct {
	name string
	run  func(t *testing.T, text, token string)
}{
	{"Python", func(t *testing.T, text, token string) { runSnippet(t, "python", text, token) }},
	{"JavaScript", func(t *testing.T, text, token string) { runSnippet(t, "js", text, token) }},
	{"curl", runCurl},
	{"Go", func(t *testing.T, text, token string) { runSnippet(t, "go", text, token) }},
}

// wantCopiedPrograms copies each program of a model's page by its button, and runs it as it was copied.
func (b *browser) wantCopiedPrograms(t *testing.T, token string) {
	t.Helper()
	_ = b.clipboard() // asks for the right first
	if tabs := get(b, chromedp.Evaluate[int](`document.querySelectorAll(".tab .copy").length`)); tabs != len(copiedPrograms) {
		t.Errorf("the page has %d programs, want %d", tabs, len(copiedPrograms))
	}
	before := ""
	for i, p := range copiedPrograms {
		button := fmt.Sprintf(`.tab[data-tab="%d"] .copy`, i)
		b.do(chromedp.Click(fmt.Sprintf(`//div[@class="tabs"]/label[text()=%q]`, p.name)), chromedp.Click(button))
		b.until(fmt.Sprintf(`document.querySelector('%s').textContent === "Copied"`, button))
		text := b.clipboard()
		if text == before {
			t.Errorf("%s: copying changed nothing: got %q again", p.name, text)
		}
		before = text
		t.Run(p.name, func(t *testing.T) { p.run(t, text, "PILOTLIGHT_TOKEN="+token) })
	}
}

// runCurl runs a line for a shell, which must stream a whole answer.
func runCurl(t *testing.T, text, token string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(text, "curl", "curl -sS", 1))
	command.Env = append(os.Environ(), token)
	if out, err := command.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
		t.Errorf("got %v and %q, want a whole stream\n%s", err, out, text)
	}
}
