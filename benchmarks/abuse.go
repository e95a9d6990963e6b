package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

type abuseCmd struct {
	Held       int           `default:"10000" help:"Requests held for a cold model."`
	Streams    int           `default:"2000" help:"Live streams."`
	Each       time.Duration `default:"2s" help:"Time between two events of a stream."`
	Bad        int           `default:"200" help:"Clients that mean harm."`
	Concurrent int           `default:"4" help:"Connections of the callers whose first tokens are measured."`
	Settle     time.Duration `default:"3s" help:"From the last arrival to the measurement."`
}

// Run measures callers' first tokens with nobody else there, then with a herd, a crowd and the bad beside them.
func (c *abuseCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	s.roomFor(c.Held + c.Streams + 2*c.Bad)
	sums := abuseSums{}
	for range o.Pairs {
		if err := c.repetition(ctx, s, o.Window, &sums); err != nil {
			return err
		}
	}
	r := report{
		Scenario: fmt.Sprintf("%d held requests, %d streams and %d bad clients at once", c.Held, c.Streams, c.Bad),
		Note:     "an error of the measured callers ends the run: there was none",
		Findings: []finding{
			summarize("first token at p99, alone", "ms", sums.alone),
			summarize("first token at p99, beside the others", "ms", sums.beside),
			summarize("beside / alone, p99", "x", sums.ratio),
			summarize("first token at p50, alone", "ms", sums.aloneHalf),
			summarize("first token at p50, beside the others", "ms", sums.besideHalf),
			summarize("CPU of the server, all there", "cpu-s/second", sums.cpu),
			summarize("memory of the server, alone", "MB", sums.base),
			summarize("memory of the server, all there", "MB", sums.memory),
			summarize("streams that were cut", "", sums.cut),
			summarize("held requests that were turned away", "", sums.turnedAway),
			summarize("bad clients' attempts per second", "", sums.attempts),
		},
	}
	return r.write(o)
}

type abuseSums struct {
	alone, beside, ratio, aloneHalf, besideHalf, cpu, base, memory, cut, turnedAway, attempts []float64
}

func (c *abuseCmd) repetition(ctx context.Context, s *stage, window time.Duration, sums *abuseSums) error {
	server, err := c.server(ctx, s)
	if err != nil {
		return err
	}
	defer s.end()
	good, crowd := server.target, server.target
	if good.token, err = s.issue(ctx, server, "good"); err != nil {
		return err
	}
	if crowd.token, err = s.issue(ctx, server, "crowd"); err != nil {
		return err
	}
	if err := good.warm(); err != nil {
		return err
	}
	callers := fairnessCmd{Concurrent: c.Concurrent}
	if _, err := callers.firstTokens(ctx, &good, window/2); err != nil { // the first window also fills pools
		return err
	}
	alone, err := callers.firstTokens(ctx, &good, window)
	if err != nil {
		return err
	}
	base := server.proc.rss()

	crowd.from = loopback(2)
	held, err := c.hold(ctx, server, &crowd)
	defer func() {
		for _, one := range held {
			one.conn.Close()
		}
	}()
	if err != nil {
		return err
	}
	crowd.from = loopback(3)
	streams, err := c.stream(&crowd)
	defer streams.end()
	if err != nil {
		return err
	}
	harmed := server.target
	harmed.from = loopback(4)
	bad := c.harm(&harmed)
	defer bad.end()
	time.Sleep(c.Settle)
	cpu, sent := server.proc.cpu(), bad.sent.Load()
	beside, err := callers.firstTokens(ctx, &good, window)
	if err != nil {
		return fmt.Errorf("beside the others: %w", err)
	}
	used, memory, attempts := server.proc.cpu()-cpu, server.proc.rss(), float64(bad.sent.Load()-sent)/window.Seconds()
	waiting, err := server.waiting(ctx, "cold")
	if err != nil {
		return err
	}
	a, b := quantileOf(alone, 0.99), quantileOf(beside, 0.99)
	sums.alone, sums.beside, sums.ratio = append(sums.alone, a), append(sums.beside, b), append(sums.ratio, b/a)
	sums.aloneHalf, sums.besideHalf = append(sums.aloneHalf, quantileOf(alone, 0.5)), append(sums.besideHalf, quantileOf(beside, 0.5))
	sums.cpu, sums.base, sums.memory = append(sums.cpu, used.Seconds()/window.Seconds()), append(sums.base, float64(base)/1e6), append(sums.memory, float64(memory)/1e6)
	sums.cut, sums.turnedAway = append(sums.cut, float64(streams.cut.Load())), append(sums.turnedAway, float64(c.Held-waiting))
	sums.attempts = append(sums.attempts, attempts)
	return nil
}

// server is one with a model that answers and one that is never ready.
func (c *abuseCmd) server(ctx context.Context, s *stage) (*pilotlight, error) {
	model := func(name string, args ...string) string {
		command, _ := json.Marshal(append([]string{s.self, "engine"}, args...)) // texts alone
		return fmt.Sprintf(`model %q {
  gpus            = 1
  endpoints       = ["chat"]
  max_concurrency = 4096
  instances { max = 1 }
  queue {
    limit   = 20000
    per_org = 20000
  }
  engine "openai" {
    command = %s
    weights = "none"
  }
}
`, name, command)
	}
	return s.serve(ctx, "backend \"local\" { gpus = 8 }\n"+sameUser+"\n"+model("bench")+model("cold", "--load", "1h"))
}

// hold sends the requests for the cold model, and waits until all wait.
func (c *abuseCmd) hold(ctx context.Context, server *pilotlight, t *target) ([]*client, error) {
	request := bytes.Replace(t.request("hold", false), []byte(`"model":"bench"`), []byte(`"model":"cold" `), 1)
	return server.holdAll(ctx, "cold", request, c.Held)
}

// streams are live streams, each read by a goroutine.
type streams struct {
	conns []net.Conn
	all   sync.WaitGroup
	over  atomic.Bool
	cut   atomic.Int64 // that ended before they were to
}

// stream opens the live streams. They last until end.
func (c *abuseCmd) stream(t *target) (*streams, error) {
	s := &streams{}
	request := t.request(fmt.Sprintf("events=1000000 interval=%v", c.Each), true)
	for range c.Streams {
		one, err := t.dial()
		if err != nil {
			return s, err
		}
		s.conns = append(s.conns, one.conn)
		if _, err := one.conn.Write(request); err != nil {
			return s, fmt.Errorf("opening a stream: %w", err)
		}
		s.all.Go(func() { s.follow(one) })
	}
	return s, nil
}

// follow reads a stream to its end, which only end brings about.
func (s *streams) follow(one *client) {
	status, _, err := one.head()
	for buffer := make([]byte, 1024); err == nil; {
		_, err = one.r.Read(buffer)
	}
	if !s.over.Load() || status != 200 {
		s.cut.Add(1)
	}
}

func (s *streams) end() {
	s.over.Store(true)
	for _, conn := range s.conns {
		conn.Close()
	}
	s.all.Wait()
}

// harm starts the bad clients, in the proportions that the scenario names.
func (c *abuseCmd) harm(t *target) *attack {
	a := &attack{to: t, stop: make(chan struct{})}
	share := func(of200 int) int { return max(c.Bad*of200/200, 1) }
	a.hoard(share(16))
	a.slowHeads(share(60))
	a.slowBodies(share(60))
	for range share(40) {
		a.deaf()
	}
	for range share(24) {
		a.all.Go(func() { a.provoke(4) })
	}
	return a
}

// deaf opens a stream and never reads it, and opens another where it was ended.
func (a *attack) deaf() {
	request := a.to.request("events=1000000 interval=20ms", true)
	a.dribble(string(request), nil, time.Second)
}
