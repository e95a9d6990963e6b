package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// compareCmd runs the Go benchmarks of two revisions in turns, so that whatever else the machine does meets both, and prints what benchstat makes of them.
type compareCmd struct {
	Revision string   `arg:"" help:"The other revision, as git names it; it is run beside the working tree."`
	Bench    string   `default:"." help:"Which benchmarks, as go test -bench takes them."`
	Time     string   `default:"0.3s" help:"How long each runs, as go test -benchtime takes it."`
	Packages []string `default:"./activator,./activator/dispatch,./router,./internal/account,./internal/openai,./internal/upstream,./internal/ledger" help:"Of these packages."`
}

// side is one of two revisions.
type side struct {
	name   string
	dir    string // its tree
	tests  map[string]string
	output string // what its benchmarks have printed
}

func (c *compareCmd) Run(ctx context.Context, o *options) error {
	dir, err := os.MkdirTemp("", "pilotlight-compare-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	root, err := output(ctx, "", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree")
	if _, err := output(ctx, root, "git", "worktree", "add", "--detach", tree, c.Revision); err != nil {
		return err
	}
	defer func() { _, _ = output(context.WithoutCancel(ctx), root, "git", "worktree", "remove", "--force", tree) }()
	sides := []*side{
		{name: "old", dir: tree, output: filepath.Join(dir, "old.txt")},
		{name: "new", dir: root, output: filepath.Join(dir, "new.txt")},
	}
	for _, s := range sides {
		if err := s.build(ctx, c.Packages, filepath.Join(dir, s.name)); err != nil {
			return err
		}
	}
	if err := c.run(ctx, o, sides); err != nil {
		return err
	}
	fmt.Printf("old is %s, new is the working tree; %d turns each\n", c.Revision, o.Pairs)
	table, err := output(ctx, root, "go", "tool", "benchstat", "old="+sides[0].output, "new="+sides[1].output)
	fmt.Println(table)
	return err
}

// build compiles the tests of each package that this revision has.
func (s *side) build(ctx context.Context, packages []string, into string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	s.tests = make(map[string]string)
	for _, p := range packages {
		if _, err := os.Stat(filepath.Join(s.dir, p)); err != nil {
			fmt.Fprintf(os.Stderr, "%s has no %s\n", s.name, p)
			continue
		}
		program := filepath.Join(into, strings.ReplaceAll(strings.TrimPrefix(p, "./"), "/", "-")+".test")
		fmt.Fprintf(os.Stderr, "building the tests of %s, %s\n", p, s.name)
		if _, err := output(ctx, s.dir, "go", "test", "-c", "-o", program, p); err != nil {
			return err
		}
		s.tests[p] = program
	}
	return nil
}

// run has every package's benchmarks run once in each turn, for one revision right after the other, and the other way round in the next turn.
func (c *compareCmd) run(ctx context.Context, o *options, sides []*side) error {
	for turn := range o.Pairs {
		for _, p := range c.Packages {
			for i := range sides {
				s := sides[(i+turn)%len(sides)]
				if s.tests[p] == "" {
					continue
				}
				fmt.Fprintf(os.Stderr, "turn %d of %d: %s, %s\n", turn+1, o.Pairs, p, s.name)
				cmd := exec.CommandContext(ctx, s.tests[p], "-test.run", "^$", "-test.bench", c.Bench, "-test.benchmem", "-test.benchtime", c.Time, "-test.timeout", "30m")
				cmd.Dir, cmd.Stderr = filepath.Join(s.dir, p), os.Stderr
				printed, err := cmd.Output()
				if err != nil {
					return fmt.Errorf("running the benchmarks of %s, %s: %w\n%s", p, s.name, err, printed)
				}
				if err := appendTo(s.output, printed); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func appendTo(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keeping what a benchmark printed: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// output runs a program and gives what it prints, without its last line break.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	var complaint strings.Builder
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimRight(string(text), "\n"), nil
}
