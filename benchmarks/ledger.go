package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// ledgerCmd has the Go benchmarks of the ledger run and puts their figures into a table: of its reads, which fills a store and asks it while records
// arrive, and of what it takes in steadily. It measures nothing itself.
type ledgerCmd struct {
	Records int `default:"10000000" help:"In the store before the first query, of 100 organisations and 60 days."`
	Rate    int `default:"5000" help:"Records that arrive each second meanwhile."`
	Rounds  int `default:"1000" help:"Of all queries, in random order."`
	Steady  int `default:"20000" help:"Records that arrive each second, for twenty seconds, without the log growing."`
}

// onSQLite keeps the ledger's tests and benchmarks, which run on Postgres as well where it is installed, to the store that the promises are of.
const onSQLite = "STORE=sqlite"

const ledgerNote = "one process, the ledger without HTTP, a reader at a time; ms is the clock's, with whatever else the machine does meanwhile, " +
	"cpu-ms what the reader's thread has used, which is what a query takes on a machine that has a CPU for it"

// ledgerFigure is one figure of the benchmark: "0.123 month/p99-cpu-ms".
var ledgerFigure = regexp.MustCompile(`([0-9.]+) ([a-z-]+)/(p[0-9]+)-((?:cpu-)?ms)`)

// steadyFigure is one of the benchmark of what is taken in: "9999 records/s".
var steadyFigure = regexp.MustCompile(`([0-9.]+) (records/s|cpu-ns/record)`)

func (c *ledgerCmd) Run(ctx context.Context, o *options) error {
	out, err := goBenchmark(ctx, "internal/ledger", "Reads", fmt.Sprintf("%dx", c.Rounds), onSQLite,
		fmt.Sprint("PILOTLIGHT_BENCH_RECORDS=", c.Records), fmt.Sprint("PILOTLIGHT_BENCH_RATE=", c.Rate))
	if err != nil {
		return err
	}
	r := report{
		Scenario: fmt.Sprintf("reads of %d usage records while %d a second arrive", c.Records, c.Rate),
		Note:     ledgerNote,
	}
	if err := r.addLedger(out, c.Rounds); err != nil {
		return err
	}
	if out, err = goBenchmark(ctx, "internal/ledger", "Sustained", "1x", onSQLite, fmt.Sprint("PILOTLIGHT_BENCH_RATE=", c.Steady)); err != nil {
		return err
	}
	if err := r.addLedger(out, 1); err != nil {
		return err
	}
	for _, figure := range steadyFigure.FindAllSubmatch(out, -1) {
		value, err := strconv.ParseFloat(string(figure[1]), 64)
		if err != nil {
			return fmt.Errorf("reading the figure %s: %w", bytes.TrimSpace(figure[0]), err)
		}
		r.Findings = append(r.Findings, finding{Name: "taken in steadily", Unit: string(figure[2]), Median: value, Min: value, Max: value, N: 1})
	}
	return r.write(o)
}

// addLedger adds the figures of a benchmark's output, of so many rounds.
func (r *report) addLedger(out []byte, rounds int) error {
	for _, figure := range ledgerFigure.FindAllSubmatch(out, -1) {
		value, err := strconv.ParseFloat(string(figure[1]), 64)
		if err != nil {
			return fmt.Errorf("reading the figure %s: %w", bytes.TrimSpace(figure[0]), err)
		}
		r.Findings = append(r.Findings, finding{
			Name: string(figure[2]) + " " + string(figure[3]), Unit: string(figure[4]), Median: value, Min: value, Max: value, N: rounds,
		})
	}
	return nil
}
