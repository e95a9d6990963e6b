package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// finding is one measured figure. What it is to reach is said by the goals of a scenario.
type finding struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// report is what one measurement came to.
type report struct {
	Scenario string            `json:"scenario"` // in words
	Machine  string            `json:"machine"`
	Load     string            `json:"load,omitempty"` // of the machine when the measurement began: averages of 1, 5 and 15 minutes
	Go       string            `json:"go"`
	Date     string            `json:"date,omitempty"`
	Revision string            `json:"revision,omitempty"` // of the checkout, with a + if files had changed since
	Versions map[string]string `json:"versions,omitempty"` // of the programs beside which it was measured
	Note     string            `json:"note,omitempty"`     // what else has to be known of the figures
	Findings []finding         `json:"findings"`
}

// write prints the report as a table and, where asked, as JSON.
func (r *report) write(o *options) error {
	r.Machine, r.Go = machine()
	r.Load, r.Date, r.Revision = o.load, time.Now().UTC().Format(time.DateOnly), revision()
	goals, err := o.goals()
	if err != nil {
		return err
	}
	fmt.Printf("%s (%s, %s, load %s)\n", r.Scenario, r.Machine, r.Go, r.Load)
	if r.Note != "" {
		fmt.Println("  " + r.Note)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		said := ""
		if g := goalOf(goals, f); g != nil {
			said = g.String() + ": " + g.verdict(f)
		}
		fmt.Printf("  %-64s %10.3f %-6s [%.3f - %.3f] n=%d  %s\n", f.Name, f.Median, unitText(f.Unit), f.Min, f.Max, f.N, said)
	}
	if o.Out == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(o.Out, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// goals are those of the step that runs, else of all steps that have this command.
func (o *options) goals() ([]goal, error) {
	if o.step != nil {
		return o.step.Goals, nil
	}
	all, err := readScenarios()
	var found []goal
	for _, s := range all {
		for i := range s.Steps {
			if s.Steps[i].Command[0] == o.command {
				found = append(found, s.Steps[i].Goals...)
			}
		}
	}
	return found, err
}

// readReport reads a report that write has written.
func readReport(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a report: %w", err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("reading the report %s: %w", path, err)
	}
	return &r, nil
}

// made says by what, when and on what a report was made.
func (r *report) made() string {
	said := []string{r.Machine, r.Go}
	for _, part := range [][2]string{{"", r.Date}, {"revision ", r.Revision}, {"load at the start ", r.Load}} {
		if part[1] != "" {
			said = append(said, part[0]+part[1])
		}
	}
	return strings.Join(said, "; ")
}

// beside lists the programs beside which it was measured, with their versions.
func (r *report) beside() string {
	var said []string
	for name, version := range r.Versions {
		said = append(said, strings.TrimSpace(name+" "+version))
	}
	slices.Sort(said)
	return strings.Join(said, ", ")
}

// revision is that of the checkout in the working directory; "" = it is none. Reports that were made just before change nothing of what is measured.
func revision() string {
	head, err := exec.CommandContext(context.Background(), "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return ""
	}
	changed, err := exec.CommandContext(context.Background(), "git", "status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)benchmarks/README.md", ":(top,exclude)benchmarks/results").Output()
	if err == nil && len(changed) > 0 {
		return strings.TrimSpace(string(head)) + "+"
	}
	return strings.TrimSpace(string(head))
}

// loadAverage is that of the machine (Linux); "" = it does not say.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
