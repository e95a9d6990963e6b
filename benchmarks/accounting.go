package main

import (
	"context"
	"errors"
	"regexp"
	"strconv"
)

// accountingCmd has the Go benchmark of what a request pays for being somebody's run: token, limits, budget and record. It measures nothing itself.
type accountingCmd struct {
	Runs int `default:"5" help:"Repetitions of the benchmark."`
}

const accountingNote = "one process, without HTTP and engine: a token is looked up, its organisation and itself are held to limits of requests, concurrency and money, and the record is appended to the log, " +
	"which is fsynced and moved into SQLite meanwhile; us is the clock's"

// accountingFigures are those of a line of the benchmark: "BenchmarkAccounting-2  50000  4321 ns/op  345 B/op  2 allocs/op".
var accountingFigures = regexp.MustCompile(`([0-9.]+) ns/op.* ([0-9]+) allocs/op`)

func (c *accountingCmd) Run(ctx context.Context, o *options) error {
	var took, allocations []float64
	for range c.Runs {
		out, err := goBenchmark(ctx, "router", "Accounting", "50000x")
		if err != nil {
			return err
		}
		figures := accountingFigures.FindSubmatch(out)
		if figures == nil {
			return errors.New("the benchmark of accounting has printed no figures")
		}
		ns, _ := strconv.ParseFloat(string(figures[1]), 64) // digits, as matched
		allocs, _ := strconv.ParseFloat(string(figures[2]), 64)
		took, allocations = append(took, ns/1e3), append(allocations, allocs)
	}
	r := report{Scenario: "what a request pays for being somebody's", Note: accountingNote, Findings: []finding{
		summarize("token, limits, budget and record of a request", "us", took),
		summarize("allocations of them", "", allocations),
	}}
	return r.write(o)
}
