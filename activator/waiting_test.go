package activator_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

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
		time.Sleep(time.Second) // all ten are reported by now
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
