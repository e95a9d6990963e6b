package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"
)

// pairedTargets starts the targets of a paired scenario: the engine itself, and what is before one: nginx, Pilotlight, and the other program
// that it is measured against, if any.
func (s *stage) pairedTargets(ctx context.Context, o *options) (direct *target, proxies []*target, err error) {
	const model = `idle_after = "1h"`
	if direct, err = s.engine(ctx); err != nil {
		return nil, nil, err
	}
	proxy, err := s.nginx(ctx, direct)
	if err != nil {
		return nil, nil, err
	}
	server, err := s.pilotlight(ctx, model)
	if err != nil {
		return nil, nil, err
	}
	proxies = []*target{proxy, &server.target}
	if o.Against != "" {
		before, err := s.against(ctx, o.Against, model)
		if err != nil {
			return nil, nil, err
		}
		proxies = append(proxies, before)
	}
	for _, t := range append(proxies, direct) {
		if err := t.warm(); err != nil {
			return nil, nil, err
		}
	}
	return direct, proxies, nil
}

// inRandomOrder runs f once for each target of every repetition.
func inRandomOrder(pairs int, targets []*target, f func(t *target) error) error {
	for i := range pairs {
		fmt.Fprintf(os.Stderr, "repetition %d of %d\n", i+1, pairs)
		for _, j := range rand.Perm(len(targets)) {
			if err := f(targets[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle is how long a target's CPU is watched behind its load: longer than the ledger waits before it moves the last records into
// the store, which is part of what a request costs.
const settle = 600 * time.Millisecond

// samples holds figures by the target's name, one a repetition.
type samples map[string][]float64

// cost loads every target in each repetition, and gives the CPU time in µs of one unit of the load. The load says how many units
// it was, and may keep other figures.
func cost(pairs int, targets []*target, load func(t *target) (units int, err error)) (samples, error) {
	cpu := samples{}
	return cpu, inRandomOrder(pairs, targets, func(t *target) error {
		before := t.proc.cpu()
		units, err := load(t)
		if err != nil {
			return err
		}
		time.Sleep(settle)
		cpu[t.name] = append(cpu[t.name], micros(t.proc.cpu()-before)/float64(units))
		return nil
	})
}

// compare gives the findings about what a unit costs, "request, c=16" say, through nginx and through Pilotlight.
func compare(unit string, cpu samples) []finding {
	found := []finding{
		summarize("nginx CPU per "+unit, "us", cpu["nginx"]),
		summarize("pilotlight CPU per "+unit, "us", cpu["pilotlight"]),
		summarize("pilotlight / nginx, CPU per "+unit, "x", ratios(cpu["pilotlight"], cpu["nginx"])),
	}
	if before, ok := cpu["before"]; ok {
		found = append(found,
			summarize("before, CPU per "+unit, "us", before),
			summarize("before / nginx, CPU per "+unit, "x", ratios(before, cpu["nginx"])),
			summarize("pilotlight / before, CPU per "+unit, "x", ratios(cpu["pilotlight"], before)))
	}
	return found
}

// both gives the findings about another figure of both.
func both(what, unit string, figures samples) []finding {
	return []finding{
		summarize("pilotlight / nginx, "+what, "x", ratios(figures["pilotlight"], figures["nginx"])),
		summarize("nginx "+what, unit, figures["nginx"]),
		summarize("pilotlight "+what, unit, figures["pilotlight"]),
	}
}

// ratios divides two samples pair by pair.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

type jsonCmd struct {
	Concurrency []int `default:"16,128" help:"Connections."`
}

func (c *jsonCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	_, targets, err := s.pairedTargets(ctx, o)
	if err != nil {
		return err
	}
	r := report{Scenario: "CPU per small JSON request (600 B in, 400 B out), auth, metering, ledger and billing on", Versions: s.versions}
	for _, n := range c.Concurrency {
		rate := samples{}
		cpu, err := cost(o.Pairs, targets, func(t *target) (int, error) {
			latencies, err := closedLoop(ctx, t, n, o.Window)
			rate[t.name] = append(rate[t.name], float64(len(latencies))/o.Window.Seconds())
			return len(latencies), err
		})
		if err != nil {
			return err
		}
		at := fmt.Sprintf(", c=%d", n)
		r.Findings = slices.Concat(r.Findings,
			compare("request"+at, cpu),
			both("requests per second"+at, "1/s", rate))
	}
	return r.write(o)
}

type latencyCmd struct{}

func (*latencyCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	direct, targets, err := s.pairedTargets(ctx, o)
	if err != nil {
		return err
	}
	p50, p99 := samples{}, samples{}
	err = inRandomOrder(o.Pairs, append(targets, direct), func(t *target) error {
		latencies, err := closedLoop(ctx, t, 1, o.Window)
		if err != nil {
			return err
		}
		q := quantiles(latencies, 0.5, 0.99)
		p50[t.name] = append(p50[t.name], micros(q[0]))
		p99[t.name] = append(p99[t.name], micros(q[1]))
		return nil
	})
	if err != nil {
		return err
	}
	added := func(name string) []float64 {
		out := make([]float64, o.Pairs)
		for i := range out {
			out[i] = p50[name][i] - p50["direct"][i]
		}
		return out
	}
	r := report{Scenario: "latency of a small JSON request at concurrency 1", Versions: s.versions}
	for _, t := range append(targets, direct) {
		r.Findings = append(r.Findings, summarize(t.name+" p50", "us", p50[t.name]), summarize(t.name+" p99", "us", p99[t.name]))
	}
	if o.Against != "" {
		r.Findings = append(r.Findings, summarize("before, added to p50", "us", added("before")))
	}
	r.Findings = append(r.Findings,
		summarize("nginx, added to p50", "us", added("nginx")),
		summarize("pilotlight, added to p50", "us", added("pilotlight")),
		summarize("pilotlight / nginx, added to p50", "x", ratios(added("pilotlight"), added("nginx"))))
	return r.write(o)
}

type sseCmd struct {
	Streams  []int         `default:"100,200,500,1000" help:"Streams at once."`
	Events   int           `default:"100" help:"Events a stream."`
	Interval time.Duration `default:"20ms" help:"Between two events of a stream."`
}

func (c *sseCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	_, targets, err := s.pairedTargets(ctx, o)
	if err != nil {
		return err
	}
	r := report{Scenario: c.scenario(), Versions: s.versions}
	for _, n := range c.Streams {
		p50, p99 := samples{}, samples{}
		cpu, err := cost(o.Pairs, targets, func(t *target) (int, error) {
			all, err := c.load(ctx, t, n)
			var delays []time.Duration
			for _, one := range all {
				delays = append(delays, one.delays...)
			}
			q := quantiles(delays, 0.5, 0.99)
			p50[t.name] = append(p50[t.name], micros(q[0]))
			p99[t.name] = append(p99[t.name], micros(q[1]))
			return len(delays), err
		})
		if err != nil {
			return err
		}
		at := fmt.Sprintf(", %d streams", n)
		r.Findings = slices.Concat(r.Findings,
			compare("event"+at, cpu),
			both("delay p50"+at, "us", p50),
			both("delay p99"+at, "us", p99))
	}
	return r.write(o)
}

func (c *sseCmd) scenario() string {
	if c.Interval == 0 {
		return fmt.Sprintf("CPU per streamed event, %d events a stream, as fast as the engine writes", c.Events)
	}
	return fmt.Sprintf("CPU per streamed event, %d events a stream, one each %v", c.Events, c.Interval)
}

// cutError says that streams ended before their end, without an error.
type cutError struct {
	of  *target
	cut int // streams
	all int
}

func (e *cutError) Error() string {
	return fmt.Sprintf("streaming through %s: %d of %d streams were not whole", e.of.name, e.cut, e.all)
}

// load runs n streams at once and returns what was seen of each, with an error unless every one is complete.
func (c *sseCmd) load(ctx context.Context, t *target, n int) ([]streamed, error) {
	request := t.request(fmt.Sprintf("events=%d interval=%s", c.Events, c.Interval), true)
	all := make([]streamed, n)
	errs := make([]error, n)
	var streams sync.WaitGroup
	for i := range n {
		streams.Go(func() {
			client, err := t.dial()
			if err != nil {
				errs[i] = err
				return
			}
			defer client.conn.Close()
			all[i], errs[i] = client.stream(request)
		})
	}
	streams.Wait()
	cut := 0
	for i := range n {
		if errs[i] != nil {
			return all, fmt.Errorf("streaming through %s: %w", t.name, errs[i])
		}
		if !all[i].complete || all[i].events != c.Events {
			cut++
		}
	}
	if cut > 0 {
		return all, &cutError{t, cut, n}
	}
	return all, ctx.Err()
}
