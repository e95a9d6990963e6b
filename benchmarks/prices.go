package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// pricesCmd answers: does the price table that readers know come out, to the dollar, of real requests' receipts?
type pricesCmd struct {
	Requests int `default:"5" help:"Requests for each model, one after the other, of 500 words in and 100 tokens out."`
}

// published is the table: what a request of 500 tokens in and 100 out takes and costs, at 8.25 USD a GPU-hour.
var published = []struct {
	model         string
	gpus          int
	seconds, cost float64 // cost in USD, exact
}{
	{"meta-llama/Meta-Llama-3-8B-Instruct", 1, 1, 8.25 / 3600},
	{"meta-llama/Meta-Llama-3-70B-Instruct", 4, 2, 8.25 * 4 * 2 / 3600},
	{"meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", 8, 5, 8.25 * 8 * 5 / 3600},
}

func (c *pricesCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	sim := filepath.Join(s.dir, "trtsim")
	if err := s.buildSimulator(ctx, sim); err != nil {
		return err
	}
	text := "backend \"local\" {\n  gpus        = 16\n  host_memory = \"1.5TiB\"\n}\n" + sameUser + "\n"
	for _, p := range published {
		text += fmt.Sprintf("model %q {\n  idle_after = \"1h\"\n  engine \"sim\" {\n    command = [%q]\n    args    = [\"--sim-stack\", \"published\", \"--sim-seed\", \"0\", \"--sim-load-time\", \"100ms\"]\n  }\n}\n", p.model, sim)
	}
	server, err := s.serve(ctx, text)
	if err != nil {
		return err
	}
	r := report{
		Scenario: "the published price table: 500 tokens in, 100 out, 8.25 USD a GPU-hour",
		Note:     "the engines are simulated, at life's speed, with the response times that the table gives; the billed time and the cost are the receipts'",
	}
	for _, p := range published {
		found, err := c.ask(ctx, s, server, p.model)
		if err != nil {
			return fmt.Errorf("%s: %w", p.model, err)
		}
		billed, cost := float64(found.BilledUS)/1e6/float64(found.Requests), float64(found.CostNanoUSD)/1e9/float64(found.Requests)
		for _, f := range []struct {
			name, unit string
			value      float64
		}{
			{"billed a request", "s", billed},
			{"cost of a request", "USD", cost},
			{"billed / published", "x", billed / p.seconds},
			{"cost / published", "x", cost / p.cost},
		} {
			r.Findings = append(r.Findings, finding{Name: fmt.Sprintf("%s, %d GPUs: %s", filepath.Base(p.model), p.gpus, f.name), Unit: f.unit, Median: f.value, Min: f.value, Max: f.value, N: int(found.Requests)})
		}
	}
	return r.write(o)
}

// priced is what bench load says of its requests.
type priced struct {
	Requests    int64 `json:"requests"`
	Failed      int64 `json:"failed"`
	Unpriced    int64 `json:"unpriced"`
	BilledUS    int64 `json:"billed_us"`
	CostNanoUSD int64 `json:"cost_nano_usd"`
}

// ask has the program's own harness send the requests, behind one that starts the engine.
func (c *pricesCmd) ask(ctx context.Context, s *stage, server *pilotlight, model string) (p priced, err error) {
	cmd := exec.CommandContext(ctx, s.binary, "bench", "load", "--url", "http://"+server.addr+"/v1", "--model", model, "--concurrency", "1", "--warmup", "1",
		"--requests", fmt.Sprint(c.Requests+1), "--input-tokens", "500", "--output-tokens", "100", "--json")
	cmd.Env, cmd.Stderr = append(os.Environ(), "PILOTLIGHT_TOKEN="+server.token), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return p, fmt.Errorf("loading the model: %w", err)
	}
	if err := json.Unmarshal(out, &p); err != nil {
		return p, fmt.Errorf("reading what bench load says: %w", err)
	}
	if p.Failed > 0 || p.Unpriced > 0 || p.Requests != int64(c.Requests) {
		return p, fmt.Errorf("got %+v, want %d answers, all with a price", p, c.Requests)
	}
	return p, nil
}
