package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// runCmd measures what a scenario's file says.
type runCmd struct {
	Name string   `arg:"" help:"A scenario: a file of benchmarks/scenarios, without .hcl."`
	Step []string `placeholder:"NAME" help:"Only these of its steps."`
	Save bool     `help:"Also keep the reports in benchmarks/results, and make the pages of them anew."`
}

// Run runs the scenario's steps, one after the other. A step that cannot be measured here is left out, and said so at the end.
func (c *runCmd) Run(ctx context.Context, o *options) error {
	s, err := findScenario(c.Name)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", s.Name, s.Question)
	var failed []error
	for i := range s.Steps {
		p := &s.Steps[i]
		if len(c.Step) > 0 && !slices.Contains(c.Step, p.Name) {
			continue
		}
		fmt.Printf("\n%s: go run ./benchmarks %s\n", p.Name, strings.Join(p.Command, " "))
		if err := c.measure(ctx, o, p); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.Name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Println("\nIt does not show:")
	for _, not := range s.NotShown {
		fmt.Println("  - " + not)
	}
	if c.Save {
		failed = append(failed, writePages())
	}
	return errors.Join(failed...)
}

// measure runs one step as if its command had been given, with the options of this one. What the step says itself wins.
func (c *runCmd) measure(ctx context.Context, o *options, p *step) error {
	args := []string{fmt.Sprint("--pairs=", o.Pairs), fmt.Sprint("--window=", o.Window)}
	for flag, value := range map[string]string{"--binary=": o.Binary, "--against=": o.Against} {
		if value != "" {
			args = append(args, flag+value)
		}
	}
	args = append(args, p.Command...)
	if c.Save {
		args = append(args, "--out="+filepath.Join(home(), "results", p.Name+".json"))
	}
	var measured cli
	parser, err := newParser(ctx, &measured)
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("reading the step's command: %w", err)
	}
	measured.step, measured.load = p, loadAverage()
	return k.Run(&measured.options)
}

func newParser(ctx context.Context, c *cli) (*kong.Kong, error) {
	return kong.New(c, kong.Name("benchmarks"), kong.BindTo(ctx, (*context.Context)(nil)), kong.UsageOnError())
}

// home is this program's own folder, seen from the working directory: that, or the module's.
func home() string {
	if _, err := os.Stat("benchmarks/scenarios"); err == nil {
		return "benchmarks"
	}
	return "."
}

// scenariosCmd lists what can be run.
type scenariosCmd struct{}

func (scenariosCmd) Run() error {
	all, err := readScenarios()
	for _, s := range all {
		fmt.Printf("%-18s %s\n", s.Name, s.Question)
	}
	return err
}

// pagesCmd makes the committed pages of the committed reports.
type pagesCmd struct{}

func (pagesCmd) Run() error { return writePages() }
