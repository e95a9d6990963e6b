package activator_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
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

func TestQueue_BoundPlusOneIsOneRefusal(t *testing.T) {
	m := model("llama", 1, func(m *fleet.Model) { m.Queue.Limit, m.Queue.PerOrg = 100, 60 })
	inWorld(t, []*fleet.Model{m}, func(w *world) {
		count := map[error]int{}
		ask := func(org string) {
			c := w.ask(activator.Ask{Model: "llama", Org: org})
			for _, e := range []error{activator.ErrQueueFull, activator.ErrOrgQueueFull} {
				if errors.Is(c.err, e) {
					count[e]++
				}
			}
		}
		for range 61 {
			ask("a")
		}
		for range 41 {
			ask("b")
		}
		if count[activator.ErrOrgQueueFull] != 1 || count[activator.ErrQueueFull] != 1 {
			t.Errorf("got %v, want one of each", count)
		}
	})
}

func TestLeave_FreesPlacesAndStartsNothing(t *testing.T) {
	m := model("llama", 1, func(m *fleet.Model) { m.Queue.Limit = 10 })
	inWorld(t, []*fleet.Model{m}, func(w *world) {
		var ws []*activator.Waiter
		for range 10 {
			_, waiter, err := w.a.Acquire(activator.Ask{Model: "llama"})
			if err != nil {
				t.Fatal(err)
			}
			ws = append(ws, waiter)
		}
		for _, waiter := range ws[:5] {
			waiter.Leave()
			waiter.Leave()
		}
		var late []*client
		for range 5 {
			late = append(late, w.ask(activator.Ask{Model: "llama"}))
		}
		w.wantErr(w.ask(activator.Ask{Model: "llama"}), activator.ErrQueueFull)
		for _, waiter := range ws[5:] {
			waiter.Leave()
		}
		time.Sleep(w.startTime)
		for _, c := range late {
			w.wait(c)
		}
		if n := w.a.Snapshot().Models[0].Inflight; n != 5 {
			t.Errorf("got %d in flight, want the 5 who stayed", n)
		}
		w.wantLaunches("llama", 3) // for ten requests in four slots; those who left have started nothing more
	})
}

func TestMakingRoom_EightModelsInTurn(t *testing.T) {
	var models []*fleet.Model
	for i, gpus := range []int{8, 2, 2, 4, 1, 1, 4, 8} {
		models = append(models, model(fmt.Sprint("m", i), gpus, func(m *fleet.Model) { m.IdleAfter = time.Hour }))
	}
	inWorld(t, models, func(w *world) {
		for range 3 {
			for i := range models {
				if c := w.serve(fmt.Sprint("m", i), time.Second); c.took > w.startTime+w.stopTime {
					t.Errorf("m%d waited %s, want at most one stop and one start", i, c.took)
				}
			}
		}
		time.Sleep(2 * time.Hour)
		for i := range models {
			w.wantState(fmt.Sprint("m", i), "cold")
		}
	})
}

func TestMakingRoom_BusyAreDrainedNotCut(t *testing.T) {
	inWorld(t, []*fleet.Model{model("small", 1), model("large", 8)}, func(w *world) {
		s := w.ask(activator.Ask{Model: "small"})
		w.wait(s)
		time.Sleep(45 * time.Second) // hot for 45 s of 60 s
		l := w.ask(activator.Ask{Model: "large"})
		time.Sleep(14 * time.Second)
		if s2 := w.ask(activator.Ask{Model: "small"}); s2.lease == nil {
			t.Errorf("before residence a busy instance must still grant; got %v", s2.err)
		} else {
			s2.release(activator.Succeeded)
		}
		time.Sleep(2 * time.Second) // patience and residence are over
		s3 := w.ask(activator.Ask{Model: "small"})
		synctest.Wait()
		if s3.ready {
			t.Errorf("a draining instance granted a lease: %+v %v", s3.lease, s3.err)
		}
		time.Sleep(5 * time.Minute)
		if l.ready {
			t.Errorf("the large model was answered while a stream ran: %v", l.err)
		}
		s.release(activator.Succeeded)
		w.wait(l)
		if l.err != nil {
			t.Fatal(l.err)
		}
		l.release(activator.Succeeded)
		w.wait(s3) // and the small one has its turn again
		if s3.err != nil {
			t.Error(s3.err)
		}
	})
}

func TestStarvation_LargeAgainstManySmall(t *testing.T) {
	models := []*fleet.Model{model("large", 8)}
	for _, id := range ids(12) {
		models = append(models, model(id, 1, func(m *fleet.Model) { m.Queue.MaxWait = time.Hour; m.IdleAfter = time.Hour }))
	}
	inWorld(t, models, func(w *world) {
		over := make(chan struct{})
		for _, id := range ids(12) {
			go func() { // somebody always uses each of the small ones
				for {
					select {
					case <-over:
						return
					default:
					}
					c := w.ask(activator.Ask{Model: id})
					<-c.done
					time.Sleep(7 * time.Second)
					if c.err == nil {
						c.release(activator.Succeeded)
					}
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		for range 3 {
			c := w.serve("large", time.Second)
			if c.took > 4*time.Minute {
				t.Errorf("the large model waited %s", c.took)
			}
			time.Sleep(3 * time.Minute)
		}
		close(over)
		time.Sleep(time.Hour)
	})
}

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

func TestRetry_GoesFirstAndAvoids(t *testing.T) {
	one := model("llama", 1, func(m *fleet.Model) { m.Instances.Max, m.MaxConcurrency, m.Queue.Limit = 1, 1, 1 })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		other := w.ask(activator.Ask{Model: "llama", Org: "b"})
		retry := w.ask(activator.Ask{Model: "llama", Retry: true, Avoid: c.lease.Instance}) // beyond the queue's bound of 1
		time.Sleep(3 * time.Second)                                                         // its avoidance of the only instance is over
		c.release(activator.EngineFailed)
		synctest.Wait()
		if !retry.ready || retry.err != nil || other.ready {
			t.Fatalf("got retry %v %v, other %v; want the retry first", retry.ready, retry.err, other.ready)
		}
		again := w.ask(activator.Ask{Model: "llama", Retry: true, Avoid: c.lease.Instance})
		retry.release(activator.Succeeded)
		synctest.Wait()
		if again.ready || !other.ready {
			t.Errorf("a retry must keep away from the only instance for 2 s without holding up others")
		}
	})
}

func TestFairness_OrgsInTurn(t *testing.T) {
	one := model("llama", 1, func(m *fleet.Model) { m.Instances.Max, m.MaxConcurrency = 1, 1 })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		first := w.ask(activator.Ask{Model: "llama", Org: "flood"})
		w.wait(first)
		var flood []*client
		for range 500 {
			flood = append(flood, w.ask(activator.Ask{Model: "llama", Org: "flood"}))
		}
		quiet := w.ask(activator.Ask{Model: "llama", Org: "quiet"})
		first.release(activator.Succeeded)
		synctest.Wait()
		flood[0].release(activator.Succeeded)
		synctest.Wait()
		if !quiet.ready || flood[1].ready {
			t.Errorf("the quiet org must wait for at most one request of the flood")
		}
	})
}

func TestDeadline_SaysWhatWasMissing(t *testing.T) {
	models := []*fleet.Model{model("a", 8), model("b", 8), model("huge", 16)}
	inWorld(t, models, func(w *world) {
		r := w.wantErr(w.ask(activator.Ask{Model: "huge"}), activator.ErrNoCapacity)
		if r.Outlook.Answer != fleet.NeverFits || r.RetryAfter != 0 {
			t.Errorf("got %+v, want never_fits and no retry", r)
		}
		w.hang["a"] = true
		a := w.ask(activator.Ask{Model: "a", MaxWait: 5 * time.Second})
		b := w.ask(activator.Ask{Model: "b", MaxWait: 6 * time.Second})
		w.wait(a)
		w.wait(b)
		if r := w.wantErr(a, activator.ErrActivationTimeout); r.Outlook.Answer != fleet.StartingUp || r.Outlook.Phase != fleet.PhaseLoading {
			t.Errorf("got %+v, want starting, loading", r.Outlook)
		}
		if r := w.wantErr(b, activator.ErrNoCapacity); r.Outlook.Answer != fleet.Busy || r.RetryAfter != 10*time.Second {
			t.Errorf("got %+v after %s, want busy and the default", r.Outlook, r.RetryAfter)
		}
		if a.took != 5*time.Second || b.took != 6*time.Second {
			t.Errorf("told after %s and %s, want 5 s and 6 s", a.took, b.took)
		}
		w.wantLaunches("b", 0)
	})
}

func TestOnlyHot_StartsNothing(t *testing.T) {
	one := model("llama", 1, func(m *fleet.Model) { m.Instances.Max, m.MaxConcurrency = 1, 1 })
	inWorld(t, []*fleet.Model{one}, func(w *world) {
		w.wantErr(w.ask(activator.Ask{Model: "llama", OnlyHot: true}), activator.ErrNotHot)
		time.Sleep(time.Minute)
		w.wantLaunches("llama", 0)
		c := w.ask(activator.Ask{Model: "llama"})
		w.wantErr(w.ask(activator.Ask{Model: "llama", OnlyHot: true}), activator.ErrNotHot)
		w.wait(c)
		full := w.ask(activator.Ask{Model: "llama", OnlyHot: true})
		if full.ready {
			t.Fatalf("a hot but full model is waited for; got %v", full.err)
		}
		w.exit(w.engineOf("llama"), "killed")
		w.wantErr(full, activator.ErrNotHot)
	})
}

func TestScaleOut_AtOnceAndBackAgain(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		var cs []*client
		for range 13 {
			cs = append(cs, w.ask(activator.Ask{Model: "llama"}))
		}
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

func TestAffinity_StaysAndFallsBack(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1, func(m *fleet.Model) { m.Instances.Min = 4 })}, func(w *world) {
		time.Sleep(time.Minute)
		byKey := map[string]string{}
		used := map[string]bool{}
		for i := range 200 {
			key := fmt.Sprint("conversation ", i%20)
			c := w.ask(activator.Ask{Model: "llama", Affinity: key})
			if was := byKey[key]; was != "" && was != c.lease.Instance {
				t.Fatalf("%s moved from %s to %s", key, was, c.lease.Instance)
			}
			byKey[key] = c.lease.Instance
			used[c.lease.Instance] = true
			c.release(activator.Succeeded)
		}
		if len(used) < 3 {
			t.Errorf("20 conversations use %d of 4 instances", len(used))
		}
		var other bool
		for range 5 {
			c := w.ask(activator.Ask{Model: "llama", Affinity: "conversation 0"})
			other = other || c.lease.Instance != byKey["conversation 0"]
		}
		if !other {
			t.Errorf("the fifth of one conversation must fall back on another instance")
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

func TestHoldAndStop(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1), model("big", 8), model("huge", 16)}, func(w *world) {
		if err := w.a.Hold("huge", 0); !errors.Is(err, activator.ErrNoCapacity) {
			t.Errorf("holding what never fits: got %v", err)
		}
		if err := w.a.Hold("nobody", 0); !errors.Is(err, activator.ErrUnknownModel) {
			t.Errorf("holding an unknown model: got %v", err)
		}
		if err := w.a.Hold("llama", 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		w.wantState("llama", "hot")
		big := w.ask(activator.Ask{Model: "big", MaxWait: 30 * time.Second})
		w.wait(big)
		w.wantErr(big, activator.ErrNoCapacity) // what an operator holds is not moved
		time.Sleep(time.Minute)
		w.wantState("llama", "cold")

		c := w.ask(activator.Ask{Model: "llama"})
		w.wait(c)
		if err := w.a.Hold("llama", time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := w.a.StopModel("llama"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.wantLaunches("llama", 2)
		c.release(activator.Succeeded)
		time.Sleep(2 * time.Minute)
		w.wantState("llama", "cold") // the hold is over
		w.serve("llama", time.Second)
		w.wantLaunches("llama", 3)
	})
}

func TestStop_WhileStarting(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		if err := w.a.Hold("llama", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if err := w.a.StopModel("llama"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.wantState("llama", "cold")
		w.wantLaunches("llama", 1)
		w.serve("llama", time.Second) // no back-off for what the operator stopped
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

func TestDrain_AnswersAll(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.a.Drain()
		w.wantErr(c, activator.ErrShuttingDown)
		w.wantErr(w.ask(activator.Ask{Model: "llama"}), activator.ErrShuttingDown)
	})
}

func TestRun_EndAnswersWhoStillWaits(t *testing.T) {
	inWorld(t, []*fleet.Model{model("llama", 1)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "llama"})
		w.stop()
		w.wantErr(c, activator.ErrShuttingDown)
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
