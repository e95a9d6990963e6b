package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestBackoff_TwoFailuresAreTold(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		w.failNext["llama"] = 3
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		r := w.wantErr(c, activator.ErrActivationFailed)
		if c.took > w.startTime+4*time.Second {
			t.Errorf("told after %s, want right after the second failure", c.took)
		}
		if r.RetryAfter < time.Second || r.RetryAfter > 4*time.Second {
			t.Errorf("got retry after %s, want the back-off", r.RetryAfter)
		}
		w.wantLaunches("llama", 2)
		w.wantErr(w.ask(activator.Ask{Model: "llama"}), activator.ErrActivationFailed)
		time.Sleep(time.Hour)
		w.wantLaunches("llama", 2) // nobody asks, nothing is tried
		c = w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		w.wantErr(c, activator.ErrActivationFailed)
		time.Sleep(time.Minute)
		w.serve("llama", time.Second) // the engine is healthy again
		w.wantLaunches("llama", 4)
	})
}

func TestBackoff_OneFailureIsHidden(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		w.failNext["llama"] = 1
		w.serve("llama", time.Second)
		w.wantLaunches("llama", 2)
	})
}

func TestLaunchRefused_IsTriedAgain(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 8)}, func(w *world) {
		w.refuse["llama"] = 1
		w.serve("llama", time.Second)
		w.wantLaunches("llama", 1)
	})
}

func TestStartDeadline_CountsAsFailure(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 8, func(m *fleet.Model) { m.Timeouts.Start, m.Queue.MaxWait = time.Minute, time.Hour })}, func(w *world) {
		w.hang["llama"] = true
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		w.wantErr(c, activator.ErrActivationFailed)
		w.wantLaunches("llama", 2)
		if c.took < 2*time.Minute || c.took > 3*time.Minute {
			t.Errorf("told after %s, want after two starts of a minute", c.took)
		}
		if f := w.a.Snapshot().Activations[0].Failure; f != "not ready within 1m0s" {
			t.Errorf("got failure %q", f)
		}
	})
}

func TestCrash_NextRequestStartsAgain(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		time.Sleep(time.Minute)
		w.exit(w.engineOf("llama"), "killed")
		w.wantState("llama", "cold")
		c.release(activator.EngineFailed)
		retry := w.ask(activator.Ask{Model: "llama", Retry: true, Avoid: c.lease.Instance})
		w.wait(retry)
		if retry.err != nil || retry.lease.Instance == c.lease.Instance {
			t.Errorf("got %+v, %v; want a lease on another instance", retry.lease, retry.err)
		}
		if retry.lease.Start != fleet.Cold {
			t.Errorf("got start %s, want cold", retry.lease.Start)
		}
	})
}

func TestBreaker_TripsProbesAndCloses(t *testing.T) {
	one := model("llama", 1, func(m *fleet.Model) { m.Instances.Max = 1 })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		for range 20 { // a client's errors say nothing
			c.release(activator.Neutral)
			c = w.ask(activator.Ask{Model: "llama"})
			w.wait(c)
		}
		for range 4 {
			c.release(activator.EngineFailed)
			c = w.ask(activator.Ask{Model: "llama"})
			w.wait(c)
		}
		waiting := w.ask(activator.Ask{Model: "llama"})
		w.wait(waiting)
		late := waiting.lease
		c.release(activator.EngineFailed) // the fifth
		a, b := w.ask(activator.Ask{Model: "llama"}), w.ask(activator.Ask{Model: "llama"})
		synctest.Wait()
		if a.ready || b.ready {
			t.Fatalf("an open breaker lets nobody through")
		}
		if got := w.a.Snapshot().Instances[0].Breaker; got != "open" {
			t.Errorf("got %q, want open", got)
		}
		w.wantErr(w.ask(activator.Ask{Model: "llama", OnlyHot: true}), activator.ErrNotHot)
		time.Sleep(10*time.Second + 2*time.Millisecond)
		synctest.Wait()
		if !a.ready || b.ready {
			t.Fatalf("half-open lets exactly one through; got %v, %v", a.ready, b.ready)
		}
		w.mu.Lock()
		w.leases[late.Instance]--
		w.mu.Unlock()
		late.Release(activator.Succeeded) // of a generation before: says nothing now
		synctest.Wait()
		if b.ready {
			t.Fatalf("a lease from before the trip must not close the breaker")
		}
		a.release(activator.Succeeded)
		synctest.Wait()
		if !b.ready || w.a.Snapshot().Instances[0].Breaker != "closed" {
			t.Errorf("the probe's success must close the breaker")
		}
	})
}

func TestBreaker_HopelessInstanceIsReplaced(t *testing.T) {
	one := model("llama", 1, func(m *fleet.Model) { m.Instances.Max = 1 })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		first := w.ask(activator.Ask{Model: "llama"})
		w.wait(first)
		bad := first.lease.Instance
		first.release(activator.EngineFailed)
		for range 10 {
			c := w.ask(activator.Ask{Model: "llama"})
			w.wait(c)
			if c.lease.Instance != bad {
				return
			}
			c.release(activator.EngineFailed)
		}
		t.Errorf("an engine that fails every request is still used")
	})
}
