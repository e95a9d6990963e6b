package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// soakCmd answers: does anything grow that should not, while all kinds of callers come and go for hours?
type soakCmd struct {
	For   time.Duration `default:"2h" help:"How long the load lasts."`
	Every time.Duration `default:"15s" help:"How often memory, goroutines and descriptors are looked at."`
	Speed int           `default:"20" help:"The simulated engines are so many times faster than life."`
}

func (c *soakCmd) Run(ctx context.Context, o *options) error {
	if c.For < 8*c.Every {
		return fmt.Errorf("--for %s has fewer than eight looks, one each %s; make it longer, or --every shorter", c.For, c.Every)
	}
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	server, err := c.server(ctx, s)
	if err != nil {
		return err
	}
	if err := server.warm(); err != nil {
		return err
	}
	l := newSoakLoad(ctx, s, server)
	l.begin()
	series, err := c.watch(ctx, server, l)
	l.end()
	if err = errors.Join(err, l.failed()); err != nil {
		return fmt.Errorf("%w\n%s", err, server.proc.lastWords())
	}
	r := report{
		Scenario: fmt.Sprintf("%s of small requests, streams, callers who leave, swaps, cold starts, wrong requests, tokens made and revoked, reloads and open consoles", c.For),
		Note:     "an answer other than the expected one ends the run: there was none. A quarter is a fourth of the run; the first fills caches",
		Findings: []finding{
			summarize("requests answered as expected", "n", []float64{float64(l.answered.Load())}),
			summarize("callers who left", "n", []float64{float64(l.left.Load())}),
		},
	}
	for _, what := range series {
		r.Findings = append(r.Findings, what.findings(c.For)...)
	}
	return r.write(o)
}

// server has a model that is always asked, one that goes to zero between two requests, and two that are parked for each other.
func (c *soakCmd) server(ctx context.Context, s *stage) (*pilotlight, error) {
	sim := filepath.Join(s.dir, "trtsim")
	if err := s.buildSimulator(ctx, sim); err != nil {
		return nil, err
	}
	text := "backend \"local\" {\n  gpus        = 4\n  host_memory = \"200GiB\"\n}\n" + sameUser + "\n"
	for name, idle := range map[string]string{"bench": "1h", "cold": "1s"} {
		text += fmt.Sprintf("model %q {\n  gpus            = 1\n  idle_after      = %q\n  max_concurrency = 256\n  instances { max = 1 }\n  engine \"openai\" {\n    command = [%q, \"engine\"]\n    weights = \"none\"\n  }\n}\n", name, idle, s.self)
	}
	for _, name := range []string{"a", "b"} {
		text += fmt.Sprintf("model %q {\n  gpus       = 2\n  idle_after = \"1h\"\n  instances { max = 1 }\n  engine \"sim\" {\n    weights = %q\n    command = [%q]\n    args    = [\"--sim-speed\", \"%d\"]\n  }\n}\n", name, swapModel, sim, c.Speed)
	}
	return s.serve(ctx, text)
}

// grown is one thing that is looked at again and again.
type grown struct {
	name, unit string
	look       func() (float64, error)
	seen       []float64
}

// watch looks at all, until the time is over or a caller got a wrong answer.
func (c *soakCmd) watch(ctx context.Context, server *pilotlight, l *soakLoad) ([]*grown, error) {
	pid := server.proc.cmd.Process.Pid
	entries := func(dir string) func() (float64, error) {
		return func() (float64, error) {
			all, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
			return float64(len(all)), err
		}
	}
	series := []*grown{
		{name: "resident memory", unit: "MB", look: func() (float64, error) { return float64(server.proc.rss()) / 1e6, nil }},
		{name: "goroutines", unit: "n", look: func() (float64, error) { return server.metric(ctx, "go_goroutines") }},
		{name: "open descriptors", unit: "n", look: entries("fd")},
		{name: "threads", unit: "n", look: entries("task")},
		{name: "child processes", unit: "n", look: func() (float64, error) { return float64(len(children(pid))), nil }},
	}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for end := time.Now().Add(c.For); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.stop: // the load ended by itself: by a failure
			return nil, nil
		case <-tick.C:
		}
		for _, what := range series {
			v, err := what.look()
			if err != nil {
				return nil, fmt.Errorf("looking at the server's %s: %w", what.name, err)
			}
			what.seen = append(what.seen, v)
		}
	}
	return series, nil
}

// findings compare the quarter after the first with the last one.
func (g *grown) findings(during time.Duration) []finding {
	n := len(g.seen)
	second, last := quantileOf(g.seen[n/4:n/2], 0.5), quantileOf(g.seen[n-n/4:], 0.5)
	perHour := (last - second) / (during.Hours() * 5 / 8) // between the middles of the two
	return []finding{
		summarize(g.name, g.unit, g.seen),
		summarize(g.name+", last quarter / second", "x", []float64{last / max(second, 1)}),
		summarize(g.name+", growth per hour", g.unit, []float64{perHour}),
	}
}

// metric reads one of the server's, which has no labels.
func (p *pilotlight) metric(ctx context.Context, name string) (float64, error) {
	text, err := p.read(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("/metrics has no %s", name)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// soakLoad is every kind of caller at once, until end or until one of them gets what he should not.
type soakLoad struct {
	ctx      context.Context
	stage    *stage
	server   *pilotlight
	answered atomic.Int64
	left     atomic.Int64

	stop chan struct{} // closed by the first failure, or by end
	once sync.Once
	all  sync.WaitGroup
	mu   sync.Mutex // guards err
	err  error
}

func newSoakLoad(ctx context.Context, s *stage, server *pilotlight) *soakLoad {
	return &soakLoad{ctx: ctx, stage: s, server: server, stop: make(chan struct{})}
}

func (l *soakLoad) begin() {
	for range 4 {
		l.repeat("a small request", 50*time.Millisecond, l.small())
		l.repeat("a stream", 100*time.Millisecond, l.stream)
	}
	for range 2 {
		l.repeat("leaving a stream", 200*time.Millisecond, func() error { return l.leave("bench", 100*time.Millisecond) })
	}
	for _, name := range []string{"a", "b"} {
		l.repeat("a request to "+name, 700*time.Millisecond, func() error { return l.ask(name) })
	}
	l.repeat("a request to a cold model", 5*time.Second, func() error { return l.ask("cold") })
	l.repeat("leaving a cold model", 11*time.Second, func() error { return l.leave("cold", time.Millisecond) })
	l.repeat("an operator's round", 20*time.Second, l.operate)
	wrong := &attack{to: &l.server.target, stop: l.stop}
	l.all.Go(func() { wrong.provoke(10) })
}

// end waits for all callers.
func (l *soakLoad) end() {
	l.once.Do(func() { close(l.stop) })
	l.all.Wait()
}

func (l *soakLoad) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// repeat does something again and again, with a pause between, until it fails or the load ends.
func (l *soakLoad) repeat(what string, pause time.Duration, do func() error) {
	l.all.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			case <-l.ctx.Done():
				return
			case <-time.After(pause):
			}
			if err := do(); err != nil {
				l.mu.Lock()
				l.err = errors.Join(l.err, fmt.Errorf("%s: %w", what, err))
				l.mu.Unlock()
				l.once.Do(func() { close(l.stop) })
				return
			}
		}
	})
}

// small asks on a connection that it keeps for a hundred requests.
func (l *soakLoad) small() func() error {
	var one *client
	asked := 0
	request := l.server.request("hello", false)
	return func() (err error) {
		if one == nil {
			if one, err = l.server.dial(); err != nil {
				return err
			}
		}
		err = one.exchange(request)
		if asked++; err != nil || asked%100 == 0 {
			one.conn.Close()
			one = nil
		}
		if err == nil {
			l.answered.Add(1)
		}
		return err
	}
}

func (l *soakLoad) stream() error {
	one, err := l.server.dial()
	if err != nil {
		return err
	}
	defer one.conn.Close()
	got, err := one.stream(l.server.request("events=50 interval=20ms", true))
	if err == nil && (!got.complete || got.events != 50) {
		err = fmt.Errorf("got %d of 50 events, ended %t", got.events, got.complete)
	}
	if err == nil {
		l.answered.Add(1)
	}
	return err
}

// leave sends a request for a stream and is gone after a while.
func (l *soakLoad) leave(model string, after time.Duration) error {
	conn, err := net.Dial("tcp", l.server.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"events=1000 interval=20ms "}],"stream":true}`, model)
	if _, err := fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", l.server.token, len(body), body); err != nil {
		return err
	}
	time.Sleep(after)
	l.left.Add(1)
	return nil
}

func (l *soakLoad) ask(model string) error {
	_, err := l.server.swapped(l.ctx, model)
	if err == nil {
		l.answered.Add(1)
	}
	return err
}

// operate has a token made, used and revoked, the config read again, and the fleet looked at.
func (l *soakLoad) operate() error {
	id, token, err := l.stage.newToken(l.ctx, l.server, "bench")
	if err != nil {
		return err
	}
	other := l.server.target
	other.token = token
	if err := other.warm(); err != nil {
		return err
	}
	l.answered.Add(1)
	if _, err := l.stage.operator(l.ctx, l.server, "token", "revoke", id); err != nil {
		return err
	}
	if err := l.server.proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	pages, err := (&consolesCmd{Pages: 3}).open(l.ctx, l.server)
	if err != nil {
		return err
	}
	pages.close()
	return nil
}
