package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// benchJoinCmd tells starts from the model in what another harness has measured.
type benchJoinCmd struct {
	Output string `arg:"" name:"output" type:"path" complete:"file" help:"The profile_export.jsonl of aiperf, the per_request_lifecycle_metrics.json of inference-perf or the profile_export.json of genai-perf, the folder that it is in, or the JSON report of guidellm."`
	Slack  span   `default:"250ms" help:"Without request IDs: how far the clocks of both machines may be apart, with the way between them."`
	Org    string `placeholder:"NAME" complete:"org" help:"Without request IDs: only requests of this organisation."`
	Model  string `placeholder:"ID" complete:"model" help:"Without request IDs: only requests for this model."`
	apiFlags
	serverFlags
	jsonFlag
}

// Run joins and prints a line a tier.
func (c benchJoinCmd) Run(env *Env) error {
	harness, exchanges, err := bench.ReadHarness(c.Output)
	if err != nil {
		return err
	}
	if len(exchanges) == 0 {
		return fmt.Errorf("%s has no requests", c.Output)
	}
	joined, how, err := c.join(env, exchanges)
	if err != nil {
		return err
	}
	rows := bench.SplitByStart(joined)
	if c.JSON {
		return writeJSON(env.Stdout, rows)
	}
	env.say("%s of %s, joined with receipts %s", plural(len(exchanges), "request"), harness, how)
	t := newTable("START", ">REQUESTS", ">FAILED", ">TTFT P50", ">P99", ">HELD P50", ">P99", ">MODEL TTFT P50", ">P99", "", ">BILLED S", ">COST USD")
	for i := range rows {
		r := &rows[i]
		name := r.Start
		if name == "" {
			name = "no receipt"
		}
		t.row(name, r.Requests, r.Failed, quantileCell(r.TTFT, r.TTFT.P50), quantileCell(r.TTFT, r.TTFT.P99), quantileCell(r.Held, r.Held.P50), quantileCell(r.Held, r.Held.P99),
			quantileCell(r.ModelTTFT, r.ModelTTFT.P50), quantileCell(r.ModelTTFT, r.ModelTTFT.P99), "ms", seconds(r.BilledUS), r.Cost)
	}
	return t.write(env.Stdout)
}

// join finds the receipts: those that the harness has kept with the answers, else by its request IDs, else by the time at which requests began.
func (c *benchJoinCmd) join(env *Env, exchanges []bench.Exchange) (joined []bench.Joined, how string, err error) {
	has := func(what func(bench.Exchange) bool) bool { return slices.ContainsFunc(exchanges, what) }
	switch {
	case has(func(e bench.Exchange) bool { return e.Receipt != nil }):
		return bench.MatchByAnswer(exchanges), "that came with their answers", nil
	case has(func(e bench.Exchange) bool { return e.Unclocked }):
		return nil, "", fmt.Errorf("%s has no answer in which Pilotlight says what it was; inference-perf keeps answers unless per_request_fields.response is false, and asks for what is needed in streams only", c.Output)
	case has(func(e bench.Exchange) bool { return e.ID == "" }):
		joined, err = c.byTime(env, exchanges)
		return joined, "by the time at which they began", err
	}
	joined, err = c.byID(env, exchanges)
	return joined, "by their IDs", err
}

// quantileCell is blank where nothing was measured.
func quantileCell(of bench.LatencyRow, ms float64) string {
	if of.Count == 0 {
		return ""
	}
	return threeDigits(ms)
}

// byID asks the API for each receipt, as the caller whose requests they were.
func (c *benchJoinCmd) byID(env *Env, exchanges []bench.Exchange) ([]bench.Joined, error) {
	cfg, err := c.config(env)
	if err != nil {
		return nil, err
	}
	client, err := bench.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	joined := make([]bench.Joined, len(exchanges))
	for i := range exchanges {
		joined[i].Exchange = exchanges[i]
		if joined[i].Receipt, err = client.FetchReceipt(env.ctx, exchanges[i].ID); err != nil {
			return nil, err
		}
	}
	return joined, nil
}

// byTime asks the admin API for all receipts of the time in which the harness ran.
func (c *benchJoinCmd) byTime(env *Env, exchanges []bench.Exchange) ([]bench.Joined, error) {
	client, err := c.serverFlags.client(env)
	if err != nil {
		return nil, err
	}
	slack := time.Duration(c.Slack)
	from, to := exchanges[0].Start, exchanges[0].Start
	for i := range exchanges {
		for _, at := range []time.Time{exchanges[i].Start, exchanges[i].End} {
			if at.After(to) {
				to = at
			}
		}
	}
	from, to = from.Add(-slack), to.Add(slack)
	if to.Sub(from) > ledger.MaxFound {
		return nil, fmt.Errorf("the harness ran for %v; requests without IDs are found within %v only", to.Sub(from).Round(time.Second), ledger.MaxFound)
	}
	var receipts []bench.Receipt
	for cursor := ""; ; {
		page, err := client.FindRecords(env.ctx, c.Org, from, to, cursor, 1000)
		if err != nil {
			return nil, err
		}
		for i := range page.Records {
			if r := &page.Records[i]; r.Kind == ledger.KindUsage && (c.Model == "" || r.Model == c.Model) {
				receipts = append(receipts, receiptOf(r))
			}
		}
		if page.NextCursor == nil {
			return bench.MatchByTime(exchanges, receipts, slack), nil
		}
		cursor = *page.NextCursor
	}
}

func receiptOf(r *ledger.Record) bench.Receipt {
	return bench.Receipt{
		RequestID: r.RequestID, Model: r.Model, Start: string(r.Start), ReceivedAt: r.ReceivedAt, DispatchedAt: r.DispatchedAt, QueueUS: r.Queue.Microseconds(),
		ActivateUS: r.Activate.Microseconds(), WakeUS: r.Wake.Microseconds(), TTFTUS: r.TTFT.Microseconds(), UpstreamUS: r.Upstream.Microseconds(),
		BilledUS: r.Billed.Microseconds(), Cost: r.Cost, Status: string(r.Status), Priced: true,
	}
}
