package main

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"
)

// herdCmd answers: what becomes of a herd that asks a cold model at once? All are held, the engines come, all are let go.
type herdCmd struct {
	Requests int           `default:"1000" help:"Requests that ask the cold model, each on a connection of its own."`
	Engines  int           `default:"1" help:"Instances that the model may have."`
	Load     time.Duration `default:"5s" help:"Time that an engine loads; the herd has to be there before."`
}

func (c *herdCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	s.roomFor(c.Requests)
	var memory, answered, failed, first, last []float64
	for range o.Pairs {
		one, err := c.repetition(ctx, s)
		if err != nil {
			return err
		}
		memory, answered, failed = append(memory, one.memory), append(answered, float64(one.answered)), append(failed, float64(c.Requests-one.answered))
		first, last = append(first, millis(one.first)), append(last, millis(one.last))
	}
	r := report{
		Scenario: fmt.Sprintf("%d requests for a cold model at once, at most %d engines of it, each loading for %v", c.Requests, c.Engines, c.Load),
		Note:     "times count from the first token that an engine has generated, for the probe; the engine answers at once, so what is left is the letting go",
		Findings: []finding{
			summarize("answered", "", answered),
			summarize("failed", "", failed),
			summarize("engine's first token to the first answer", "ms", first),
			summarize("engine's first token to the last answer", "ms", last),
			summarize("memory per held request", "KB", memory),
		},
	}
	return r.write(o)
}

// herded is what one herd came to.
type herded struct {
	answered    int
	first, last time.Duration // from the engine's first token
	memory      float64       // KB of the server for each held request
}

func (c *herdCmd) repetition(ctx context.Context, s *stage) (h herded, err error) {
	told, err := listenReports()
	if err != nil {
		return h, err
	}
	defer told.conn.Close()
	server, err := s.pilotlight(ctx, fmt.Sprintf("instances { max = %d }", c.Engines), "--load", c.Load.String(), "--report", told.addr())
	if err != nil {
		return h, err
	}
	defer s.end()
	time.Sleep(time.Second) // start-up work is not what is watched
	empty := server.proc.rss()
	held, err := (&heldCmd{Requests: c.Requests}).hold(ctx, server)
	defer func() {
		for _, one := range held {
			one.conn.Close()
		}
	}()
	if err != nil {
		return h, fmt.Errorf("the herd was not there before the engine: %w", err)
	}
	time.Sleep(time.Second) // the garbage of the arrivals
	h.memory = float64(server.proc.rss()-empty) / float64(c.Requests) / 1e3
	ends := make([]time.Time, len(held))
	var answers sync.WaitGroup
	for i, one := range held {
		answers.Go(func() {
			one.r = bufio.NewReaderSize(one.conn, 1<<10)
			_ = one.conn.SetReadDeadline(time.Now().Add(c.Load + time.Minute))
			status, length, err := one.head()
			if err != nil || status != 200 || length < 0 {
				return
			}
			if _, err := one.r.Discard(length); err == nil {
				ends[i] = time.Now()
			}
		})
	}
	ready, err := told.within(c.Load+time.Minute, "probe")
	answers.Wait()
	if err != nil {
		return h, err
	}
	for _, end := range ends {
		if end.IsZero() {
			continue
		}
		h.answered++
		if took := end.Sub(ready.at); h.answered == 1 || took < h.first {
			h.first = took
		}
		h.last = max(h.last, end.Sub(ready.at))
	}
	return h, ctx.Err()
}
