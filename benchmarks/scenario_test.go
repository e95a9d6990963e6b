package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestScenarios_AgreeWithReportsAndREADME holds the scenarios' files, the committed reports and what is written of them to each other.
func TestScenarios_AgreeWithReportsAndREADME(t *testing.T) {
	all, err := readScenarios()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"profile.md": true, "crash.json": true, "console-page.json": true, "json-against.json": true, "faults.json": true, "faults-mutants.json": true, "chaos.json": true, "failover.json": true} // told of in the README, with their commands
	for _, s := range all {
		checkPage(t, s)
		known[s.Name+".md"] = true
		if s.Question == "" || len(s.NotShown) == 0 {
			t.Errorf("%s: got question %q, and %d things that it does not show; want both", s.Name, s.Question, len(s.NotShown))
		}
		for i := range s.Steps {
			p := &s.Steps[i]
			if known[p.Name+".json"] {
				t.Errorf("%s: two steps are called %s", s.Name, p.Name)
			}
			known[p.Name+".json"] = true
			checkStep(t, s, p)
		}
	}
	for _, pattern := range []string{"results/*.json", "results/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !known[filepath.Base(file)] {
				t.Errorf("%s belongs to no scenario", file)
			}
		}
	}
}

// checkPage sees that a scenario's page says what its file says, and that the README leads to it. What stands there of the figures is not looked at, so that a
// report can be made anew without its page.
func checkPage(t *testing.T, s *scenario) {
	t.Helper()
	want, _, _, err := s.page("")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("results", s.Name+".md"))
	if err != nil {
		t.Fatalf("%v; run: go run ./benchmarks pages", err)
	}
	rest := string(page)
	for line := range strings.Lines(string(want)) {
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Errorf("results/%s.md does not say, or not in its place, %q; run: go run ./benchmarks pages", s.Name, line)
			return
		}
		rest = after
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := fmt.Sprintf("| [%s](results/%[1]s.md) | %s |", s.Name, s.Question); !strings.Contains(string(readme), row) {
		t.Errorf("README.md has no row %q; run: go run ./benchmarks pages", row)
	}
}

// checkStep sees that a step's command is one of this program, and that its report is there and says of itself what a reader has to know.
func checkStep(t *testing.T, s *scenario, p *step) {
	t.Helper()
	parser, err := newParser(t.Context(), &cli{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(p.Command); err != nil {
		t.Errorf("%s: %s: %v", s.Name, p.Name, err)
	}
	r, err := readReport(filepath.Join("results", p.Name+".json"))
	if err != nil {
		t.Errorf("%s: %v", s.Name, err)
		return
	}
	if r.Machine == "" || r.Go == "" || len(r.Findings) == 0 {
		t.Errorf("%s: %s.json: got machine %q, Go %q and %d figures; want them all", s.Name, p.Name, r.Machine, r.Go, len(r.Findings))
	}
}

func TestParseScenario_SaysWhatIsWrong(t *testing.T) {
	const head = "question = \"q\"\ndoes_not_show = [\"n\"]\n"
	for _, tt := range []struct{ text, want string }{
		{head, "no step"},
		{"question = \"q\"\n", "does_not_show"},
		{head + "step \"a\" {\n  about = \"b\"\n  command = []\n}\n", "no command"},
		{head + "step \"a\" {\n  about = \"b\"\n  command = [\"json\"]\n  goal \"f\" {}\n}\n", "at_most or at_least"},
		{head + "step \"a\" {\n  about = \"b\"\n  command = [\"json\"]\n  goal \"f\" {\n    at_most = 1\n    at_least = 1\n  }\n}\n", "at_most or at_least"},
	} {
		if _, err := parseScenario("x.hcl", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want an error about %q", tt.text, err, tt.want)
		}
	}
	if _, err := findScenario("nonsense"); err == nil || !strings.Contains(err.Error(), "router-overhead") {
		t.Errorf("got %v, want the scenarios that there are", err)
	}
}

func TestGoal_JudgesTheMedianOfTheFiguresThatItNames(t *testing.T) {
	two, half := 2.0, 0.5
	goals := []goal{{Figure: "a / b, c=*", Unit: "x", AtMost: &two}, {Figure: "rate", AtLeast: &half}}
	for _, tt := range []struct {
		f    finding
		want string
	}{
		{finding{Name: "a / b, c=16", Unit: "x", Median: 2}, "met"},
		{finding{Name: "a / b, c=128", Unit: "x", Median: 3}, "missed by +50 %"},
		{finding{Name: "a / b, c=128", Unit: "us", Median: 3}, ""},
		{finding{Name: "rate", Unit: "x", Median: 0.25}, "missed by -50 %"},
		{finding{Name: "rates", Unit: "x", Median: 0.25}, ""},
	} {
		got := ""
		if g := goalOf(goals, &tt.f); g != nil {
			got = g.verdict(&tt.f)
		}
		if got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.f, got, tt.want)
		}
	}
}

func TestRun_MeasuresWhatAScenarioSays(t *testing.T) {
	c := runCmd{Name: "nonsense"}
	if err := c.Run(t.Context(), &options{}); err == nil {
		t.Error("got no error for a scenario that there is not")
	}
	for _, p := range peerPrograms {
		if p.name != "nginx" && p.name != "net/http" && (p.install == "" || p.args == nil) {
			t.Errorf("%s: got no way to install or start it", p.name)
		}
	}
	if got := shellWords([]string{"json", "--only", "a b", "it's"}); got != `json --only 'a b' 'it'\''s'` {
		t.Errorf("got %s", got)
	}
	if !slices.Equal([]string{digits(33.24), digits(1490.4), digits(0)}, []string{"33.2", "1490", "0"}) {
		t.Errorf("got %s, %s and %s", digits(33.24), digits(1490.4), digits(0))
	}
}
