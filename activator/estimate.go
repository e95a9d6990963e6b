package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const pastKept = 16

// past is what a model's last moves from one tier took, newest last.
type past struct {
	durations []time.Duration
	median    time.Duration // 0 = not known
}

// past gives what moves from a tier took: from parked or cold until ready, from hot until parked.
func (m *model) past(from fleet.Tier) *past {
	switch from {
	case fleet.Hot:
		return &m.parks
	case fleet.Parked:
		return &m.parked
	default:
		return &m.cold
	}
}

// takes estimates how long a move from a tier takes; where none is known it guesses.
func (p *Planner) takes(m *model, from fleet.Tier) time.Duration {
	if known := m.past(from).median; known > 0 {
		return known
	}
	if from == fleet.Cold {
		return 20*time.Second + time.Duration(m.GPUs)*10*time.Second
	}
	guess := 2*time.Second + time.Duration(m.GPUs)*500*time.Millisecond
	if start := m.cold.median; start > 0 {
		return min(guess, start/2) // to read the weights from host memory is part of a start
	}
	return guess
}

func (e *past) add(took time.Duration) {
	if len(e.durations) >= pastKept {
		e.durations = slices.Delete(e.durations, 0, len(e.durations)-pastKept+1)
	}
	e.durations = append(e.durations, took)
	e.median, _ = e.remaining(0)
}

func (e *past) copy() []time.Duration { return slices.Clone(e.durations) }

// remaining estimates how much longer an activation takes that has been running for elapsed: the median of those that took longer,
// less elapsed. One that has outlasted all of them has no estimate.
func (e *past) remaining(elapsed time.Duration) (time.Duration, bool) {
	var longer [pastKept]time.Duration
	n := 0
	for _, d := range e.durations[max(0, len(e.durations)-pastKept):] {
		if d > elapsed {
			longer[n] = d
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	slices.Sort(longer[:n])
	return longer[n/2] - elapsed, true
}

// outlasts gives the moment in an activation, later than elapsed, at which it will have outlasted one more of the past ones, so that its
// estimate changes; 0 = it has outlasted all.
func (e *past) outlasts(elapsed time.Duration) time.Duration {
	next := time.Duration(0)
	for _, d := range e.durations {
		if d > elapsed && (next == 0 || d < next) {
			next = d
		}
	}
	return next
}
