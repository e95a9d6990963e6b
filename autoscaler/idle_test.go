package autoscaler_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// hot gives the wish for a model with one hot instance that has been idle since now, after so long, where idle time counts so much.
func (l *life) hot(after time.Duration, cost float64, parks bool) fleet.Desired {
	return l.policy.Decide(l.now.Add(after), &fleet.ModelView{
		Model: l.model, IdleSince: l.now, IdleCost: cost, Parks: parks, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now, ReadyAt: l.now.Add(-time.Hour)}},
	})
}

// gaps is an adaptive policy of an hour of age, whose model had so many gaps of one length, and whose park and wake take 2 s each.
func gaps(n int, gap time.Duration) *life { return gapsOf(n, gap, autoscaler.AdaptiveConfig{}) }

func gapsOf(n int, gap time.Duration, c autoscaler.AdaptiveConfig) *life {
	l := newLife(autoscaler.NewAdaptive(c))
	l.moves(time.Minute, 2*time.Second, 2*time.Second)
	l.now = l.now.Add(time.Hour)
	for range n {
		l.serve(1, time.Second)
		l.now = l.now.Add(gap)
	}
	l.serve(1, time.Second)
	return l
}

// The first park of an engine takes longer than later ones, so the engine is kept for longer before it.
func TestAdaptive_TheFirstParkIsDearer(t *testing.T) {
	l := gaps(8, 5*time.Minute)
	l.policy.Observe(fleet.Event{Kind: fleet.EventParked, At: l.now, Model: l.model.ID, N: 1, Took: 12 * time.Second, First: true})
	kept := func(unparked bool) time.Duration {
		for after := time.Duration(0); ; after += time.Second {
			d := l.policy.Decide(l.now.Add(after), &fleet.ModelView{
				Model: l.model, IdleSince: l.now, IdleCost: 1, Parks: true, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now, ReadyAt: l.now.Add(-time.Hour), Unparked: unparked}},
			})
			if d.Hot == 0 || after > time.Minute {
				return after
			}
		}
	}
	if first, later := kept(true), kept(false); first != 14*time.Second || later != 4*time.Second { // the idle time that costs as much as a park and a wake of 2 s
		t.Errorf("kept for %s before its first park and %s before a later one, want 14s and 4s", first, later)
	}
}

func TestAdaptive_EachRuleKeepsAsLongAsItSaysAndIsNamed(t *testing.T) {
	const idleAfter = 30 * time.Second
	rows := []struct {
		name  string
		life  *life
		cost  float64
		parks bool
		lasts time.Duration
		kept  string // the reason before
		over  string // and after
	}{
		{
			name: "nobody wants its GPUs, and its gaps are long", life: gaps(200, 5*time.Minute), parks: true, lasts: idleAfter,
			kept: "kept hot until idle_after, 30s: nobody wants its GPUs", over: "let go after 30s without a request: its idle_after is 30s",
		},
		{
			name: "unknown", life: gaps(5, 5*time.Minute), cost: 1, parks: true, lasts: idleAfter,
			kept: "kept hot until idle_after, 30s: its arrivals are not known yet", over: "let go after 30s without a request: its idle_after is 30s",
		},
		{
			name: "known, but not well", life: gaps(6, 5*time.Minute), cost: 1, parks: true, lasts: 4 * time.Second,
			kept: "kept hot for 4s without a request: idle time costs less than a park and a wake",
			over: "let go after 4s without a request: idle time would cost more than a park and a wake",
		},
		{
			name: "idle time counts half", life: gaps(6, 5*time.Minute), cost: 0.5, parks: true, lasts: 8 * time.Second,
			kept: "kept hot for 8s without a request: idle time costs less than a park and a wake",
			over: "let go after 8s without a request: idle time would cost more than a park and a wake",
		},
		{
			name: "known well, and its gaps are short", life: gaps(200, 8*time.Second), cost: 1, parks: true, lasts: 9094947017 * time.Nanosecond,
			kept: "kept hot for 9s without a request: its arrivals make it worth it",
			over: "let go after 9s without a request: by its arrivals longer is not worth it",
		},
		{
			name: "known well, and its gaps are long", life: gaps(200, 5*time.Minute), cost: 1, parks: true, lasts: 4 * time.Second,
			kept: "kept hot for 4s without a request: idle time costs less than a park and a wake",
			over: "let go after 4s without a request: idle time would cost more than a park and a wake",
		},
		{
			name: "what cannot be parked is worth a start", life: gaps(6, 2*time.Hour), cost: 1, lasts: idleAfter,
			kept: "kept hot until idle_after, 30s: idle time costs less than a stop and a start", over: "let go after 30s without a request: its idle_after is 30s",
		},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			r.life.model.IdleAfter = idleAfter
			for _, after := range []time.Duration{0, r.lasts - 1} {
				d := r.life.hot(after, r.cost, r.parks)
				if d.Hot != 1 || d.Reason != r.kept || !d.ReviewAt.Equal(r.life.now.Add(r.lasts)) {
					t.Errorf("idle %s: got %d hot, %q, and a look after %s; want 1, %q, %s", after, d.Hot, d.Reason, d.ReviewAt.Sub(r.life.now), r.kept, r.lasts)
				}
			}
			if d := r.life.hot(r.lasts, r.cost, r.parks); d.Hot != 0 || d.Reason != r.over {
				t.Errorf("idle %s: got %d hot, %q; want 0, %q", r.lasts, d.Hot, d.Reason, r.over)
			}
		})
	}
}

func TestAdaptive_WithoutAnIdleAfter(t *testing.T) {
	if d := gaps(200, 5*time.Minute).hot(24*time.Hour, 0, true); d.Hot != 1 || d.Reason != "kept hot: nobody wants its GPUs" || !d.ReviewAt.IsZero() {
		t.Errorf("idle for a day, at no cost: got %+v, want it hot, and never looked at again", d)
	}
	for after, want := range map[time.Duration]int{5*time.Minute - 1: 1, 5 * time.Minute: 0} {
		if d := gaps(1, time.Hour).hot(after, 1, true); d.Hot != want {
			t.Errorf("arrivals unknown, idle %s: got %d hot, want %d: %s", after, d.Hot, want, d.Reason)
		}
	}
}

// Where the gaps are well known, keeping it for the bound may cost a little more than the least, and no more than that.
func TestAdaptive_TheBoundCostsLittleWhereTheGapsAreWellKnown(t *testing.T) {
	l := gapsOf(200, time.Hour, autoscaler.AdaptiveConfig{BoundMayCost: 0.02})
	l.moves(time.Minute, 20*time.Second, 20*time.Second)
	// Letting go at once costs 20 + 20 GPU-seconds and, at a weight of 10, 20 s of waiting: 240 in all, of which 4.8 are 2 %.
	d := l.hot(0, 1, true)
	if kept := d.ReviewAt.Sub(l.now); d.Hot != 1 || kept < 3*time.Second || kept > 4800*time.Millisecond || !strings.Contains(d.Reason, "less than a park and a wake") {
		t.Errorf("got %d hot for %s, %q; want it kept for some 4 s", d.Hot, kept, d.Reason)
	}
}

// The rules of a model that is new are for its last instance. Spare ones of a busy model follow the others.
func TestAdaptive_SpareOnesOfANewModelAreNotKept(t *testing.T) {
	l := gaps(1, time.Minute)
	v := &fleet.ModelView{
		Model: l.model, Inflight: 1, IdleCost: 1, Parks: true,
		Hot: []fleet.HotView{{ID: "busy", Leases: 1}, {ID: "spare", IdleSince: l.now.Add(-5 * time.Second)}, {ID: "spare2", IdleSince: l.now.Add(-5 * time.Second)}},
	}
	if d := l.policy.Decide(l.now, v); d.Hot != 1 {
		t.Errorf("got %d hot, want only the busy one: %s", d.Hot, d.Reason)
	}
	v.Inflight, v.Hot = 0, v.Hot[1:]
	if d := l.policy.Decide(l.now, v); d.Hot != 1 {
		t.Errorf("got %d hot, want one of the two idle ones: %s", d.Hot, d.Reason)
	}
}

func TestAdaptive_SaysForHowLongTheLastOneWasKept(t *testing.T) {
	l := gaps(200, time.Minute)
	d := l.policy.Decide(l.now, &fleet.ModelView{Model: l.model, IdleSince: l.now, Parked: 1, Spared: fleet.Spared{Idle: 30 * time.Second}})
	if want := "no requests; the last instance was let go after 30s without one"; d.Reason != want {
		t.Errorf("got %q, want %q", d.Reason, want)
	}
}

// Whoever waits may have an idle instance's GPUs whatever rule keeps it: it is worth no more than one that no rule would keep.
func TestAdaptive_NoRuleMakesAnIdleOneDearer(t *testing.T) {
	kept, known := gaps(1, time.Minute).hot(20*time.Second, 0, true).HotValue, gaps(200, time.Minute).hot(20*time.Second, 1, true).HotValue
	if kept != known {
		t.Errorf("got %g where it is kept and %g where it is not, want the same", kept, known)
	}
}

var _ activator.Policy = (*autoscaler.Adaptive)(nil)
