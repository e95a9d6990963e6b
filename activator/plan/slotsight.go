package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// see takes how a slot stands, as the roster says.
func (k *slotKeeper) see(now time.Duration, v fleet.Slot) *slot {
	s := k.slotOf[v.ID]
	if s == nil {
		s = k.enter(now, v)
	} else if s.Pending && !v.Pending {
		k.arrived(now, s)
	}
	if !s.takesLaunches() || s.condition != v.Condition || s.Unplaced != v.Unplaced || s.GPUs != v.GPUs || s.Pending != v.Pending || s.Outdated != v.Outdated {
		k.free(s)
		for _, m := range s.pool.models {
			m.search = true
			k.mark(m)
		}
		k.markPool(s.pool)
	}
	if s.Outdated == "" && v.Outdated != "" {
		k.cancelNew(now, s, "its slot was launched with another config")
	}
	if s.condition != v.Condition || s.Outdated != v.Outdated {
		for _, i := range s.residents {
			k.reconsider(i.m) // what is idle there may be let go again, or must not be
		}
	}
	pool := s.pool.Name
	s.Slot, s.node, s.condition, s.pool.recount = v, v.Node, v.Condition, true
	s.Slot.Pool = pool
	for len(s.awake) < v.GPUs {
		s.awake = append(s.awake, nil)
	}
	if !s.stuck() {
		k.forgetRoom(s)
	} else if !slices.Contains(k.stuck, s) {
		k.stuck = append(k.stuck, s)
	}
	s.pool.largest = max(s.pool.largest, v.GPUs)
	k.linkNode(s)
	k.markSlot(s)
	return s
}

// cancelNew gives up the reservations there of those of which there is no engine yet.
func (k *slotKeeper) cancelNew(now time.Duration, s *slot, why string) {
	for _, i := range slices.Clone(s.reserved) {
		if !i.exists() {
			k.life.cancel(now, i, why)
		}
	}
}

// linkNode enters the slot on its node, where nodes are known.
func (k *slotKeeper) linkNode(s *slot) {
	if n := k.nodeOf[s.node]; n != nil && !slices.Contains(n.slots, s) {
		n.slots = append(n.slots, s)
		k.free(n)
	}
}

// arrived notes that a slot is there.
func (k *slotKeeper) arrived(now time.Duration, s *slot) {
	if s.asked {
		s.pool.added.add(now - s.askedAt)
	}
	s.pool.refused, s.pool.retryAt, s.quietAt = 0, 0, now
}

// lost notes that a slot is gone: reservations there are given up. One that never was there delays the next.
func (k *slotKeeper) lost(now time.Duration, s *slot) {
	s.gone, s.order.due = true, ""
	k.forgetRoom(s)
	for _, i := range slices.Clone(s.reserved) {
		k.life.cancel(now, i, "its slot is gone")
	}
	q := s.pool
	q.slots = slices.DeleteFunc(q.slots, func(t *slot) bool { return t == s })
	k.unshown.pools = true
	q.unsort(s)
	q.recount = true
	delete(k.slotOf, s.ID)
	k.alarms.set(&s.timer, &alarm{})
	if n := k.nodeOf[s.node]; n != nil {
		n.slots = slices.DeleteFunc(n.slots, func(t *slot) bool { return t == s })
		k.free(n)
	}
	if q.Slots.Max > 0 { // what was lost is not coming back by itself
		q.largest = -1
		for _, t := range q.slots {
			q.largest = max(q.largest, t.GPUs)
		}
	}
	if s.Pending && !s.givenBack {
		q.retryAt = now + min(slotRetry<<min(q.refused, 10), slotRetryLonger)
		q.refused++
	}
	k.markPool(q)
	for _, m := range q.models {
		m.search = true
		k.mark(m)
	}
}
