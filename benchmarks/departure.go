package main

import (
	"context"
	"fmt"
	"time"
)

type departureCmd struct {
	Requests int `default:"200" help:"Departures of each kind."`
}

// Run lets clients leave while they wait, and while they stream, and times what follows.
func (c *departureCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	r := report{Scenario: "a client leaves"}
	seen, err := c.queued(ctx, s)
	if err != nil {
		return err
	}
	s.end() // the first server, before the second
	told, err := c.streaming(ctx, s)
	if err != nil {
		return err
	}
	q, t := quantiles(seen, 0.5, 0.99), quantiles(told, 0.5, 0.99)
	r.Findings = []finding{
		summarize("queued: left to place freed (polled over HTTP)", "ms", asMillis(seen)),
		{Name: "queued: p99", Unit: "ms", Median: millis(q[1]), Min: millis(q[0]), Max: millis(q[1]), N: len(seen)},
		summarize("streaming: left to engine told", "ms", asMillis(told)),
		{Name: "streaming: p99", Unit: "ms", Median: millis(t[1]), Min: millis(t[0]), Max: millis(t[1]), N: len(told)},
	}
	return r.write(o)
}

// queued times how long a departed client's place in the queue stays taken, as the admin API shows it.
func (c *departureCmd) queued(ctx context.Context, s *stage) ([]time.Duration, error) {
	server, err := s.pilotlight(ctx, "", "--load", "1h")
	if err != nil {
		return nil, err
	}
	holder := heldCmd{Requests: 1}
	var seen []time.Duration
	for range c.Requests {
		held, err := holder.hold(ctx, server)
		if err != nil {
			return nil, err
		}
		held[0].conn.Close()
		left := time.Now()
		for {
			waiting, err := server.waiting(ctx)
			if err != nil {
				return nil, err
			}
			if waiting == 0 {
				break
			}
		}
		seen = append(seen, time.Since(left))
	}
	return seen, nil
}

// streaming times how long an engine goes on for a client that has left, by the engine's own clock on the same machine.
func (c *departureCmd) streaming(ctx context.Context, s *stage) ([]time.Duration, error) {
	engineReports, err := listenReports()
	if err != nil {
		return nil, err
	}
	server, err := s.pilotlight(ctx, `idle_after = "1h"`, "--report", engineReports.addr())
	if err != nil {
		return nil, err
	}
	if err := server.warm(); err != nil {
		return nil, err
	}
	var told []time.Duration
	for i := range c.Requests {
		one, err := server.dial()
		if err != nil {
			return nil, err
		}
		request := server.request(fmt.Sprintf("tag=%d events=1000 interval=50ms", i), true)
		if _, err := one.conn.Write(request); err != nil {
			return nil, fmt.Errorf("sending a request: %w", err)
		}
		if _, _, err := one.head(); err != nil { // the head comes with the first event
			return nil, fmt.Errorf("reading the head: %w", err)
		}
		left := time.Now()
		one.conn.Close()
		gone, err := engineReports.next("gone")
		if err != nil {
			return nil, err
		}
		told = append(told, gone.at.Sub(left))
	}
	return told, nil
}

func asMillis(sample []time.Duration) []float64 {
	out := make([]float64, len(sample))
	for i, d := range sample {
		out[i] = millis(d)
	}
	return out
}
