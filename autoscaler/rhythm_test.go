package autoscaler_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// called is an adaptive policy whose model has been called with such intervals between, served a second each time, and then parked.
func called(interval func() time.Duration, times int) *life {
	l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}))
	l.moves(time.Minute, 2*time.Second, 2*time.Second)
	for range times {
		begin := l.now
		l.serve(1, time.Second)
		l.policy.Observe(fleet.Event{Kind: fleet.EventParked, At: l.now.Add(3 * time.Second), Model: l.model.ID, N: 1, Took: 2 * time.Second})
		l.now = begin.Add(interval())
	}
	return l
}

// pair has a policy see one model called at random, and the model of its life so long behind it, each time with the given probability.
func pair(delay func() time.Duration, likely float64) *life {
	l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}))
	l.moves(time.Minute, 2*time.Second, 2*time.Second)
	r := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		l.now = l.now.Add(5*time.Minute + time.Duration(r.IntN(600))*time.Second)
		l.leads()
		begin := l.now
		if r.Float64() < likely {
			l.now = l.now.Add(delay())
			l.serve(1, time.Second)
			l.policy.Observe(fleet.Event{Kind: fleet.EventParked, At: l.now.Add(time.Second), Model: l.model.ID, N: 1, Took: 2 * time.Second})
		}
		l.now = begin.Add(time.Minute)
	}
	return l
}

// leads has the other model serve one request.
func (l *life) leads() {
	for _, e := range []fleet.Event{{Kind: fleet.EventArrived, N: 1}, {Kind: fleet.EventBusy}, {Kind: fleet.EventIdle}} {
		e.Model, e.At = "leader", l.now
		l.policy.Observe(e)
	}
}

func TestAdaptive_AFollowerIsWokenBehindItsLeader(t *testing.T) {
	three := func() time.Duration { return 3 * time.Second }
	for _, restarted := range []bool{false, true} {
		l := pair(three, 1)
		if restarted {
			b, err := l.policy.(*autoscaler.Adaptive).Save()
			if err != nil {
				t.Fatal(err)
			}
			p := autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{})
			if err := p.Load(b); err != nil {
				t.Fatal(err)
			}
			l.policy = p
		}
		last := l.now
		l.now = l.now.Add(10 * time.Minute)
		if d := l.asleep(last, l.now.Sub(last)); d.Hot != 0 {
			t.Errorf("before its leader is called: got %d hot, want none: %s", d.Hot, d.Reason)
		}
		l.leads()
		lead := *l.model
		lead.ID = "leader"
		if d := l.policy.Decide(l.now, &fleet.ModelView{Model: &lead, Inflight: 1}); len(d.Also) != 1 || d.Also[0] != l.model.ID {
			t.Errorf("got %q to be asked about, too, want the follower", d.Also)
		}
		for after, want := range map[time.Duration]int{0: 1, 3 * time.Second: 1, 4 * time.Second: 0} {
			if d := l.asleep(last, l.now.Add(after).Sub(last)); d.Hot != want {
				t.Errorf("restarted %t, %s behind its leader: got %d hot, want %d: %s", restarted, after, d.Hot, want, d.Reason)
			}
		}
	}
}

func TestAdaptive_WhoFollowsByChanceIsNotWoken(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for name, l := range map[string]*life{
		"one time in three":     pair(func() time.Duration { return 3 * time.Second }, 0.33),
		"at any time up to 30s": pair(func() time.Duration { return time.Duration(r.IntN(30_000)) * time.Millisecond }, 0.8),
	} {
		last := l.now
		l.now = l.now.Add(10 * time.Minute)
		l.leads()
		if d := l.asleep(last, l.now.Sub(last)); d.Hot != 0 {
			t.Errorf("%s: got it woken: %s", name, d.Reason)
		}
	}
}

// asleep gives the wish for the parked model after so long.
func (l *life) asleep(since time.Time, after time.Duration) fleet.Desired {
	return l.policy.Decide(since.Add(after), &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, IdleSince: since, Parked: 1})
}

func TestAdaptive_ARhythmIsAwaitedAwake(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	every := func() time.Duration { return 10*time.Minute + time.Duration(noise.IntN(600)-300)*time.Millisecond }
	l := called(every, 20)
	last := l.now.Add(-10 * time.Minute)
	rows := []struct {
		after time.Duration
		hot   int
	}{{time.Minute, 0}, {9 * time.Minute, 0}, {9*time.Minute + 57*time.Second + 500*time.Millisecond, 1}, {10 * time.Minute, 1}, {10*time.Minute + 10*time.Second, 0}}
	for _, r := range rows {
		if d := l.asleep(last, r.after); d.Hot != r.hot {
			t.Errorf("%s after a call, of one every ten minutes: got %d hot, want %d: %s", r.after, d.Hot, r.hot, d.Reason)
		}
	}
	d := l.asleep(last, time.Minute)
	if ahead := last.Add(10 * time.Minute).Sub(d.ReviewAt); ahead < 2*time.Second || ahead > 6*time.Second {
		t.Errorf("looked at again %s before the call, want a wake of 2 s and some slack before", ahead)
	}
	if d := l.asleep(last, 10*time.Minute-time.Second); d.HotValue > 4 {
		t.Errorf("the wake ahead may displace what is worth %.1f s, want no more than it saves", d.HotValue)
	}
}

// The awake instance stays for the call, and a little longer.
func TestAdaptive_ARhythmKeepsWhoIsAwake(t *testing.T) {
	l := called(func() time.Duration { return 10 * time.Minute }, 20)
	last := l.now.Add(-10 * time.Minute)
	for after, want := range map[time.Duration]int{10 * time.Minute: 1, 10*time.Minute + 5*time.Second: 0} {
		d := l.policy.Decide(last.Add(after), &fleet.ModelView{
			Model: l.model, IdleCost: 1, Parks: true, IdleSince: last, Hot: []fleet.HotView{{ID: "i", IdleSince: last.Add(9*time.Minute + 58*time.Second)}},
		})
		if d.Hot != want {
			t.Errorf("%s after the last call: got %d hot, want %d", after, d.Hot, want)
		}
	}
}

func TestAdaptive_WithoutARhythmNobodyIsWokenAhead(t *testing.T) {
	for name, interval := range map[string]func(*rand.Rand) time.Duration{
		"at random": func(r *rand.Rand) time.Duration {
			return 5*time.Second + time.Duration(r.ExpFloat64()*float64(10*time.Minute))
		},
		"at random, often": func(r *rand.Rand) time.Duration {
			return 5*time.Second + time.Duration(r.ExpFloat64()*float64(time.Minute))
		},
		"in bursts": func(r *rand.Rand) time.Duration {
			return time.Duration(math.Exp(4.5+1.5*r.NormFloat64()) * float64(time.Second))
		},
		"at one of two intervals": func(r *rand.Rand) time.Duration { return time.Duration(1+r.IntN(2)*29) * time.Minute },
	} {
		r := rand.New(rand.NewPCG(3, 4))
		woken, asked := 0, 0
		l := called(func() time.Duration { return interval(r) }, 20)
		for range 200 {
			begin := l.now
			l.serve(1, time.Second)
			l.policy.Observe(fleet.Event{Kind: fleet.EventParked, At: l.now.Add(3 * time.Second), Model: l.model.ID, N: 1, Took: 2 * time.Second})
			next := interval(r)
			for after := 5 * time.Second; after < next; after += time.Second {
				if asked++; l.asleep(l.now, after).Hot > 0 {
					woken++
				}
			}
			l.now = begin.Add(max(next, l.now.Sub(begin)+time.Second))
		}
		if woken > asked/100 {
			t.Errorf("%s: awake for nothing for %d of %d seconds", name, woken, asked)
		}
	}
}

func TestAdaptive_ARhythmSurvivesARestart(t *testing.T) {
	before := called(func() time.Duration { return 10 * time.Minute }, 20)
	b, err := before.policy.(*autoscaler.Adaptive).Save()
	if err != nil {
		t.Fatal(err)
	}
	p := autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{})
	if err := p.Load(b); err != nil {
		t.Fatal(err)
	}
	l := &life{policy: p, model: before.model, now: before.now}
	for range 2 {
		l.serve(1, time.Second)
		p.Observe(fleet.Event{Kind: fleet.EventParked, At: l.now.Add(3 * time.Second), Model: l.model.ID, N: 1, Took: 2 * time.Second})
		l.now = l.now.Add(10*time.Minute - time.Second)
	}
	if d := l.asleep(l.now.Add(-10*time.Minute), 10*time.Minute-500*time.Millisecond); d.Hot != 1 {
		t.Errorf("two calls after a restart: got %d hot just before the third, want 1: %s", d.Hot, d.Reason)
	}
}
