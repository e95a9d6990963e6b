package activator_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestOutlook_LearnsFromItsOwnPast(t *testing.T) {
	var kept []fleet.Learned
	learn := func(cfg *activator.Config) {
		cfg.Learn = func(l fleet.Learned) { kept = append(kept, l) }
		cfg.Learned = []fleet.Learned{{Model: "known", From: fleet.Cold, Durations: []time.Duration{30 * time.Second, 40 * time.Second, 50 * time.Second}}}
	}
	inWorld(t, []*fleet.Model{model("known", 1), model("new", 1)}, func(w *world) {
		w.startTime = 60 * time.Second
		_, waiter, err := w.a.Acquire(activator.Ask{Model: "known"})
		if err != nil {
			t.Fatal(err)
		}
		defer waiter.Leave()
		for _, row := range []struct{ after, eta time.Duration }{
			{0, 40 * time.Second},
			{35 * time.Second, 15 * time.Second}, // of those that took longer than 35 s
			{55 * time.Second, 0},                // longer than any: not known
		} {
			time.Sleep(row.after - time.Since(w.began))
			synctest.Wait()
			o := waiter.Outlook()
			if o.Answer != fleet.StartingUp || o.Phase != fleet.PhaseLoading || (o.ETA-row.eta).Abs() > time.Second {
				t.Errorf("after %s: got %+v, want starting, loading, %s", row.after, o, row.eta)
			}
		}
		<-waiter.Ready()
		if o := waiter.Outlook(); o.Answer != fleet.Serving {
			t.Errorf("got %+v, want ready", o)
		}
		for range 2 {
			w.serve("new", time.Second)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		want := []fleet.Learned{
			{Model: "known", From: fleet.Cold, Durations: []time.Duration{30 * time.Second, 40 * time.Second, 50 * time.Second, 60 * time.Second}},
			{Model: "new", From: fleet.Cold, Durations: []time.Duration{60 * time.Second}},
			{Model: "new", From: fleet.Cold, Durations: []time.Duration{60 * time.Second, 60 * time.Second}},
		}
		if diff := cmp.Diff(want, kept); diff != "" {
			t.Errorf("learned (-want +got):\n%s", diff)
		}
		r := w.wantErr(askAndWait(w, activator.Ask{Model: "new", MaxWait: 5 * time.Second}), activator.ErrActivationTimeout)
		if r.RetryAfter != 55*time.Second {
			t.Errorf("got retry after %s, want 55 s: what is left of 60", r.RetryAfter)
		}
	}, learn)
}

func askAndWait(w *world, ask activator.Ask) *client {
	c := w.ask(ask)
	w.wait(c)
	return c
}

func TestOutlook_BusySaysItsPlaceInTheLine(t *testing.T) {
	models := []*fleet.Model{model("a", 8), model("b", 8), model("c", 8)}
	inWorld(t, models, func(w *world) {
		a := askAndWait(w, activator.Ask{Model: "a"})
		_, b, _ := w.a.Acquire(activator.Ask{Model: "b"})
		time.Sleep(time.Second)
		_, c, _ := w.a.Acquire(activator.Ask{Model: "c"})
		synctest.Wait() // until the planner has been told of both
		if o := b.Outlook(); o.Answer != fleet.Busy || o.Reason != "waits for 8 GPUs in use" {
			t.Errorf("got %+v", o)
		}
		if o := c.Outlook(); o.Answer != fleet.Busy || o.Reason != "waits for 8 GPUs in use, behind 1 other model" {
			t.Errorf("got %+v", o)
		}
		b.Leave()
		c.Leave()
		a.release(activator.Succeeded)
	})
}

func TestExplain_SaysWhatAndWhyWithoutActing(t *testing.T) {
	models := []*fleet.Model{model("a", 8), model("b", 8), model("huge", 16)}
	inWorld(t, models, func(w *world) {
		explain := func(id string) fleet.Explanation {
			t.Helper()
			e, err := w.a.Explain(id)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		actions := func(id string, want ...string) {
			t.Helper()
			got := explain(id).Actions
			if len(got) != len(want) {
				t.Fatalf("%s: got %q, want %q", id, got, want)
			}
			for k := range got {
				if !strings.Contains(got[k], want[k]) {
					t.Errorf("%s: got %q, want %q", id, got[k], want[k])
				}
			}
		}
		actions("a")
		actions("huge")
		if _, err := w.a.Explain("nobody"); !errors.Is(err, activator.ErrUnknownModel) {
			t.Errorf("got %v, want unknown model", err)
		}
		c := w.ask(activator.Ask{Model: "a"})
		synctest.Wait()
		actions("a", "which is starting (phase loading)")
		w.wait(c)
		if got, want := explain("a").Desired.Reason, "1 request in flight, 4 slots an instance"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		b := w.ask(activator.Ask{Model: "b"})
		synctest.Wait()
		actions("b", "wait for room for 1 more of 8 GPUs")
		time.Sleep(time.Minute)
		synctest.Wait()
		actions("b", "wait for GPUs 0 to 7 of slot local-0 to be freed")
		actions("a", "when its last request has ended: makes room for b")
		c.release(activator.Succeeded)
		w.wait(b)
		b.release(activator.Succeeded)
		time.Sleep(12 * time.Second)
		if got, want := explain("b").Desired.Reason, "idle 12s of 30s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		w.wantLaunches("a", 1)
		w.wantLaunches("b", 1)
	})
}

func TestSnapshot_ShowsTheFleet(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 2), model("b", 4)}, func(w *world) {
		a := askAndWait(w, activator.Ask{Model: "a"})
		b := w.ask(activator.Ask{Model: "b"})
		synctest.Wait()
		s := w.a.Snapshot()
		if got, want := fmt.Sprintf("%s %d %s %d", s.Models[0].State, s.Models[0].Inflight, s.Models[1].State, s.Models[1].Waiting), "hot 1 starting 1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		i, j := s.Instances[0], s.Instances[1]
		if i.Leases != 1 || i.State != fleet.Ready || i.ReadyAt.Sub(i.LaunchedAt) != w.startTime || !i.IdleSince.IsZero() || i.Breaker != "closed" {
			t.Errorf("got %+v", i)
		}
		if j.State != fleet.Starting || j.Phase != fleet.PhaseLoading || !j.ReadyAt.IsZero() {
			t.Errorf("got %+v", j)
		}
		if diff := cmp.Diff([]string{i.ID, i.ID, "", "", j.ID, j.ID, j.ID, j.ID}, s.Pools[0].Slots[0].Occupants); diff != "" {
			t.Errorf("occupants (-want +got):\n%s", diff)
		}
		var phases []string
		for _, p := range s.Activations[1].Phases {
			phases = append(phases, fmt.Sprint(p.Phase, p.At.Sub(s.Activations[1].Began)))
		}
		if diff := cmp.Diff([]string{"queued0s", "submitted0s", "loading0s", "ready20s"}, phases); diff != "" {
			t.Errorf("phases (-want +got):\n%s", diff)
		}
		w.wait(b)
		a.release(activator.Succeeded)
		b.release(activator.Succeeded)
	})
}

func TestFollow_TellsEachTransitionOnce(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 1)}, func(w *world) {
		w.serve("a", time.Second)
		time.Sleep(time.Minute)
		var got []string
		enough := errors.New("enough")
		last := uint64(0)
		err := w.a.Follow(w.Context(), 0, func(n fleet.Notice) error {
			if n.ID != last+1 {
				t.Errorf("got notice %d after %d", n.ID, last)
			}
			last = n.ID
			if n.From != n.To {
				got = append(got, fmt.Sprintf("%s>%s: %s", n.From, n.To, n.Reason))
			}
			if n.To == "" {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Errorf("got %v, want what the callback returned", err)
		}
		want := []string{
			">starting: 1 request waiting", "starting>ready: one token was generated", "ready>draining: idle 30s of 30s",
			"draining>stopping: idle 30s of 30s", "stopping>: exited",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}

		ctx, cancel := context.WithCancelCause(w.Context())
		fresh := 0
		done := make(chan error)
		go func() {
			done <- w.a.Follow(ctx, math.MaxUint64, func(fleet.Notice) error { fresh++; return nil })
		}()
		synctest.Wait()
		if fresh != 0 {
			t.Errorf("got %d old notices, want only new ones", fresh)
		}
		w.serve("a", time.Second)
		synctest.Wait()
		if fresh == 0 {
			t.Errorf("got no new notices")
		}
		cancel(enough)
		if err := <-done; !errors.Is(err, enough) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestMetrics_AreThoseOfTheContract(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 2)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "a"})
		read := func() string {
			var b strings.Builder
			w.a.Metrics().WritePrometheus(&b)
			return b.String()
		}
		want := func(lines ...string) {
			t.Helper()
			text := read()
			for _, line := range lines {
				if !strings.Contains(text, line+"\n") {
					t.Errorf("no %q in\n%s", line, text)
				}
			}
		}
		want(`pilotlight_activation_seconds_count{model="a",from="cold"} 0`,
			`pilotlight_queue_depth{model="a"} 1`, `pilotlight_instances{model="a",state="starting"} 1`,
			`pilotlight_gpus{pool="local",state="starting"} 2`, `pilotlight_gpus{pool="local",state="free"} 6`)
		w.wait(c)
		time.Sleep(10 * time.Second)
		want(`pilotlight_queue_depth{model="a"} 0`, `pilotlight_instances{model="a",state="ready"} 1`, `pilotlight_gpus{pool="local",state="busy"} 2`,
			fmt.Sprintf(`pilotlight_breaker_state{instance=%q} 0`, c.lease.Instance),
			`pilotlight_held_gpu_seconds_total{pool="local"} 60`,
			`pilotlight_activation_seconds_bucket{model="a",from="cold",le="10"} 0`, `pilotlight_activation_seconds_bucket{model="a",from="cold",le="20"} 1`,
			`pilotlight_queue_seconds_bucket{model="a",le="20"} 1`, `pilotlight_queue_seconds_count{model="a"} 1`)
		c.release(activator.Succeeded)
		time.Sleep(10 * time.Second)
		want(`pilotlight_gpus{pool="local",state="idle"} 2`)
		time.Sleep(time.Hour)
		want(`pilotlight_held_gpu_seconds_total{pool="local"} 122`, `pilotlight_gpus{pool="local",state="free"} 8`)
		if strings.Contains(read(), "breaker_state") {
			t.Errorf("a breaker outlives its instance in\n%s", read())
		}
	})
}

func TestMetrics_OfParking(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 2)}, func(w *world) {
		want := func(lines ...string) {
			t.Helper()
			var b strings.Builder
			w.a.Metrics().WritePrometheus(&b)
			for _, line := range lines {
				if !strings.Contains(b.String(), line+"\n") {
					t.Errorf("no %q in\n%s", line, b.String())
				}
			}
		}
		want(`pilotlight_activation_seconds_count{model="a",from="parked"} 0`)
		w.serve("a", time.Second) // 20 s to start, 1 s, 30 s of idle_after
		time.Sleep(30*time.Second + w.parkTime/2)
		want(`pilotlight_instances{model="a",state="parking"} 1`, `pilotlight_gpus{pool="local",state="stopping"} 2`, `pilotlight_gpus{pool="local",state="free"} 6`)
		time.Sleep(time.Hour)
		want(`pilotlight_instances{model="a",state="parked"} 1`, `pilotlight_instances{model="a",state="ready"} 0`,
			`pilotlight_gpus{pool="local",state="free"} 8`, `pilotlight_held_gpu_seconds_total{pool="local"} 106`) // 53 s with the park
		c := w.ask(activator.Ask{Model: "a"})
		want(`pilotlight_instances{model="a",state="resuming"} 1`, `pilotlight_gpus{pool="local",state="starting"} 2`)
		w.wait(c)
		want(`pilotlight_activation_seconds_count{model="a",from="parked"} 1`, `pilotlight_activation_seconds_sum{model="a",from="parked"} 3`,
			`pilotlight_activation_seconds_count{model="a",from="cold"} 1`, `pilotlight_held_gpu_seconds_total{pool="local"} 112`)
		c.release(activator.Succeeded)
	}, parking())
}

func TestUnknownModel(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 1)}, func(w *world) {
		if l, waiter, err := w.a.Acquire(activator.Ask{Model: "b"}); l != nil || waiter != nil || !errors.Is(err, activator.ErrUnknownModel) {
			t.Errorf("got %v, %v, %v, want only ErrUnknownModel", l, waiter, err)
		}
		if s := w.a.ModelState("b"); s != "" {
			t.Errorf("got state %q, want none", s)
		}
	})
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	if _, err := activator.New(activator.Config{}); err == nil {
		t.Error("no back end and no policy: got no error")
	}
}
