package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// benchReportCmd shows results.
type benchReportCmd struct {
	Results []string `arg:"" name:"result" type:"path" complete:"file" help:"Files that --out has written. One is shown. Of two, the second is held against the first: ratios, each with its interval of 95 %."`
	Merge   bool     `help:"Put all of them together, as one result: generators of one load, or runs of one kind."`
	Out     string   `type:"path" complete:"file" placeholder:"FILE" help:"With --merge: also write that result."`
	All     bool     `help:"Of two: also the means and the 90th percentiles."`
	HTML    string   `name:"html" type:"path" complete:"file" placeholder:"FILE" help:"Also write a page with plots."`
	jsonFlag
}

// Run reads the results and shows them.
func (c benchReportCmd) Run(env *Env) error {
	var results []*bench.Result
	for _, path := range c.Results {
		r, err := readResult(path)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	switch {
	case c.Out != "" && !c.Merge:
		return errors.New("--out belongs to --merge; leave it out")
	case c.Merge:
		merged, err := bench.Merge(results...)
		if err != nil {
			return err
		}
		return (&benchFlags{Out: c.Out, HTML: c.HTML, jsonFlag: c.jsonFlag}).report(env, merged)
	case len(results) == 1:
		return printResult(env, results[0], c.JSON, c.HTML)
	case len(results) == 2:
		return c.compare(env, results[0], results[1])
	}
	return fmt.Errorf("%d results; give one to show it, two to compare them, or --merge", len(results))
}

func readResult(path string) (*bench.Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the result: %w", err)
	}
	defer f.Close()
	r, err := bench.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// compare prints how b stands to a.
func (c benchReportCmd) compare(env *Env, a, b *bench.Result) error {
	ratios, enough, err := bench.Compare(a, b, 1)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		page := func(w *os.File) error { return bench.WriteHTML(w, ratios, a, b) }
		if err := writeFile(c.HTML, page); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(env.Stdout, ratios)
	}
	if !enough {
		env.say("the runs were too short for intervals that say much: a dozen seconds or more each would do")
	}
	t := newTable("FIGURE", ">A", ">B", "UNIT", ">B / A", "95 %", "VERDICT")
	for _, r := range ratios {
		if c.All || r.Headline() {
			t.row(r.Name, threeDigits(r.A), threeDigits(r.B), r.Unit, fmt.Sprintf("%.3f", r.Ratio), fmt.Sprintf("%.3f to %.3f", r.Low, r.High), r.Verdict())
		}
	}
	return t.write(env.Stdout)
}

func threeDigits(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// printResult shows what a result comes to.
func printResult(env *Env, r *bench.Result, asJSON bool, html string) error {
	s, err := r.Summarize()
	if err != nil {
		return err
	}
	if html != "" {
		if err := writeFile(html, func(w *os.File) error { return bench.WriteHTML(w, nil, r) }); err != nil {
			return err
		}
	}
	if asJSON {
		return writeJSON(env.Stdout, s)
	}
	t := newTable("LATENCY", ">N", ">MEAN", ">P50", ">P90", ">P99", ">P99.9", ">MAX", "")
	for _, metric := range bench.Metrics {
		if row, measured := s.Latency[metric]; measured {
			t.row(metric, row.Count, threeDigits(row.Mean), threeDigits(row.P50), threeDigits(row.P90), threeDigits(row.P99), threeDigits(row.P999), threeDigits(row.Max), "ms")
		}
	}
	if err := t.write(env.Stdout); err != nil {
		return err
	}
	fmt.Fprintln(env.Stdout)
	counts := newTable("FIGURE", ">VALUE")
	countRows(counts, s)
	return counts.write(env.Stdout)
}

// countRows adds what is no latency.
func countRows(t *table, s *bench.Summary) {
	t.row("seconds", fmt.Sprintf("%.3f", s.Seconds))
	t.row("requests", s.Requests)
	t.row("answers per second", threeDigits(s.RequestsPerS))
	t.row("output tokens per second", threeDigits(s.OutputPerS))
	if s.SLO != "" {
		t.row("good ("+s.SLO+")", s.Good)
		t.row("goodput per second", threeDigits(s.GoodputPerS))
	}
	for _, start := range slices.Sorted(maps.Keys(s.Starts)) {
		t.row("start "+start, s.Starts[start])
	}
	for _, failure := range slices.Sorted(maps.Keys(s.Failures)) {
		t.row("failed: "+failure, s.Failures[failure])
	}
	if s.Interrupted > 0 {
		t.row("interrupted", s.Interrupted)
	}
	if len(s.Starts) > 0 {
		t.row("billed seconds", seconds(s.BilledUS))
		t.row("cost in USD", fleet.NanoUSD(s.CostNanoUSD))
	}
	if s.Unpriced > 0 {
		t.row("of unknown cost", s.Unpriced)
	}
}
