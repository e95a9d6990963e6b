package series

import (
	"slices"
	"time"
)

// Span is how much of the past is read.
type Span int

// The spans: an hour in steps of two seconds, and a day in steps of a minute.
const (
	Hour Span = iota
	Day
)

// Step is the time between two points.
func (s Span) Step() time.Duration {
	if s == Day {
		return coarseTicks * fineStep
	}
	return fineStep
}

// Series are columns over the same moments.
type Series struct {
	At     []int64              // seconds since 1970, UTC
	Values map[string][]float32 // by name; NaN = nothing is known of that moment
}

// Read gives the series of a model, "" = of the whole fleet, after a moment. ok is false where nothing is kept of the model: it was not in use.
func (r *Recorder) Read(model string, span Span, after time.Time) (s Series, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of, levels := r.fleet, fleetLevels
	if model != "" {
		if of, levels = r.models[model], modelLevels; of == nil {
			return Series{At: []int64{}, Values: map[string][]float32{}}, false
		}
	}
	ring := of.fine
	if span == Day {
		ring = of.coarse
	}
	s.Values = map[string][]float32{}
	from := r.fleetRing(span).first
	for from < ring.next && !r.at(span, from).After(after) {
		from++
	}
	s.At = make([]int64, 0, ring.next-min(from, ring.next))
	for tick := from; tick < ring.next; tick++ {
		s.At = append(s.At, r.at(span, tick).Unix())
	}
	for i, name := range slices.Concat(alwaysNames, levels) {
		s.Values[name] = ring.read(i, from, ring.next)
	}
	return s, true
}

func (r *Recorder) fleetRing(span Span) *ring {
	if span == Day {
		return r.fleet.coarse
	}
	return r.fleet.fine
}

// at is the moment of a tick: the end of what it counts.
func (r *Recorder) at(span Span, tick uint64) time.Time {
	return r.began.Add(time.Duration(tick+1) * span.Step())
}
