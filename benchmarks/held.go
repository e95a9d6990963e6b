package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

type heldCmd struct {
	Requests int           `default:"10000" help:"Requests held at once."`
	Watch    time.Duration `default:"10s" help:"How long idle CPU is watched."`
}

// Run holds requests for a model whose engine never gets ready, and looks at what they cost.
func (c *heldCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	s.roomFor(c.Requests)
	var memory, one, all, more []float64
	for range o.Pairs {
		kb, idle, busy, err := c.repetition(ctx, s)
		if err != nil {
			return err
		}
		memory, one, all, more = append(memory, kb), append(one, idle), append(all, busy), append(more, busy-idle)
	}
	r := report{Scenario: fmt.Sprintf("%d requests held for a cold model", c.Requests), Findings: []finding{
		summarize("memory per held request", "KB", memory),
		summarize("CPU per second, one waiting for the loading engine", "ms", one),
		summarize("CPU per second, all waiting", "ms", all),
		summarize("CPU per second, all waiting, less one waiting before", "ms", more),
	}}
	return r.write(o)
}

// repetition gives the memory of a held request in KB, and the CPU per second in ms: first with one waiting, then with all.
func (c *heldCmd) repetition(ctx context.Context, s *stage) (memory, idle, busy float64, err error) {
	server, err := s.pilotlight(ctx, "instances { max = 1 }", "--load", "1h") // a second engine would be looked at while it loads, too
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.end()
	one := heldCmd{Requests: 1}
	first, err := one.hold(ctx, server) // the engine loads from here on, and is looked at, whoever waits for it
	if err != nil {
		return 0, 0, 0, err
	}
	defer first[0].conn.Close()
	time.Sleep(time.Second) // start-up work is not what is watched
	empty := server.proc.rss()
	idle = c.cpuPerSecond(server)

	held, err := c.hold(ctx, server)
	defer func() {
		for _, one := range held {
			one.conn.Close()
		}
	}()
	if err != nil {
		return 0, 0, 0, err
	}
	time.Sleep(2 * time.Second) // the garbage of the arrivals
	memory = float64(server.proc.rss()-empty) / float64(c.Requests) / 1e3
	return memory, idle, c.cpuPerSecond(server), nil
}

// cpuPerSecond watches a server, in ms.
func (c *heldCmd) cpuPerSecond(server *pilotlight) float64 {
	before := server.proc.cpu()
	time.Sleep(c.Watch)
	return millis(server.proc.cpu()-before) / c.Watch.Seconds()
}

// hold sends all requests and waits until the server says that they wait.
func (c *heldCmd) hold(ctx context.Context, server *pilotlight) ([]*client, error) {
	return server.holdAll(ctx, "bench", server.request("hold", false), c.Requests)
}

// holdAll sends a request many times, and waits until the server says that all wait for the model.
func (p *pilotlight) holdAll(ctx context.Context, model string, request []byte, requests int) ([]*client, error) {
	held := make([]*client, 0, requests)
	target := p.target
	for i := range requests {
		target.from = loopback(byte(10 + i%2)) // one address may not have them all
		one, err := target.dial()
		if err != nil {
			return held, err
		}
		one.r = nil // 10,000 read buffers of our own would be measured nowhere and needed never
		held = append(held, one)
		if _, err := one.conn.Write(request); err != nil {
			return held, fmt.Errorf("sending a request to hold: %w", err)
		}
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		waiting, err := p.waiting(ctx, model)
		if err != nil || waiting >= requests {
			return held, err
		}
		if time.Now().After(deadline) {
			return held, fmt.Errorf("%d requests wait, want %d", waiting, requests)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

type releaseCmd struct {
	Starts int           `default:"30" help:"Cold starts."`
	Load   time.Duration `default:"300ms" help:"Time that the engine loads."`
	Silent bool          `help:"The engine writes no line when it begins to listen, as every server does."`
}

// Run times, for each cold start, engine listens -> one-token probe at the engine -> held request at the engine.
func (c *releaseCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	engineReports, err := listenReports()
	if err != nil {
		return err
	}
	args := []string{"--load", c.Load.String(), "--report", engineReports.addr()}
	how := ""
	if c.Silent {
		args, how = append(args, "--silent"), ", and the engine writes nothing"
	}
	server, err := s.pilotlight(ctx, `idle_after = "100ms"`, args...)
	if err != nil {
		return err
	}
	var fromListen, fromProbe []time.Duration
	for i := range c.Starts {
		one, err := server.dial()
		if err != nil {
			return err
		}
		if _, err := one.conn.Write(server.request(fmt.Sprintf("tag=%d", i), false)); err != nil {
			return fmt.Errorf("sending a request: %w", err)
		}
		listening, err := engineReports.within(c.Load+10*time.Second, "listening")
		if err != nil {
			return err
		}
		probe, err := engineReports.next("probe")
		if err != nil {
			return err
		}
		request, err := engineReports.next("request")
		if err != nil {
			return err
		}
		one.conn.Close()
		fromListen = append(fromListen, request.at.Sub(listening.at))
		fromProbe = append(fromProbe, request.at.Sub(probe.at))
		if err := server.awaitCold(ctx); err != nil {
			return err
		}
	}
	l, p := quantiles(fromListen, 0.5, 0.95), quantiles(fromProbe, 0.5, 0.95)
	r := report{Scenario: fmt.Sprintf("release of held requests after a cold start (load %v%s)", c.Load, how), Findings: []finding{
		summarize("engine listens to first held request at the engine", "ms", asMillis(fromListen)),
		{Name: "engine listens to first held request at the engine, p95", Unit: "ms", Median: millis(l[1]), Min: millis(l[0]), Max: millis(l[1]), N: c.Starts},
		summarize("engine's first token to first held request", "ms", asMillis(fromProbe)),
		{Name: "engine's first token to first held request, p95", Unit: "ms", Median: millis(p[1]), Min: millis(p[0]), Max: millis(p[1]), N: c.Starts},
	}}
	return r.write(o)
}

type drainCmd struct {
	Streams int `default:"100" help:"Live streams at SIGTERM."`
}

// Run sends SIGTERM in the middle of live streams and counts those that end as they should.
func (c *drainCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	server, err := s.pilotlight(ctx, `idle_after = "1h"`)
	if err != nil {
		return err
	}
	if err := server.warm(); err != nil {
		return err
	}
	load := sseCmd{Events: 60, Interval: 50 * time.Millisecond}
	sent := make(chan error, 1)
	timer := time.AfterFunc(time.Second, func() { sent <- server.proc.cmd.Process.Signal(syscall.SIGTERM) })
	defer timer.Stop()
	all, err := load.load(ctx, &server.target, c.Streams)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("sending SIGTERM: %w", err)
	}
	complete := 0
	for _, one := range all {
		if one.complete {
			complete++
		}
	}
	r := report{Scenario: fmt.Sprintf("SIGTERM with %d live streams", c.Streams), Findings: []finding{
		summarize("complete streams", "", []float64{float64(complete)}),
	}}
	return r.write(o)
}
