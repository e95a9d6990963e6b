package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const pastKept = 16

// past is what a model's last activations from one tier took, newest last.
type past struct{ durations []time.Duration }

func (m *model) past(from fleet.Tier) *past {
	if from == fleet.Parked {
		return &m.parked
	}
	return &m.cold
}

func (e *past) add(took time.Duration) {
	if len(e.durations) >= pastKept {
		e.durations = slices.Delete(e.durations, 0, len(e.durations)-pastKept+1)
	}
	e.durations = append(e.durations, took)
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
