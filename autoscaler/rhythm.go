package autoscaler

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	rhythmKept   = 8    // intervals
	rhythmTrials = 6    // predicted calls, before a prediction is acted on
	rhythmWeight = 0.15 // of the newest trial
	rhythmMargin = 1.5  // times what is held for it must be saved
	rhythmLeast  = time.Second
)

// rhythm learns whether a model is called in a rhythm, so that it can be awake just before. A call is a request that found the model put to sleep, or that would have. Each
// is predicted from the one before and the median of the last intervals; what a wake ahead would have saved, and for how long it would have held GPUs, is noted whether or not there
// was one. So a model that is called at random teaches by itself that waking it ahead does not pay.
type rhythm struct {
	Intervals []time.Duration // the last ones, oldest first
	Trials    int
	Saved     float64 // share of the calls that a wake ahead would have spared a wait, smoothed
	Held      float64 // seconds that it would have held the GPUs before a call, or in vain, smoothed
	last      time.Time
}

// span is when a call is expected.
type span struct{ from, to time.Time }

// next predicts the next call; false = there is too little to go by.
func (r *rhythm) next() (span, bool) {
	if r.last.IsZero() || len(r.Intervals) < rhythmKept/2 {
		return span{}, false
	}
	var sorted, off [rhythmKept]time.Duration
	n := copy(sorted[:], r.Intervals)
	slices.Sort(sorted[:n])
	period := sorted[n/2]
	for i, d := range r.Intervals {
		off[i] = (d - period).Abs()
	}
	slices.Sort(off[:n])
	slack := max(3*off[n/2], rhythmLeast)
	return span{r.last.Add(period - slack), r.last.Add(period + slack)}, true
}

// call notes a call, and what a wake ahead of it would have been worth.
func (r *rhythm) call(now time.Time, t moves) {
	if s, ok := r.next(); ok {
		r.judge(now, s, t)
	}
	if !r.last.IsZero() {
		if len(r.Intervals) == rhythmKept {
			r.Intervals = slices.Delete(r.Intervals, 0, 1)
		}
		r.Intervals = append(r.Intervals, now.Sub(r.last))
	}
	r.last = now
}

func (r *rhythm) judge(now time.Time, s span, t moves) {
	saved, held := 0.0, 0.0
	switch {
	case now.Before(s.from):
	case now.After(s.to):
		held = (s.to.Sub(s.from) + t.Wake + t.Park).Seconds()
	default:
		saved, held = 1, now.Sub(s.from).Seconds()
	}
	r.Trials++
	weight := max(rhythmWeight, 1/float64(r.Trials))
	r.Saved += weight * (saved - r.Saved)
	r.Held += weight * (held - r.Held)
}

// pays reports whether a wake ahead is worth it, where a call costs so much that finds the model asleep, in GPU-seconds.
func (r *rhythm) pays(gpus, asleep float64) bool {
	return r.Trials >= rhythmTrials && r.Saved*asleep > rhythmMargin*r.Held*gpus
}

// wakeAhead wishes a parked model awake from just before its next call is expected until it is late, where that pays.
func (a *Adaptive) wakeAhead(now time.Time, v *fleet.ModelView, m *knowledge, t moves, d *fleet.Desired) {
	s, ok := m.Rhythm.next()
	waits := t.Wake.Seconds() * m.Wakes.value()
	if !ok || demand(v) > 0 || len(v.Hot)+v.Pending+v.Parked == 0 || !m.Rhythm.pays(float64(v.Model.GPUs), a.weight(v)*waits) {
		return
	}
	begin := s.from.Add(-t.Wake * 5 / 4)
	switch {
	case now.Before(begin):
		d.ReviewAt = sooner(d.ReviewAt, begin)
	case now.Before(s.to):
		if len(v.Hot) == 0 {
			d.HotValue = m.Rhythm.Saved * waits
		}
		d.Hot, d.ReviewAt = max(d.Hot, 1), sooner(d.ReviewAt, s.to)
		d.Reason = fmt.Sprintf("a request is expected within %s, for they come about every %s", round(s.to.Sub(now)), round(s.from.Add(s.to.Sub(s.from)/2).Sub(m.Rhythm.last)))
	}
}
