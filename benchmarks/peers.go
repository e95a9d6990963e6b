package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// peersCmd answers: what does a request cost through us, beside the proxies that people know, in the same run? Those that are not installed are left out, and said so.
type peersCmd struct {
	Concurrency int           `default:"16" help:"Connections that send small requests; 0 = none."`
	Streams     int           `default:"100" help:"Streams at once, after that; 0 = none."`
	Events      int           `default:"100" help:"Events a stream."`
	Interval    time.Duration `default:"20ms" help:"Between two events of a stream."`
	Peers       []string      `default:"nginx,haproxy,caddy,net/http,sglang-router,vllm-router,litellm" help:"Of those."`
}

func (c *peersCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	engine, err := s.engine(ctx)
	if err != nil {
		return err
	}
	server, err := s.pilotlight(ctx, `idle_after = "1h"`)
	if err != nil {
		return err
	}
	if err := server.warm(); err != nil {
		return err
	}
	targets := []*target{&server.target}
	for _, name := range c.Peers {
		t, err := s.peer(ctx, name, engine)
		if err != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", name, err)
			continue
		}
		targets = append(targets, t)
	}
	r := report{
		Scenario: "a small JSON request (600 B in, 400 B out), and streams, through Pilotlight and through what others put there",
		Note:     "Pilotlight checks tokens and limits, meters, writes a usage record and picks an instance; net/http has the same token and scan, and nothing else; LiteLLM checks its own key; the others forward. Client, engine and proxy share the machine",
		Versions: s.versions,
	}
	if c.Concurrency > 0 {
		found, err := c.small(ctx, o, targets)
		if err != nil {
			return err
		}
		r.Findings = append(r.Findings, found...)
	}
	if c.Streams > 0 {
		found, err := c.streams(ctx, o, targets)
		if err != nil {
			return err
		}
		r.Findings = append(r.Findings, found...)
	}
	return r.write(o)
}

// small has small requests sent through every target, in turns.
func (c *peersCmd) small(ctx context.Context, o *options, targets []*target) ([]finding, error) {
	rate, p50 := samples{}, samples{}
	cpu, err := cost(o.Pairs, targets, func(t *target) (int, error) {
		latencies, err := closedLoop(ctx, t, c.Concurrency, o.Window)
		rate[t.name] = append(rate[t.name], float64(len(latencies))/o.Window.Seconds())
		p50[t.name] = append(p50[t.name], micros(quantiles(latencies, 0.5)[0]))
		return len(latencies), err
	})
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, t := range targets {
		found = append(
			found,
			summarize(t.name+" CPU per request", "us", cpu[t.name]),
			summarize(t.name+" requests per second", "1/s", rate[t.name]),
			summarize(t.name+" p50", "us", p50[t.name]))
		if t != targets[0] {
			found = append(
				found,
				summarize("pilotlight / "+t.name+", CPU per request", "x", ratios(cpu["pilotlight"], cpu[t.name])),
				summarize("pilotlight / "+t.name+", requests per second", "x", ratios(rate["pilotlight"], rate[t.name])))
		}
	}
	return found, nil
}

// streams has streams sent through every target that carries one whole, in turns.
func (c *peersCmd) streams(ctx context.Context, o *options, targets []*target) ([]finding, error) {
	load := sseCmd{Events: c.Events, Interval: c.Interval}
	var able []*target
	for _, t := range targets {
		if _, err := load.load(ctx, t, 1); err != nil {
			fmt.Fprintf(os.Stderr, "no streams through %s: %v\n", t.name, err)
			continue
		}
		able = append(able, t)
	}
	delay, cut := samples{}, samples{}
	cpu, err := cost(o.Pairs, able, func(t *target) (int, error) {
		all, err := load.load(ctx, t, c.Streams)
		lost := new(cutError)
		if errors.As(err, &lost) && t != able[0] {
			err = nil // others' streams are counted, ours have to be whole
		}
		cut[t.name] = append(cut[t.name], float64(lost.cut))
		var delays []time.Duration
		for _, one := range all {
			delays = append(delays, one.delays...)
		}
		delay[t.name] = append(delay[t.name], micros(quantiles(delays, 0.5)[0]))
		return len(delays), err
	})
	if err != nil {
		return nil, err
	}
	var found []finding
	at := fmt.Sprintf(", %d streams", c.Streams)
	for _, t := range able {
		found = append(
			found,
			summarize(t.name+" CPU per event"+at, "us", cpu[t.name]),
			summarize(t.name+" delay p50"+at, "us", delay[t.name]),
			summarize(t.name+" streams that were not whole"+at, "n", cut[t.name]))
		if t != able[0] {
			found = append(found, summarize("pilotlight / "+t.name+", CPU per event"+at, "x", ratios(cpu["pilotlight"], cpu[t.name])))
		}
	}
	return found, nil
}

// peer starts another proxy before the engine, waits until it forwards, and notes its version.
func (s *stage) peer(ctx context.Context, name string, engine *target) (*target, error) {
	for i := range peerPrograms {
		p := &peerPrograms[i]
		if p.name != name {
			continue
		}
		t, err := p.start(ctx, s, engine)
		if err != nil {
			return nil, err
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
			if err = t.warm(); err == nil {
				t.proc.awaitQuiet(time.Minute)
				return t, nil
			}
			if time.Now().After(deadline) || ctx.Err() != nil {
				return nil, err
			}
		}
	}
	names := make([]string, len(peerPrograms))
	for i := range peerPrograms {
		names[i] = peerPrograms[i].name
	}
	return nil, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
}
