package main

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsimple"
)

//go:embed scenarios/*.hcl
var scenarioFiles embed.FS

// scenario is one question that a sceptic asks, and the measurements that answer it: a file of scenarios/.
type scenario struct {
	Name     string   // of the file
	Question string   `hcl:"question"`
	NotShown []string `hcl:"does_not_show"`
	Needs    []string `hcl:"needs,optional"` // beyond Go: what to install
	Peers    []string `hcl:"peers,optional"` // that run beside Pilotlight in the same run, where they are installed
	Notes    []string `hcl:"notes,optional"` // how to read the figures; why a goal is missed
	Steps    []step   `hcl:"step,block"`
}

// step is one measurement. Its label names its report: results/LABEL.json.
type step struct {
	Name    string   `hcl:"name,label"`
	About   string   `hcl:"about"`
	Command []string `hcl:"command"` // of this program: go run ./benchmarks COMMAND
	Goals   []goal   `hcl:"goal,block"`
}

// goal says what figures are to reach.
type goal struct {
	Figure  string   `hcl:"figure,label"`  // the figures' name, in which * stands for anything
	Unit    string   `hcl:"unit,optional"` // "" = any
	AtMost  *float64 `hcl:"at_most,optional"`
	AtLeast *float64 `hcl:"at_least,optional"`
}

// readScenarios gives all, by their names.
func readScenarios() ([]*scenario, error) {
	files, err := fs.Glob(scenarioFiles, "scenarios/*.hcl")
	if err != nil {
		return nil, err
	}
	var all []*scenario
	for _, file := range files {
		text, err := scenarioFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := parseScenario(file, text)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func parseScenario(file string, text []byte) (*scenario, error) {
	var s scenario
	if err := hclsimple.Decode(file, text, nil, &s); err != nil {
		return nil, err
	}
	s.Name = strings.TrimSuffix(path.Base(file), ".hcl")
	if len(s.Steps) == 0 {
		return nil, fmt.Errorf("%s: no step; a scenario measures something", file)
	}
	for _, p := range s.Steps {
		if len(p.Command) == 0 {
			return nil, fmt.Errorf("%s: step %q has no command; write such as [\"json\"]", file, p.Name)
		}
		for _, g := range p.Goals {
			if (g.AtMost == nil) == (g.AtLeast == nil) {
				return nil, fmt.Errorf("%s: goal %q of step %q; write either at_most or at_least", file, g.Figure, p.Name)
			}
		}
	}
	return &s, nil
}

func findScenario(name string) (*scenario, error) {
	all, err := readScenarios()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, s := range all {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(names, ", "))
}

// goalOf finds the goal of a figure; nil = it has none.
func goalOf(goals []goal, f *finding) *goal {
	i := slices.IndexFunc(goals, func(g goal) bool { return g.about(f) })
	if i < 0 {
		return nil
	}
	return &goals[i]
}

func (g *goal) about(f *finding) bool {
	if g.Unit != "" && g.Unit != f.Unit {
		return false
	}
	parts := strings.Split(g.Figure, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(f.Name)
}

func (g *goal) String() string {
	if g.AtMost != nil {
		return "at most " + number(*g.AtMost)
	}
	return "at least " + number(*g.AtLeast)
}

func (g *goal) met(f *finding) bool {
	if g.AtMost != nil {
		return f.Median <= *g.AtMost
	}
	return f.Median >= *g.AtLeast
}

// verdict says whether a figure's median reaches the goal, and how far it is from it.
func (g *goal) verdict(f *finding) string {
	if g.met(f) {
		return "met"
	}
	wanted := g.AtLeast
	if g.AtMost != nil {
		wanted = g.AtMost
	}
	if *wanted == 0 {
		return "missed"
	}
	off := 100 * (f.Median/(*wanted) - 1)
	return fmt.Sprintf("missed by %+.0f %%", off)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
