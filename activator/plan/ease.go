package plan

import (
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// easeOf says it of a slot. It depends on nothing but what state.free is called for.
func (f *rooms) easeOf(s *slot) ease {
	at := allBusy
	for _, o := range s.awake[:min(s.GPUs, len(s.awake))] {
		switch {
		case o == nil || o.State != fleet.Ready:
			return somethingLeaves
		case f.idle(o):
			at = somethingIdles
		}
	}
	if s.Pending {
		return somethingLeaves
	}
	return at
}

// least gives what a new instance costs at least in a slot of that ease, as price says it; infinite = none can be had with that effort.
func (f *rooms) least(now time.Duration, m need, t ease, most effort, start time.Duration) float64 {
	wait, value := time.Duration(0), 0.0
	switch {
	case t == somethingIdles:
		wait = f.leavesLeast
	case t == allBusy && most < drainsBusy:
		return math.Inf(1)
	case t == allBusy:
		value = drainCost
		if m.waiting > 0 {
			wait = max(m.oldest+f.cfg.Patience-now, 0)
		}
	}
	return (wait+start).Seconds()*float64(max(m.waiting, 1)) + value
}

// settleFreed ends a round: what was freed in it has been looked at.
func (f *rooms) settleFreed() {
	for _, at := range f.freed {
		at.common().freed = false
		if t, is := at.(*slot); is && !t.gone {
			t.pool.sort(t, f.easeOf(t))
		}
	}
	f.state.freed = f.freed[:0]
}
