package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// policiesCmd answers: what does each policy cost on the traces? `pilotlight simulate` runs the real planner and policies in virtual time.
type policiesCmd struct {
	Traces   []string `default:"node8,fleet40,fleet64" help:"Of benchmarks/traces: node8, fleet40, fleet64 and replicas."`
	Policies []string `default:"adaptive,fixed-60+park,oracle" help:"As pilotlight simulate names them."`
	Seeds    string   `default:"7,8,9" help:"One run each."`
}

// traceFlags are what belongs to a trace.
var traceFlags = map[string][]string{
	"node8": {"--nodes", "1"}, "fleet40": {"--nodes", "4"}, "fleet64": {"--nodes", "8"}, "replicas": {"--nodes", "4", "--warmup", "5m"},
}

func (c *policiesCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	r := report{
		Scenario: fmt.Sprintf("policies on the traces, seeds %s", c.Seeds),
		Note:     "cost is idle and switching GPU-hours + 10 x the hours that requests waited, after the warm-up; the first figure of each is the mean of the seeds",
	}
	for _, trace := range c.Traces {
		flags, known := traceFlags[trace]
		if !known {
			return fmt.Errorf("no trace %q; there are node8, fleet40, fleet64 and replicas", trace)
		}
		args := append([]string{"simulate", "--trace", filepath.Join(home(), "traces", trace+"_dev.csv.gz"), "--policy", strings.Join(c.Policies, ","), "--seed", c.Seeds, "--json"}, flags...)
		cmd := exec.CommandContext(ctx, s.binary, args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("simulating %s: %w", trace, err)
		}
		if err := r.addPolicies(trace, out); err != nil {
			return err
		}
	}
	return r.write(o)
}

// addPolicies adds what simulate says of one trace.
func (r *report) addPolicies(trace string, said []byte) error {
	var runs []struct {
		Policy string  `json:"policy"`
		Cost   float64 `json:"cost"`
		P99    float64 `json:"wait_p99_s"`
	}
	if err := json.Unmarshal(said, &runs); err != nil {
		return fmt.Errorf("reading what simulate says of %s: %w", trace, err)
	}
	cost, p99, order := samples{}, samples{}, []string{}
	for _, run := range runs {
		if cost[run.Policy] == nil {
			order = append(order, run.Policy)
		}
		cost[run.Policy], p99[run.Policy] = append(cost[run.Policy], run.Cost), append(p99[run.Policy], run.P99)
	}
	for _, policy := range order {
		mean := summarize(fmt.Sprintf("%s: %s, cost", trace, policy), "GPU-h", cost[policy])
		mean.Median = 0
		for _, v := range cost[policy] {
			mean.Median += v / float64(len(cost[policy]))
		}
		r.Findings = append(r.Findings, mean, summarize(fmt.Sprintf("%s: %s, wait at p99", trace, policy), "s", p99[policy]))
	}
	return nil
}
