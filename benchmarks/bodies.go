package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// bodiesCmd answers: is the memory of large bodies given back? Requests of them come in rounds, and the server's memory is looked at a second after the last.
type bodiesCmd struct {
	AtOnce int `default:"8" help:"Requests at once."`
	Rounds int `default:"3" help:"Of those."`
	MB     int `name:"mb" default:"50" help:"Of one body."`
}

func (c *bodiesCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	s.api = fmt.Sprintf("body_limit = \"%dMiB\"\n  body_budget = \"4GiB\"", c.MB+1)
	var above, most []float64
	for range o.Pairs {
		a, m, err := c.repetition(ctx, s)
		if err != nil {
			return err
		}
		above, most = append(above, a), append(most, m)
	}
	r := report{
		Scenario: fmt.Sprintf("%d rounds of %d requests of %d MB at once", c.Rounds, c.AtOnce, c.MB),
		Findings: []finding{
			summarize("memory above the base, one second after the last", "MB", above),
			summarize("memory above the base, the most that was seen", "MB", most),
		},
	}
	return r.write(o)
}

func (c *bodiesCmd) repetition(ctx context.Context, s *stage) (above, most float64, err error) {
	server, err := s.pilotlight(ctx, "idle_after     = \"1h\"\n  context_length = 1000000000")
	if err != nil {
		return 0, 0, err
	}
	defer s.end()
	if err := server.warm(); err != nil {
		return 0, 0, err
	}
	time.Sleep(time.Second)
	base := server.proc.rss()
	body := []byte(`{"model":"bench","max_tokens":16,"messages":[{"role":"user","content":"`)
	body = append(append(body, bytes.Repeat([]byte("lorem "), c.MB*1_000_000/6)...), `"}]}`...)
	request := append(fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		server.addr, server.token, len(body)), body...)
	stop, watched := make(chan struct{}), make(chan int64)
	go func() { // ends when it is told to; what it has seen is read then
		var seen int64
		for {
			select {
			case <-stop:
				watched <- seen
				return
			case <-time.After(5 * time.Millisecond):
				seen = max(seen, server.proc.rss())
			}
		}
	}()
	errs := make([]error, c.AtOnce)
	var callers sync.WaitGroup
	for i := range c.AtOnce {
		callers.Go(func() {
			one, err := server.dial()
			if err != nil {
				errs[i] = err
				return
			}
			defer one.conn.Close()
			for range c.Rounds {
				if errs[i] = one.exchange(request); errs[i] != nil {
					return
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	seen := <-watched
	for _, err := range errs {
		if err != nil {
			return 0, 0, fmt.Errorf("sending a large body: %w", err)
		}
	}
	time.Sleep(time.Second)
	return float64(server.proc.rss()-base) / 1e6, float64(seen-base) / 1e6, ctx.Err()
}
