package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	slotRetry       = 5 * time.Second
	slotRetryLonger = 5 * time.Minute
	slotTries       = 5           // refusals after which a slot is given back that nobody lists: its name may be used up, and another one's is not
	slotUnlisted    = time.Minute // a slot that was asked for, and that a list which was asked for so long after does not have, is given back
	slotUnwanted    = time.Minute // a slot that is not there yet, and that nobody has wanted for so long, is given back

	slotRoomUnused = 30 * time.Second // GPUs that are kept for a slot stay free for so long, if the back end does not place it there
)

// slotKeeper keeps each pool's number of slots between its bounds: it adds those that are lacking, and gives back those where nothing has
// been awake for slot_idle, with what is parked there, and those that the back end cannot place and nobody wants any more.
type slotKeeper struct {
	*state
	demand *demand
	life   *lifecycle
}

// tend looks at the pools and slots that have changed.
func (k *slotKeeper) tend(now time.Duration) {
	if !k.roster.SlotsKnown() {
		return
	}
	pools := k.dirtyPools
	k.dirtyPools = nil
	for _, q := range pools {
		q.dirty = false
		k.tendPool(now, q)
	}
	slots := k.dirtySlots
	k.dirtySlots = nil
	for _, s := range slots {
		s.dirty = false
		if s.gone {
			continue
		}
		if why := k.unneeded(now, s); why != "" {
			k.giveBack(now, s, why)
		}
		if s.order.ready(now) { // it was refused while nothing was decided
			k.issue(s)
		}
		k.setAlarm(now, s)
	}
}

func (k *slotKeeper) tendPool(now time.Duration, q *pool) {
	for q.Slots.Max > 0 && q.open() < q.Slots.Min && k.mayAdd(now, q) {
		k.add(now, q, fmt.Sprintf("slots.min is %d", q.Slots.Min))
	}
	for _, s := range q.slots {
		if s.Outdated != "" {
			k.markSlot(s) // another may have come in its place
		}
	}
	next := alarm{now: now}
	next.due(q.retryAt)
	k.alarms.set(&q.timer, &next)
	if q.retryAt > 0 && now >= q.retryAt {
		q.retryAt = 0
		for _, m := range q.models {
			m.search = true
			k.mark(m)
		}
	}
}

// setAlarm notes when the slot must be looked at again.
func (k *slotKeeper) setAlarm(now time.Duration, s *slot) {
	next, q := alarm{now: now}, s.pool
	s.order.alarm(&next)
	if q.SlotIdle > 0 && q.Slots.Max > 0 && s.takesLaunches() && s.quiet() {
		next.due(s.quietAt + q.SlotIdle)
	}
	if s.Pending {
		next.due(max(s.wanted, s.askedAt) + slotUnwanted)
		next.due(s.roomFrom)
		next.due(s.lookAt)
		if s.room != nil && s.room.isFree {
			next.due(s.room.freeAt + slotRoomUnused)
		}
	}
	if s.seen == nil && s.addedAt > 0 && !s.givenBack {
		if now >= s.missedAt {
			s.missedAt = now + slotRetry // there was no such list yet
		}
		next.due(s.missedAt)
	}
	next.due(s.trouble.avoidUntil)
	k.alarms.set(&s.timer, &next)
}

// mayAdd reports whether the pool may have one more slot now. Every slot counts that holds GPUs or may hold some.
func (k *slotKeeper) mayAdd(now time.Duration, q *pool) bool {
	return !k.closing && q.GPUsPerSlot > 0 && q.existing() < q.Slots.Max && now >= q.retryAt
}

// grow adds a slot to the pool of a model whose demand finds no room but by draining busy instances (drains), or none, unless one is on its way already. Where it finds none and
// the pool can have no other slot, an outdated one is emptied.
func (k *slotKeeper) grow(now time.Duration, m *model, drains bool) {
	q := m.pool
	if m.dedicated() || m.GPUs > q.GPUsPerSlot || !k.demand.demanded(now, m) {
		return
	}
	for _, s := range q.slots {
		if s.Pending && s.fits(m.GPUs) {
			s.wanted = now
			k.markSlot(s)
			return
		}
	}
	if m.waiting > 0 && q.open() > 0 && now < m.oldest+k.cfg.Patience {
		return
	}
	if late := (m.waiting > 0 || m.short > 0) && now >= m.urgency()+k.cfg.Patience; late && !drains && q.Slots.Max > 0 && q.existing() >= q.Slots.Max {
		k.emptyOutdated(now, m)
	}
	if !k.mayAdd(now, q) {
		return
	}
	k.add(now, q, fmt.Sprintf("no room for %s: %s", m.ID, k.demand.why(now, m)))
}

// add asks the back end for one more slot.
func (k *slotKeeper) add(now time.Duration, q *pool, why string) {
	s := k.enter(now, fleet.Slot{ID: k.newID("s"), Pool: q.Name, GPUs: q.GPUsPerSlot, Host: q.HostMemory, Pending: true})
	s.asked, s.wanted = true, now
	k.order(now, s, fleet.ActAddSlot, why)
}

// enter makes a slot known.
func (k *slotKeeper) enter(now time.Duration, v fleet.Slot) *slot {
	s := &slot{Slot: v, askedAt: now, quietAt: now, awake: make([]*instance, v.GPUs)}
	s.id, s.node, s.pool = v.ID, v.Node, k.pool(v.Pool)
	s.timer = newTimer(func() {
		k.free(s)
		k.issue(s)
	})
	k.entered++
	s.number = k.entered
	s.pool.slots, s.pool.recount = append(s.pool.slots, s), true
	k.unshown.pools = true
	k.slotOf[s.ID] = s
	k.free(s)
	return s
}

// issue has the slot's act handed over, if one is due.
func (k *slotKeeper) issue(s *slot) {
	if s.order.due != "" {
		k.ordered = append(k.ordered, ordered{s: s})
	}
}

// giveBack gives a slot back, with what is parked there.
func (k *slotKeeper) giveBack(now time.Duration, s *slot, why string) {
	if s.givenBack {
		return
	}
	s.givenBack, s.pool.recount = true, true
	k.forgetRoom(s)
	for _, i := range slices.Clone(s.residents) {
		if i.State == fleet.Asleep {
			from := i.State
			i.State, i.reason, i.leavingAt = fleet.Stopping, why, now
			k.note(now, i, from, "its slot is given back: "+why)
			k.changed(i)
		}
	}
	for _, i := range slices.Clone(s.reserved) {
		k.life.cancel(now, i, "its slot is given back: "+why)
	}
	k.order(now, s, fleet.ActDropSlot, why)
	k.markPool(s.pool)
	if s.Pending { // that it cannot be placed is no longer the word for those who wait
		for _, m := range k.models {
			if m.pool == s.pool {
				k.mark(m)
			}
		}
	}
}

func (k *slotKeeper) order(now time.Duration, s *slot, kind fleet.ActKind, why string) {
	s.order.set(now, kind)
	s.order.why = why
	k.issue(s)
	k.markSlot(s)
}

// unneeded says why the slot may be given back now; "" = it may not.
func (k *slotKeeper) unneeded(now time.Duration, s *slot) string {
	q := s.pool
	switch {
	case s.seen == nil && s.addedAt > 0 && !s.givenBack && !k.closing && k.roster.SlotsListedAt() > s.addedAt+slotUnlisted:
		return "nobody lists it"
	case s.seen == nil && s.addedAt == 0 && !s.givenBack && !k.closing && s.order.tries >= slotTries && k.roster.SlotsListedAt() > s.askedAt+slotUnlisted:
		return "the back end refuses it, and nobody lists it"
	case q.Slots.Max == 0 || k.closing || s.givenBack || !s.condition.TakesLaunches() || !s.quiet() || s.seen != nil && s.seen.Silent():
	case s.Outdated != "" && (s.Pending || q.mayReplace()):
		return "it was launched with another config: " + s.Outdated
	case !s.takesLaunches():
	case q.open() <= q.Slots.Min:
	case !s.Pending && q.SlotIdle > 0 && now >= s.quietAt+q.SlotIdle:
		return "nothing there was awake for " + q.SlotIdle.String()
	case s.Pending && now >= max(s.wanted, s.askedAt)+slotUnwanted && !k.wanted(now, q):
		return "it is not there yet, and nobody wants it any more"
	}
	return ""
}

// wanted reports whether some model of the pool waits for room.
func (k *slotKeeper) wanted(now time.Duration, q *pool) bool {
	return slices.ContainsFunc(k.short, func(m *model) bool { return m.pool == q && k.demand.demanded(now, m) })
}

// accepted takes a back end's answer to an act on a slot: what it refuses is asked for again.
func (k *slotKeeper) accepted(now time.Duration, act *fleet.Act, err error) {
	s := k.slotOf[act.Slot]
	if s == nil || act.Term != k.cfg.Term {
		return
	}
	s.order.onItsWay = false
	switch {
	case err == nil && act.Kind == fleet.ActDropSlot:
		k.roster.SlotDropped(now, s.ID)
	case err == nil:
		s.addedAt, s.missedAt = now, now+slotUnlisted
	case s.order.due != "" || s.gone || act.Kind == fleet.ActAddSlot && s.seen != nil:
	default:
		s.order.again(now+min(slotRetry<<min(s.order.tries, 10), slotRetryLonger), act.Kind)
	}
	k.issue(s)
	k.markSlot(s)
}

// forgetRoom keeps no GPUs for the slot any more.
func (k *slotKeeper) forgetRoom(s *slot) {
	if s.room == nil {
		return
	}
	n := s.room.at
	n.kept = slices.DeleteFunc(n.kept, func(t *slot) bool { return t == s })
	s.room = nil
	k.free(n)
}
