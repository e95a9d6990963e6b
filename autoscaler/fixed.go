package autoscaler

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	fading    = time.Minute // after this long without a request a hot instance is worth half
	furtherBy = 0.3         // what a further hot instance of a model is worth, of the first
)

// FixedConfig tunes the fixed policy.
type FixedConfig struct {
	Target func(*fleet.Model) int // requests that one instance should serve at once; nil = the model's max_concurrency
	Park   bool                   // what is let go is parked where its pool can, else it is stopped
}

// Fixed keeps an instance hot for the model's idle_after without a request, and asks at once for as many as the demand needs:
// ceil(demand / target). Between, an instance that demand does not need is spare: it gets only what overflows, until it has been idle for idle_after.
type Fixed struct {
	cfg  FixedConfig
	took map[string]time.Duration // model ID -> what its starts take, smoothed
}

// NewFixed makes the policy.
func NewFixed(cfg FixedConfig) *Fixed {
	return &Fixed{cfg: cfg, took: make(map[string]time.Duration)}
}

// Observe learns what starts take.
func (f *Fixed) Observe(e fleet.Event) {
	if e.Kind != fleet.EventReady || e.Took <= 0 {
		return
	}
	mean, known := f.took[e.Model]
	if !known {
		mean = e.Took
	}
	f.took[e.Model] = mean + (e.Took-mean)/4
}

// Decide says how many instances the model should have now.
func (f *Fixed) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	target := f.target(v.Model)
	need := (v.Waiting + v.Inflight + target - 1) / target
	k := keep(now, v)
	d := fleet.Desired{
		Model: v.Model.ID, Hot: max(need, k.n), Need: need, ReviewAt: k.until, HotValue: f.value(now, v, need),
		Reason: reason(v, target, &k),
	}
	d.Parked, d.ParkedValue = parked(f.cfg.Park, now, v)
	bound(now, v, &d)
	return d
}

func (f *Fixed) target(m *fleet.Model) int {
	n := m.MaxConcurrency
	if f.cfg.Target != nil {
		n = f.cfg.Target(m)
	}
	if n < 1 {
		n = 64
	}
	return n
}

// kept is how many hot instances are kept whatever the demand: those that serve, and those that have not been idle long enough.
type kept struct {
	n      int
	until  time.Time     // when the first of the idle ones is no longer kept
	idle   time.Duration // of the one that has been idle longest
	isIdle bool
}

func keep(now time.Time, v *fleet.ModelView) kept {
	var k kept
	for i := range v.Hot {
		h := &v.Hot[i]
		if h.IdleSince.IsZero() {
			k.n++
			continue
		}
		idle := now.Sub(h.IdleSince)
		k.idle, k.isIdle = max(k.idle, idle), true
		if idle < v.Model.IdleAfter {
			k.n++
			k.until = sooner(k.until, h.IdleSince.Add(v.Model.IdleAfter))
		}
	}
	return k
}

// sooner gives the earlier of two moments; a zero one is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// value estimates what it costs, in seconds of one request's waiting, to lose one idle hot instance: a start, times how likely it is
// needed again soon. A model that was used lately, or that takes long to start, is dearer; a copy beside others is cheaper.
func (f *Fixed) value(now time.Time, v *fleet.ModelView, need int) float64 {
	if _, idle := lastIdle(v); !idle && len(v.Hot) > 0 {
		return leastRecentlyUsed(now, v) // whoever waits for GPUs in use need not wait longer than the planner's patience
	}
	took, known := f.took[v.Model.ID]
	if !known {
		took = 20*time.Second + time.Duration(v.Model.GPUs)*10*time.Second
	}
	age := time.Duration(0)
	if v.Waiting+v.Inflight == 0 {
		age = time.Hour
		if !v.IdleSince.IsZero() {
			age = now.Sub(v.IdleSince)
		}
	}
	worth := took.Seconds() * fading.Seconds() / (fading + max(age, 0)).Seconds()
	if len(v.Hot) > max(need, 1) {
		worth *= furtherBy
	}
	return worth
}

// reason says in words why so many.
func reason(v *fleet.ModelView, target int, k *kept) string {
	s := "no requests"
	switch demand := v.Waiting + v.Inflight; {
	case v.Waiting > 0:
		s = fmt.Sprintf("%s waiting and %d in flight, %d slots an instance", requests(v.Waiting), v.Inflight, target)
	case demand > 0:
		s = fmt.Sprintf("%s in flight, %d slots an instance", requests(demand), target)
	}
	switch {
	case !k.isIdle:
	case v.Waiting+v.Inflight > 0:
		s += fmt.Sprintf("; a spare instance idle %s of %s", round(k.idle), round(v.Model.IdleAfter))
	default:
		s = fmt.Sprintf("idle %s of %s", round(k.idle), round(v.Model.IdleAfter))
	}
	return s
}

func requests(n int) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

// round drops what nobody reads.
func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}
