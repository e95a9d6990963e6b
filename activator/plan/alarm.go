package plan

import (
	"container/heap"
	"time"
)

// alarm is the earliest of the moments after now that it was told.
type alarm struct {
	now, at time.Duration
	set     bool
}

func (a *alarm) due(t time.Duration) {
	if t > a.now && (!a.set || t < a.at) {
		a.at, a.set = t, true
	}
}

// alarms holds the moments at which models, slots, pools and dispatchers must be looked at though nothing happens, the earliest first.
type alarms []*timer

// timer is the one entry of its owner in alarms.
type timer struct {
	at    time.Duration
	index int // in the heap; -1 = not set
	fire  func()
}

func newTimer(fire func()) timer { return timer{index: -1, fire: fire} }

// set moves a timer to the alarm's moment, or takes it out where there is none.
func (a *alarms) set(t *timer, next *alarm) {
	switch {
	case !next.set && t.index >= 0:
		heap.Remove(a, t.index)
	case !next.set:
	case t.index < 0:
		t.at = next.at
		heap.Push(a, t)
	case t.at != next.at:
		t.at = next.at
		heap.Fix(a, t.index)
	}
}

// ring fires every timer that is due.
func (a *alarms) ring(now time.Duration) {
	for len(*a) > 0 && (*a)[0].at <= now {
		heap.Pop(a).(*timer).fire()
	}
}

// Len, Less, Swap, Push and Pop are container/heap's.
func (a *alarms) Len() int           { return len(*a) }
func (a *alarms) Less(i, j int) bool { return (*a)[i].at < (*a)[j].at }

func (a *alarms) Swap(i, j int) {
	h := *a
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (a *alarms) Push(x any) {
	t := x.(*timer)
	t.index = len(*a)
	*a = append(*a, t)
}

func (a *alarms) Pop() any {
	h := *a
	t := h[len(h)-1]
	h[len(h)-1] = nil
	*a = h[:len(h)-1]
	t.index = -1
	return t
}
