package activator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestColdStart_FromZeroAndBack(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		w.wantState("llama", "cold")
		c := w.ask(activator.Ask{Model: "llama", Org: "acme"})
		w.wantState("llama", "starting")
		w.wait(c)
		if c.lease.Start != fleet.Cold || c.took != w.startTime || c.lease.Activating != w.startTime || c.lease.Queued != 0 {
			t.Errorf("got start %s after %s (activating %s, queued %s), want cold after %s", c.lease.Start, c.took, c.lease.Activating, c.lease.Queued, w.startTime)
		}
		if want := "addr-" + c.lease.Instance; c.lease.Addr != want {
			t.Errorf("got address %q, want %q", c.lease.Addr, want)
		}
		w.wantState("llama", "hot")
		hot := w.ask(activator.Ask{Model: "llama", Org: "acme"})
		if hot.lease == nil || hot.lease.Start != fleet.Hot || hot.lease.Queued != 0 {
			t.Errorf("got %+v, want a hot lease at once", hot.lease)
		}
		hot.release(activator.Succeeded)
		time.Sleep(time.Hour)
		w.wantState("llama", "hot") // a stream is never cut
		c.release(activator.Succeeded)
		time.Sleep(29 * time.Second)
		w.wantState("llama", "hot")
		time.Sleep(1100 * time.Millisecond)
		w.wantState("llama", "cold")
		w.wantLaunches("llama", 1)
	})
}

func TestThousandWaiters_OneActivation(t *testing.T) {
	one := model("llama", 4, func(m *fleet.Model) { m.Instances.Max, m.MaxConcurrency = 1, 16 })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		var cs []*client
		for i := range 1000 {
			cs = append(cs, w.ask(activator.Ask{Model: "llama", Org: fmt.Sprint("org", i%7)}))
		}
		for _, c := range cs {
			w.wait(c)
			if c.err != nil {
				t.Fatal(c.err)
			}
			w.mu.Lock()
			held := w.leases[c.lease.Instance]
			w.mu.Unlock()
			if held > 16 {
				t.Fatalf("%d leases at once, want at most 16", held)
			}
			time.Sleep(10 * time.Millisecond)
			c.release(activator.Succeeded)
		}
		w.wantLaunches("llama", 1)
	})
}

func TestScaleOut_AtOnceAndBackAgain(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		var cs []*client
		for range 13 {
			cs = append(cs, w.ask(activator.Ask{Model: "llama"}))
		}
		time.Sleep(time.Second)    // a planner that was quick has heard of the first ones only: the others are reported together, 100 ms later
		w.wantLaunches("llama", 4) // ceil(13 / 4)
		for _, c := range cs {
			w.wait(c)
		}
		for _, c := range cs[3:] {
			c.release(activator.Succeeded)
		}
		// Three requests at a time go on: packed on one instance, so that the others become idle.
		for range 60 {
			for i, c := range cs[:3] {
				c.release(activator.Succeeded)
				cs[i] = w.ask(activator.Ask{Model: "llama"})
			}
			time.Sleep(time.Second)
		}
		if n := w.a.Snapshot().Models[0].Hot; n != 1 {
			t.Errorf("got %d hot for three requests, want 1", n)
		}
	})
}

func TestMin_IsKeptHot(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1, func(m *fleet.Model) { m.Instances.Min = 1 }), model("big", 8)}, func(w *world) {
		time.Sleep(time.Hour)
		w.wantState("llama", "hot")
		w.wantLaunches("llama", 1)
		big := w.ask(activator.Ask{Model: "big", MaxWait: time.Minute})
		w.wait(big)
		w.wantErr(big, activator.ErrNoCapacity)
		w.exit(w.engineOf("llama"), "killed")
		time.Sleep(time.Minute)
		w.wantState("llama", "hot")
	})
}

func TestObserverLost_NothingIsStoppedOrForgotten(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		w.mu.Lock()
		w.deaf = true
		w.mu.Unlock()
		for _, cancel := range w.lost {
			cancel()
		}
		time.Sleep(time.Hour)
		w.wantState("llama", "hot")
		w.mu.Lock()
		w.deaf = false
		w.mu.Unlock()
		c.release(activator.Succeeded)
		time.Sleep(time.Minute)
		w.wantState("llama", "cold")
	})
}

func TestAdoption(t *testing.T) {
	models := []*fleet.Model{model("llama", 4)}
	inWorld(t, models, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		c.release(activator.Succeeded)
		w.stop()
		if err := <-w.done; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.mu.Lock()
		w.deaf = true
		w.mu.Unlock()
		w.run(activator.Config{Models: models, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{})}) // the engine outlives the server
		early := w.ask(activator.Ask{Model: "llama"})
		time.Sleep(50 * time.Millisecond)
		w.wantLaunches("llama", 1) // what exists is not known yet
		w.mu.Lock()
		w.deaf = false
		w.mu.Unlock()
		w.wait(early)
		if early.err != nil || early.lease.Instance != c.lease.Instance {
			t.Fatalf("got %+v, %v; want the adopted instance", early.lease, early.err)
		}
		early.release(activator.Succeeded)
		time.Sleep(time.Minute)
		w.wantState("llama", "cold")
		w.wantLaunches("llama", 1)
	})
}
