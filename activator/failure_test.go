package activator_test

import (
	"testing"
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

// TestCrash_OfEnginesThatWereReadyIsNoFailedStart: a request that kills its engine, sent again and again, is no reason to refuse others.
func TestCrash_OfEnginesThatWereReadyIsNoFailedStart(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		for range 4 {
			killer := w.ask(activator.Ask{Model: "llama", Org: "a"})
			w.wait(killer)
			if killer.err != nil {
				t.Fatalf("got %v, want an engine", killer.err)
			}
			other := w.ask(activator.Ask{Model: "llama", Org: "b"})
			w.wait(other)
			other.release(activator.Succeeded)
			w.exit(w.engineOf("llama"), "killed") // a second after it was ready
			killer.release(activator.EngineFailed)
			waits := w.ask(activator.Ask{Model: "llama", Org: "b"})
			w.wait(waits)
			if waits.err != nil {
				t.Fatalf("another organisation got %v, want an engine", waits.err)
			}
			if waits.took > w.startTime+20*time.Second {
				t.Errorf("another organisation waited %v", waits.took)
			}
			waits.release(activator.Succeeded)
		}
	})
}
