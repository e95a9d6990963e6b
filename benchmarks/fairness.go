package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type fairnessCmd struct {
	Hoarders   int           `default:"32" help:"Callers that announce 32 MiB each and send them slowly."`
	Heads      int           `default:"500" help:"Callers that never end their request's head."`
	Bodies     int           `default:"500" help:"Callers that send a small body slowly."`
	Wrong      int           `default:"200" help:"Requests in each window that provoke a 400."`
	Concurrent int           `default:"4" help:"Connections of the honest organisation."`
	Settle     time.Duration `default:"10s" help:"After which memory has to be given back."`
}

// Run measures an honest organisation's first token with nobody else there, then with another organisation that does all it can to keep it waiting.
func (c *fairnessCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	server, err := s.pilotlight(ctx, "")
	if err != nil {
		return err
	}
	honest := server.target
	if honest.token, err = s.issue(ctx, server, "honest"); err != nil {
		return err
	}
	if err := honest.warm(); err != nil {
		return err
	}
	if _, err := c.firstTokens(ctx, &honest, o.Window); err != nil { // the first window also fills pools
		return err
	}
	time.Sleep(c.Settle)
	base := server.proc.rss()

	var alone, beside, ratios, above, held []float64
	for range o.Pairs {
		unloaded, err := c.firstTokens(ctx, &honest, o.Window)
		if err != nil {
			return err
		}
		a := c.attack(&server.target)
		time.Sleep(o.Window) // they are all there
		loaded, err := c.firstTokens(ctx, &honest, o.Window)
		most := server.proc.rss()
		a.end()
		if err != nil {
			return fmt.Errorf("beside the others: %w", err)
		}
		if a.sent.Load() == 0 {
			return errors.New("the others have sent nothing")
		}
		time.Sleep(c.Settle)
		p, q := quantileOf(unloaded, 0.99), quantileOf(loaded, 0.99)
		alone, beside, ratios = append(alone, p), append(beside, q), append(ratios, q/p)
		above, held = append(above, float64(server.proc.rss()-base)/1e6), append(held, float64(most-base)/1e6)
	}
	s.end()
	if err := c.behindSilence(ctx, s); err != nil {
		return err
	}
	r := report{
		Scenario: fmt.Sprintf("an honest organisation beside %d hoarders, %d slow heads, %d slow bodies and %d bad requests of another", c.Hoarders, c.Heads, c.Bodies, c.Wrong),
		Note:     "an error of the honest organisation ends the run, and one behind 1,000 silent sockets where the server may have 800 descriptors: there was none",
		Findings: []finding{
			summarize("first token at p99, alone", "ms", alone),
			summarize("first token at p99, beside the others", "ms", beside),
			summarize("beside / alone, p99", "x", ratios),
			summarize("memory above the base, while they are there", "MB", held),
			summarize(fmt.Sprintf("memory above the base, %s after they have left", c.Settle), "MB", above),
		},
	}
	return r.write(o)
}

// firstTokens streams in a closed loop for the window and gives every time to the first token, in ms. An answer that is no whole stream is an error.
func (c *fairnessCmd) firstTokens(ctx context.Context, t *target, window time.Duration) ([]float64, error) {
	request := t.request("events=3 interval=1ms", true)
	times, errs := make([][]float64, c.Concurrent), make([]error, c.Concurrent)
	end := time.Now().Add(window)
	var callers sync.WaitGroup
	for i := range c.Concurrent {
		callers.Go(func() {
			one, err := t.dial()
			if err != nil {
				errs[i] = err
				return
			}
			defer one.conn.Close()
			for time.Now().Before(end) && ctx.Err() == nil {
				took, err := one.firstToken(request)
				if err != nil {
					errs[i] = err
					return
				}
				times[i] = append(times[i], millis(took))
			}
		})
	}
	callers.Wait()
	return slices.Concat(times...), errors.Join(append(errs, ctx.Err())...)
}

// firstToken sends a streamed request, reads the answer to its end, and gives the time to the first event.
func (c *client) firstToken(request []byte) (took time.Duration, err error) {
	began := time.Now()
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	status, _, err := c.head()
	if err != nil || status != 200 {
		return 0, fmt.Errorf("status %d: %w", status, err)
	}
	done := false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		switch {
		case took == 0 && bytes.HasPrefix(line, []byte("data: ")):
			took = time.Since(began)
		case bytes.HasPrefix(line, []byte("data: [DONE]")):
			done = true
		case string(line) == "0\r\n":
			_, err := c.r.Discard(2)
			if !done {
				err = errors.New("the stream ended without [DONE]")
			}
			return took, err
		}
	}
}

// attack is what another organisation does until end.
type attack struct {
	to   *target
	sent atomic.Int64 // pieces
	stop chan struct{}
	all  sync.WaitGroup
}

func (c *fairnessCmd) attack(t *target) *attack {
	a := &attack{to: t, stop: make(chan struct{})}
	a.hoard(c.Hoarders)
	a.slowHeads(c.Heads)
	a.slowBodies(c.Bodies)
	a.all.Go(func() { a.provoke(c.Wrong) })
	return a
}

const badHead = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"

// announced is the head of a request whose body is to have that length.
func (a *attack) announced(length int) string {
	return fmt.Sprintf("%sAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", badHead, a.to.token, length)
}

// hoard announces large bodies, and sends them slowly.
func (a *attack) hoard(callers int) {
	piece := bytes.Repeat([]byte{' '}, 64<<10)
	for range callers {
		a.dribble(a.announced(32<<20), piece, 2*time.Second)
	}
}

func (a *attack) slowHeads(callers int) {
	for range callers {
		a.dribble(badHead, []byte("X-A: b\r\n"), time.Second)
	}
}

func (a *attack) slowBodies(callers int) {
	piece := bytes.Repeat([]byte{' '}, 512)
	for range callers {
		a.dribble(a.announced(64<<10), piece, time.Second)
	}
}

// end closes all connections and waits for it.
func (a *attack) end() {
	close(a.stop)
	a.all.Wait()
}

// dribble begins a request and sends a piece of it each so often, and again on a new connection where it was refused.
func (a *attack) dribble(first string, piece []byte, each time.Duration) {
	a.all.Go(func() {
		tick := time.NewTicker(each)
		defer tick.Stop()
		var conn net.Conn
		defer func() {
			if conn != nil {
				conn.Close()
			}
		}()
		next := []byte(first)
		for {
			if conn == nil {
				if one, err := a.to.dial(); err == nil {
					conn = one.conn
				}
				next = []byte(first)
			}
			if conn != nil {
				_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := conn.Write(next); err != nil {
					conn.Close()
					conn = nil
				}
				next = piece
				a.sent.Add(1)
			}
			select {
			case <-a.stop:
				return
			case <-tick.C:
			}
		}
	})
}

// provoke sends so many requests that are answered 400, a second's worth each second, until the end.
func (a *attack) provoke(n int) {
	bad := []string{
		`{"model":"bench","messages":[`, `{"model":"bench","model":"other"}`, `{"messages":[]}`,
		`{"model":"bench","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]}]}`,
	}
	tick := time.NewTicker(time.Second / time.Duration(max(n, 1)))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-a.stop:
			return
		case <-tick.C:
		}
		one, err := a.to.dial()
		if err != nil {
			continue
		}
		text := bad[i%len(bad)]
		fmt.Fprintf(one.conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", a.to.token, len(text), text)
		_ = one.conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _, _ = one.head()
		one.conn.Close()
		a.sent.Add(1)
	}
}

// behindSilence has a caller served behind 1,000 sockets that say nothing, where the server may have 800 descriptors.
func (c *fairnessCmd) behindSilence(ctx context.Context, s *stage) error {
	s.descriptors = 800
	defer func() { s.descriptors = 0 }()
	server, err := s.pilotlight(ctx, "")
	if err != nil {
		return err
	}
	defer s.end()
	if err := server.warm(); err != nil {
		return err
	}
	for range 1000 {
		conn, err := net.Dial("tcp", server.addr)
		if err != nil {
			return fmt.Errorf("opening silent sockets: %w", err)
		}
		defer conn.Close()
	}
	for range 200 {
		if err := server.warm(); err != nil { // on a connection of its own
			return fmt.Errorf("behind silent sockets: %w", err)
		}
	}
	return nil
}
