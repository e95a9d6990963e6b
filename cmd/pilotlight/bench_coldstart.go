package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// benchColdstartCmd measures what a start adds for those who wait for it.
type benchColdstartCmd struct {
	Model  string `required:"" complete:"model" placeholder:"ID" help:"The model that is asked."`
	Runs   int    `default:"5" help:"How often it is asked while it is cold."`
	Hot    int    `default:"3" help:"And how often after that, one by one."`
	Idle   span   `placeholder:"5m" help:"Before each run leave the model alone for so long. If not given, it is stopped through the admin API."`
	Input  int    `name:"input-tokens" default:"500" help:"Words of a prompt: about as many tokens."`
	Output int    `name:"output-tokens" default:"100" help:"Tokens of an answer at most."`
	serverFlags
	benchFlags
}

// coldRow is one request, for people and for --json.
type coldRow struct {
	Run        int           `json:"run"`
	Start      string        `json:"start"`
	Failure    string        `json:"failure,omitempty"`
	TTFTUS     int64         `json:"ttft_us"`
	QueueUS    int64         `json:"queue_us"`
	ActivateUS int64         `json:"activate_us"`
	WakeUS     int64         `json:"wake_us"`
	ModelUS    int64         `json:"model_ttft_us"`
	E2EUS      int64         `json:"e2e_us"`
	BilledUS   int64         `json:"billed_us"`
	Cost       fleet.NanoUSD `json:"cost_nano_usd"`
}

// Run asks, and prints a line a request.
func (c benchColdstartCmd) Run(env *Env) error {
	client, err := c.benchFlags.client(env)
	if err != nil {
		return err
	}
	defer client.Close()
	cool, err := c.cooler(env)
	if err != nil {
		return err
	}
	slo, err := bench.ParseSLO(c.SLO)
	if err != nil {
		return fmt.Errorf("--slo: %w", err)
	}
	m := c.measurement(env, client, "coldstart", fmt.Sprintf("%d cold, each with %d hot behind it; %d words in, at most %d tokens out, seed %d", c.Runs, c.Hot, c.Input, c.Output, c.Seed), c.Model)
	m.SLO = slo.String()
	collector := bench.NewCollector(m.StartedAt, slo)
	var rows []coldRow
	cold := bench.Coldstart{
		Sender: client, Like: bench.Request{Model: c.Model, Input: c.Input, Output: c.Output}, Runs: c.Runs, Hot: c.Hot, Cool: cool,
		Keep: func(run, place int, s *bench.Sample) {
			collector.Add(s)
			rows = append(rows, newColdRow(run+1, s))
			if place == 0 {
				env.say("run %d of %d: %s", run+1, c.Runs, coldLine(s))
			}
		},
	}
	err = untilSignalled(env, func() string { return "ending the run under way" }, func(ctx context.Context, _ <-chan struct{}) error {
		defer func() { m.CutShort = ctx.Err() != nil }()
		return cold.Run(ctx)
	})
	if err != nil {
		return err
	}
	end := env.Now()
	m.Seconds, m.Blocks = end.Sub(m.StartedAt).Seconds(), collector.Blocks(end)
	return c.print(env, &bench.Result{Runs: []bench.Measurement{m}}, rows)
}

// coldLine says how a run's first request went.
func coldLine(s *bench.Sample) string {
	if s.Failure != "" {
		return "failed: " + s.Failure
	}
	return fmt.Sprintf("%s start, answered after %s", cmp.Or(s.Receipt.Start, "unknown"), spanText(s.End.Sub(s.Intended)))
}

func newColdRow(run int, s *bench.Sample) coldRow {
	r := &s.Receipt
	row := coldRow{
		Run: run, Start: r.Start, Failure: s.Failure, QueueUS: r.QueueUS, ActivateUS: r.ActivateUS, WakeUS: r.WakeUS, BilledUS: r.BilledUS, Cost: r.Cost,
		E2EUS: s.End.Sub(s.Intended).Microseconds(),
	}
	if !s.First.IsZero() {
		row.TTFTUS = s.First.Sub(s.Intended).Microseconds()
		row.ModelUS = row.TTFTUS - r.Held().Microseconds()
	}
	return row
}

// cooler makes what waits until the model is cold.
func (c *benchColdstartCmd) cooler(env *Env) (func(context.Context) error, error) {
	if c.Idle > 0 {
		return func(ctx context.Context) error { return pause(ctx, time.Duration(c.Idle)) }, nil
	}
	client, err := c.serverFlags.client(env)
	if err != nil {
		return nil, fmt.Errorf("%w; or give --idle, the time after which the model is cold by itself", err)
	}
	return func(ctx context.Context) error { return stopModel(ctx, client, c.Model) }, nil
}

// stopModel stops a model's instances, and returns when it is cold.
func stopModel(ctx context.Context, client *admin.Client, model string) error {
	m, err := client.StopModel(ctx, model)
	for err == nil && m.State != string(fleet.Cold) {
		if err = pause(ctx, lookEvery); err == nil {
			m, err = client.Model(ctx, model)
		}
	}
	return err
}

func (c *benchColdstartCmd) print(env *Env, r *bench.Result, rows []coldRow) error {
	if c.JSON {
		if err := c.write(r); err != nil {
			return err
		}
		return writeJSON(env.Stdout, rows)
	}
	t := newTable(">RUN", "START", ">TTFT", ">QUEUE", ">ACTIVATE", ">WAKE", ">MODEL TTFT", ">E2E", "", ">BILLED S", ">COST USD", "")
	for i := range rows {
		row := &rows[i]
		ms := func(us int64) string { return threeDigits(float64(us) / 1e3) }
		t.row(row.Run, row.Start, ms(row.TTFTUS), ms(row.QueueUS), ms(row.ActivateUS), ms(row.WakeUS), ms(row.ModelUS), ms(row.E2EUS), "ms", seconds(row.BilledUS), row.Cost, cmp.Or(row.Failure, " "))
	}
	if err := t.write(env.Stdout); err != nil {
		return err
	}
	fmt.Fprintln(env.Stdout)
	return c.report(env, r)
}

// write writes the files that the flags name.
func (c *benchColdstartCmd) write(r *bench.Result) error {
	if c.Out != "" {
		if err := writeFile(c.Out, func(w *os.File) error { return r.Write(w) }); err != nil {
			return err
		}
	}
	if c.HTML == "" {
		return nil
	}
	return writeFile(c.HTML, func(w *os.File) error { return bench.WriteHTML(w, nil, r) })
}
