package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const defaultCapacity = 64 // leases on one instance whose model names no max_concurrency

// dedicated reports whether the model's instances are placed on nodes by the back end.
func (m *model) dedicated() bool { return m.pool.Name == dedicatedPool }

// count gives the number of its instances for which something is true.
func (m *model) count(is func(*instance) bool) int {
	n := 0
	for _, i := range m.instances {
		if is(i) {
			n++
		}
	}
	return n
}

// hot gives the number of its ready instances.
func (m *model) hot() int {
	return m.count(func(i *instance) bool { return i.State == fleet.Ready })
}

// pending gives the number of its instances that become ready, reserved ones included.
func (m *model) pending() int {
	return m.count(func(i *instance) bool { return i.reserved != nil || i.activates() })
}

// asleep gives the number of those that are parked, or being parked, and not about to be resumed.
func (m *model) asleep() int {
	return m.count(func(i *instance) bool {
		return i.reserved == nil && (i.State == fleet.Asleep || i.State == fleet.Parking)
	})
}

// homes gives the number of its instances that have a home.
func (m *model) homes() int { return m.count(func(i *instance) bool { return i.at != nil }) }

// anyResumable reports whether one of its instances could be resumed.
func (m *model) anyResumable() bool { return slices.ContainsFunc(m.instances, (*instance).resumable) }

// going gives the number of those that hold GPUs and are about to give them back for good.
func (m *model) going() int {
	return m.count(func(i *instance) bool {
		return i.leaving() && i.State != fleet.Parking && (i.stay == holdsGPU || i.at == nil)
	})
}

// state gives the state of the whole model.
func (m *model) state() string {
	switch {
	case m.hot() > 0:
		return "hot"
	case m.pending() > 0:
		return "starting"
	case m.asleep() > 0:
		return "parked"
	default:
		return "cold"
	}
}

// held reports whether an operator holds it hot.
func (m *model) held(now time.Duration) bool { return m.heldUntil > now }

// urgency gives the moment since which the model has waited for room.
func (m *model) urgency() time.Duration {
	if m.waiting > 0 {
		return m.oldest
	}
	return m.shortFrom
}

// need gives what room is looked for by those who wait.
func (m *model) need() need { return need{model: m, waiting: m.waiting, oldest: m.oldest} }

// moreUrgent orders models by who is to have room first.
func moreUrgent(a, b *model) int {
	switch {
	case (a.waiting > 0) != (b.waiting > 0):
		return b2i(b.waiting > 0) - b2i(a.waiting > 0)
	case a.urgency() != b.urgency():
		return b2i(a.urgency() > b.urgency()) - b2i(a.urgency() < b.urgency())
	default:
		return a.index - b.index
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// addWaiting adds up what requests have waited since the last call.
func (m *model) addWaiting(now time.Duration) {
	m.waited += float64(m.waiting) * (now - m.waitedAt).Seconds()
	m.waitedAt = now
}

// past gives what moves from a tier took: from parked or cold until ready, from hot until parked, the first time or later.
func (m *model) past(from fleet.Tier) *past {
	switch from {
	case fleet.FirstPark:
		return &m.firsts
	case fleet.Hot:
		return &m.parkings
	case fleet.Parked:
		return &m.resumes
	default:
		return &m.starts
	}
}

// takes estimates how long a move from a tier takes; where none is known it guesses.
func (m *model) takes(from fleet.Tier) time.Duration {
	if known := m.past(from).median; known > 0 {
		return known
	}
	switch {
	case from == fleet.Cold:
		return 20*time.Second + time.Duration(m.GPUs)*10*time.Second
	case from == fleet.FirstPark:
		return firstParkTimes * m.takes(fleet.Hot)
	case from == fleet.Hot && m.firsts.median > 0:
		return m.firsts.median / firstParkTimes
	}
	guess := 2*time.Second + time.Duration(m.GPUs)*500*time.Millisecond
	if start := m.starts.median; start > 0 {
		return min(guess, start/2) // to read the weights from host memory is part of a start
	}
	return guess
}

// firstParkTimes is about how many times as long the first park of an engine takes as a later one, where too little is known.
const firstParkTimes = 2

// soonest gives what its next activation is like: a resume, if there is something to resume.
func (m *model) soonest() *past {
	if m.anyResumable() {
		return m.past(fleet.Parked)
	}
	return m.past(fleet.Cold)
}
