package activator_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var errBroken = errors.New("broken")

// prober answers our own requests to engines: with err, after a time.
type prober struct {
	asked atomic.Int32
	err   atomic.Value // of error or nil
	takes atomic.Int64
}

func (p *prober) set(err error, takes time.Duration) {
	p.err.Store(&err)
	p.takes.Store(int64(takes))
}

func (p *prober) probe(ctx context.Context, _ *fleet.Model, addr string) error {
	p.asked.Add(1)
	select {
	case <-time.After(time.Duration(p.takes.Load())):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return *p.err.Load().(*error)
}

// breakerWorld is a world with one model of one instance, which is hot and whose engine answers our own requests.
func breakerWorld(t *testing.T, test func(*world, *prober)) {
	t.Helper()
	p := &prober{}
	p.set(nil, 10*time.Millisecond)
	one := model("llama", 1, func(m *fleet.Model) { m.Instances.Max, m.IdleAfter = 1, time.Hour })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		w.serve("llama", time.Second)
		test(w, p)
	}, func(c *activator.Config) { c.Probe = p.probe })
}

// fails has an engine fail a request.
func (w *world) fails(model string) {
	w.Helper()
	c := w.ask(activator.Ask{Model: model})
	w.wait(c)
	if c.lease == nil {
		w.Fatalf("got %v, want a lease", c.err)
	}
	c.release(activator.EngineFailed)
	synctest.Wait()
}

func (w *world) breaker() string { return w.a.Snapshot().Instances[0].Breaker }

func TestBreaker_CallersAloneNeverOpenIt(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		instance := w.engineOf("llama").ID
		for range 600 { // a minute of one bad call after the other
			w.fails("llama")
			if got := w.breaker(); got != "closed" {
				t.Fatalf("got a breaker that is %s, want closed: our own requests are answered", got)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := p.asked.Load(); n < 30 || n > 61 {
			t.Errorf("asked %d times in a minute, want about once a second", n)
		}
		if w.engineOf("llama").ID != instance {
			t.Errorf("the instance was replaced")
		}
	})
}

func TestBreaker_NeutralEndsAskNothing(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		for range 20 {
			c := w.ask(activator.Ask{Model: "llama"})
			w.wait(c)
			c.release(activator.Neutral)
		}
		time.Sleep(time.Minute)
		if n := p.asked.Load(); n != 0 {
			t.Errorf("asked %d times, want never", n)
		}
	})
}

func TestBreaker_OpensWhenOurOwnRequestsFail(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		p.set(errBroken, 10*time.Millisecond)
		w.fails("llama")
		time.Sleep(200 * time.Millisecond)
		if got := w.breaker(); got != "open" || p.asked.Load() != 2 {
			t.Fatalf("got %s after %d of our own requests, want open after 2", got, p.asked.Load())
		}
		w.wantErr(w.ask(activator.Ask{Model: "llama", OnlyHot: true}), activator.ErrNotHot)
		w.ask(activator.Ask{Model: "llama"})
		p.set(nil, time.Second)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := w.breaker(); got != "half-open" || w.a.Snapshot().Models[0].Waiting != 1 {
			t.Fatalf("got %s, %d waiting; want half-open, and the trial to be ours", got, w.a.Snapshot().Models[0].Waiting)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.breaker(); got != "closed" || w.a.Snapshot().Models[0].Waiting != 0 {
			t.Errorf("got %s, %d waiting; want closed, and who waited let through", got, w.a.Snapshot().Models[0].Waiting)
		}
	})
}

func TestBreaker_HopelessInstanceIsReplaced(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		bad := w.engineOf("llama").ID
		p.set(errBroken, 10*time.Millisecond)
		w.fails("llama")
		time.Sleep(time.Second)
		c := w.ask(activator.Ask{Model: "llama"})
		time.Sleep(15 * time.Second)
		if w.engineOf("llama").ID != bad {
			t.Errorf("the instance was replaced before its breaker had opened three times")
		}
		w.wait(c)
		if c.err != nil || c.lease.Instance == bad {
			t.Errorf("got %+v, %v; want a lease on another instance", c.lease, c.err)
		}
	})
}

func TestBreaker_AHungEngineIsNotABusyOne(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		p.set(nil, time.Hour)
		stream := w.ask(activator.Ask{Model: "llama"})
		w.wait(stream)
		w.fails("llama")
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			stream.lease.Heard() // it answers others all the time
		}
		if got := w.breaker(); got != "closed" {
			t.Errorf("busy: got %s, want closed", got)
		}
		w.fails("llama")
		time.Sleep(31 * time.Second)
		if got := w.breaker(); got != "open" {
			t.Errorf("hung: got %s, want open", got)
		}
	})
}

func TestBreaker_WhatOurOwnShortageEndsSaysNothing(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		p.set(fmt.Errorf("dialling: %w", fleet.ErrUndecided), time.Millisecond)
		for range 20 {
			w.fails("llama")
			time.Sleep(time.Second)
		}
		if got := w.breaker(); got != "closed" {
			t.Errorf("got %s, want closed", got)
		}
	})
}

func TestAnswers_AsksOnceForMany(t *testing.T) {
	breakerWorld(t, func(w *world, p *prober) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		lease := c.lease
		c.release(activator.Neutral)
		all := make(chan bool, 10)
		for range 10 {
			go func() { all <- lease.Answers(context.Background()) }()
		}
		for range 10 {
			if !<-all {
				t.Errorf("got false of an engine that answers")
			}
		}
		time.Sleep(500 * time.Millisecond)
		if !lease.Answers(context.Background()) || p.asked.Load() != 1 {
			t.Errorf("asked %d times, want once a second at most", p.asked.Load())
		}
		time.Sleep(time.Second)
		p.set(errBroken, time.Millisecond)
		if lease.Answers(context.Background()) {
			t.Errorf("got true of an engine that fails")
		}
		p.set(nil, time.Hour)
		within, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if began := time.Now(); !lease.Answers(within) || time.Since(began) != 2*time.Second {
			t.Errorf("got false, or not in 2 s, of an engine that has not answered yet")
		}
		w.exit(w.engineOf("llama"), "killed")
		synctest.Wait()
		if lease.Answers(context.Background()) {
			t.Errorf("got true of an instance that is gone")
		}
	})
}
