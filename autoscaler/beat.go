package autoscaler

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	beatKept   = 8    // intervals
	beatTrials = 6    // calls foretold, before a foretelling is acted on
	beatWeight = 0.15 // of the newest trial
	beatMargin = 1.5  // times what is held for it must be saved
	beatLeast  = time.Second
)

// beat learns whether a model is called in a rhythm, so that it can be awake just before. A call is a request that found the model put to sleep, or that would have. Each
// is foretold from the one before and the median of the last intervals; what a wake ahead would have saved, and for how long it would have held GPUs, is noted whether or not there
// was one. So a model that is called at random teaches by itself that waking it ahead does not pay.
type beat struct {
	Intervals []time.Duration // the last ones, oldest first
	Trials    int
	Saved     float64 // share of the calls that a wake ahead would have spared a wait, smoothed
	Held      float64 // seconds that it would have held the GPUs before a call, or in vain, smoothed
	last      time.Time
}

// span is when a call is expected.
type span struct{ from, to time.Time }

// next foretells the next call; false = there is too little to go by.
func (b *beat) next() (span, bool) {
	if b.last.IsZero() || len(b.Intervals) < beatKept/2 {
		return span{}, false
	}
	var sorted, off [beatKept]time.Duration
	n := copy(sorted[:], b.Intervals)
	slices.Sort(sorted[:n])
	period := sorted[n/2]
	for i, d := range b.Intervals {
		off[i] = (d - period).Abs()
	}
	slices.Sort(off[:n])
	slack := max(3*off[n/2], beatLeast)
	return span{b.last.Add(period - slack), b.last.Add(period + slack)}, true
}

// call notes a call, and what a wake ahead of it would have been worth.
func (b *beat) call(now time.Time, t moves) {
	if s, ok := b.next(); ok {
		b.judge(now, s, t)
	}
	if !b.last.IsZero() {
		if len(b.Intervals) == beatKept {
			b.Intervals = slices.Delete(b.Intervals, 0, 1)
		}
		b.Intervals = append(b.Intervals, now.Sub(b.last))
	}
	b.last = now
}

func (b *beat) judge(now time.Time, s span, t moves) {
	saved, held := 0.0, 0.0
	switch {
	case now.Before(s.from):
	case now.After(s.to):
		held = (s.to.Sub(s.from) + t.Wake + t.Park).Seconds()
	default:
		saved, held = 1, now.Sub(s.from).Seconds()
	}
	b.Trials++
	weight := max(beatWeight, 1/float64(b.Trials))
	b.Saved += weight * (saved - b.Saved)
	b.Held += weight * (held - b.Held)
}

// pays reports whether a wake ahead is worth it, where a call costs so much that finds the model asleep, in GPU-seconds.
func (b *beat) pays(gpus, asleep float64) bool {
	return b.Trials >= beatTrials && b.Saved*asleep > beatMargin*b.Held*gpus
}

// wakeAhead wishes a parked model awake from just before its next call is expected until it is late, where that pays.
func (a *Adaptive) wakeAhead(now time.Time, v *fleet.ModelView, m *acquaintance, t moves, d *fleet.Desired) {
	s, ok := m.Beat.next()
	waits := t.Wake.Seconds() * m.Wakes.value()
	if !ok || demand(v) > 0 || len(v.Hot)+v.Pending+v.Parked == 0 || !m.Beat.pays(float64(v.Model.GPUs), a.weight(v)*waits) {
		return
	}
	begin := s.from.Add(-t.Wake * 5 / 4)
	switch {
	case now.Before(begin):
		d.ReviewAt = sooner(d.ReviewAt, begin)
	case now.Before(s.to):
		if len(v.Hot) == 0 {
			d.HotValue = m.Beat.Saved * waits
		}
		d.Hot, d.ReviewAt = max(d.Hot, 1), sooner(d.ReviewAt, s.to)
		d.Reason = fmt.Sprintf("a request is expected within %s, for they come about every %s", round(s.to.Sub(now)), round(s.from.Add(s.to.Sub(s.from)/2).Sub(m.Beat.last)))
	}
}
