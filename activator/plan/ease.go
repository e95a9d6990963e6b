package plan

import (
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ease says what the cheapest GPU of a slot may take. Each pool keeps its slots apart by it, so that a search begins where rooms are cheap, and need not look
// at all others to know that none there is better.
type ease int

const (
	somethingLeaves ease = iota // a GPU is free, is about to be, or is held by a start, which may be given up
	somethingIdles              // or an idle instance can be evicted
	allBusy                     // or busy ones must be drained
	eases
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
func (f *rooms) least(now time.Duration, m *model, t ease, most effort, start time.Duration) float64 {
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

// sort enters the slot under its ease.
func (q *pool) sort(s *slot, t ease) {
	if s.listed && s.ease == t {
		return
	}
	q.unsort(s)
	s.listed, s.ease, s.easeAt = true, t, len(q.byEase[t])
	q.byEase[t] = append(q.byEase[t], s)
}

// unsort takes the slot out; the last one takes its place.
func (q *pool) unsort(s *slot) {
	if !s.listed {
		return
	}
	list := q.byEase[s.ease]
	last := len(list) - 1
	list[s.easeAt], list[last].easeAt = list[last], s.easeAt
	list[last] = nil
	q.byEase[s.ease] = list[:last]
	s.listed = false
}

// easier notes that rooms at a place may have become cheaper. What that comes to is looked at when it is next free of changes.
func (s *state) easier(at place) {
	if t, is := at.(*slot); is && !t.gone {
		t.pool.sort(t, somethingLeaves)
	}
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

// learn notes what a move of the model took.
func (s *state) learn(m *model, from fleet.Tier, took time.Duration) {
	m.past(from).add(took)
	s.leavesLeast = min(s.leavesLeast, m.takes(fleet.Hot))
}
