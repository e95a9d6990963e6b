package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// fuzzCmd answers: does any input break what parses what others have written? It has each fuzz target run that stands beside the code, and measures nothing itself.
type fuzzCmd struct {
	For    time.Duration `default:"10m" help:"How long each target runs."`
	AtOnce int           `default:"2" help:"How many targets run at once; they share the CPUs."`
	Only   string        `default:"." help:"Only the targets whose name matches this expression."`
}

const fuzzNote = "inputs are those tried, kept ones that reached code which no other did, with those of earlier runs on the machine; a crash, or a promise of the target's that does not hold, ends the run"

func (c *fuzzCmd) Run(ctx context.Context, o *options) error {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return fmt.Errorf("reading --only: %w", err)
	}
	if c.AtOnce < 1 {
		return fmt.Errorf("--at-once %d runs nothing; give 1 or more", c.AtOnce)
	}
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	targets = slices.DeleteFunc(targets, func(t fuzzTarget) bool { return !only.MatchString(t.name) })
	if len(targets) == 0 {
		return fmt.Errorf("--only %s matches no fuzz target", c.Only)
	}
	var g errgroup.Group
	g.SetLimit(c.AtOnce)
	for i := range targets {
		t := &targets[i]
		g.Go(func() error {
			if err := c.run(ctx, t); err != nil {
				fmt.Println(err) // at once, and that of each: the group keeps one
				return fmt.Errorf("%s of %s has failed", t.name, t.of)
			}
			fmt.Printf("%s of %s: %d inputs, %d kept\n", t.name, t.of, t.inputs, t.kept)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r := report{Scenario: fmt.Sprintf("each fuzz target for %s, %d at once", c.For, c.AtOnce), Note: fuzzNote}
	for _, t := range targets {
		r.Findings = append(r.Findings,
			summarize(t.of+" "+t.name+", inputs", "n", []float64{float64(t.inputs)}),
			summarize(t.of+" "+t.name+", kept", "n", []float64{float64(t.kept)}))
	}
	return r.write(o)
}

// fuzzTarget is one of the module's, and what it came to.
type fuzzTarget struct {
	of, name     string // package below the module, function
	inputs, kept int
}

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// fuzzTargets gives those of all packages, by package and name.
func fuzzTargets(ctx context.Context) ([]fuzzTarget, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", `{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}`, module+"...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the tests' files: %w", err)
	}
	var found []fuzzTarget
	for line := range strings.Lines(string(out)) {
		of, file, is := strings.Cut(strings.TrimSpace(line), " ")
		if !is {
			continue
		}
		text, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			return nil, fmt.Errorf("looking for fuzz targets: %w", err)
		}
		for _, m := range fuzzFunction.FindAllSubmatch(text, -1) {
			found = append(found, fuzzTarget{of: strings.TrimPrefix(of, module), name: string(m[1])})
		}
	}
	return found, nil
}

// fuzzProgress is what `go test -fuzz` says every three seconds and at the end: of the kept inputs, with which it begins, and then of those that it tries.
var fuzzProgress = regexp.MustCompile(`gathering baseline coverage: (\d+)/(\d+) completed|execs: (\d+) .*\(total: (\d+)\)`)

// progress gives the last of it.
func progress(out []byte) (inputs, kept int, said bool) {
	all := fuzzProgress.FindAllSubmatch(out, -1)
	if len(all) == 0 {
		return 0, 0, false
	}
	last := all[len(all)-1]
	inputs, err := strconv.Atoi(string(last[1]) + string(last[3]))
	kept, err2 := strconv.Atoi(string(last[2]) + string(last[4]))
	return inputs, kept, err == nil && err2 == nil
}

// run runs one. An input that reaches new code is not made smaller for long: where what runs beside the target, a database say, makes the coverage differ from one
// try to the next, that takes a minute of each, in which nothing new is tried: FuzzImport got no further than its kept inputs (https://go.dev/issue/51484 has the like).
func (c *fuzzCmd) run(ctx context.Context, t *fuzzTarget) error {
	run := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", c.For.String(), "-fuzzminimizetime", "10x",
		"-parallel", strconv.Itoa(max(runtime.NumCPU()/c.AtOnce, 1)), "-timeout", "0", module+t.of)
	out, err := run.CombinedOutput()
	if err != nil && !timeIsUp(out) {
		return fmt.Errorf("%s of %s: %w\n%s", t.name, t.of, err, out)
	}
	said := false
	if t.inputs, t.kept, said = progress(out); !said {
		return fmt.Errorf("%s of %s says nothing of what it tried:\n%s", t.name, t.of, out)
	}
	return nil
}

// timeIsUp reports whether a run has failed by nothing but the end of its time, as now and then before Go 1.27 (https://go.dev/issue/75804).
func timeIsUp(out []byte) bool {
	return bytes.Contains(out, []byte("\n    context deadline exceeded\n")) && !bytes.Contains(out, []byte("Failing input"))
}
