package activator

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	slotTakes       = 2 * time.Minute // about what adding a slot takes, where nothing is known
	slotRetry       = 5 * time.Second
	slotRetryLonger = 5 * time.Minute
)

// tendSlots keeps each pool's number of slots between its bounds: it adds those that are lacking, and gives back those where nothing has
// been awake for slot_idle, with what is parked there.
func (p *Planner) tendSlots(now time.Duration) {
	for _, q := range p.pools {
		for q.Slots.Max > 0 && p.countSlots(q) < q.Slots.Min && p.mayAdd(now, q) {
			p.addSlot(now, q, fmt.Sprintf("slots.min is %d", q.Slots.Min))
		}
	}
	for _, s := range p.slots {
		if q := p.pool(s.Pool); p.idleSlot(now, q, s) {
			p.dropSlot(now, s, "nothing there was awake for "+q.SlotIdle.String())
		}
	}
	p.issueSlotActs(now)
	p.forgetSlots()
}

// countSlots gives the slots that the pool has, or is about to have.
func (p *Planner) countSlots(q *pool) int {
	n := 0
	for _, s := range p.slots {
		if s.Pool == q.Name && s.open() {
			n++
		}
	}
	return n
}

// mayAdd reports whether the pool may have one more slot now.
func (p *Planner) mayAdd(now time.Duration, q *pool) bool {
	return !p.closing && q.GPUsPerSlot > 0 && p.countSlots(q) < q.Slots.Max && now >= q.retryAt
}

// grow adds a slot to the pool of a model whose demand finds no room but by draining busy instances, unless one is on its way already.
func (p *Planner) grow(now time.Duration, m *model) {
	q := p.pool(m.pool)
	if m.dedicated() || m.GPUs > q.GPUsPerSlot || !p.demanded(now, m) || !p.mayAdd(now, q) {
		return
	}
	if slices.ContainsFunc(p.slots, func(s *slot) bool { return s.Pool == q.Name && s.open() && s.Pending }) {
		return
	}
	if m.waiting > 0 && p.countSlots(q) > 0 && now < m.oldest+p.cfg.Patience {
		return
	}
	p.addSlot(now, q, fmt.Sprintf("no room for %s: %s", m.ID, p.why(now, m)))
}

// addSlot asks the back end for one more slot.
func (p *Planner) addSlot(now time.Duration, q *pool, why string) {
	p.made++
	s := &slot{asked: true, askedAt: now, Slot: fleet.Slot{
		ID: p.prefix + "s" + formatID(p.made), Pool: q.Name, GPUs: q.GPUsPerSlot, Host: q.HostMemory, Pending: true,
	}}
	s.awake = make([]*instance, s.GPUs)
	p.slots = append(p.slots, s)
	s.order(now, fleet.ActAddSlot, why)
}

// dropSlot gives a slot back, with what is parked there.
func (p *Planner) dropSlot(now time.Duration, s *slot, why string) {
	s.dropping = true
	for _, i := range slices.Clone(s.homes) {
		if i.State == fleet.Asleep {
			from := i.State
			i.State, i.reason, i.drainedAt = fleet.Stopping, why, now
			i.m.stale = true
			p.note(now, i, from, "its slot is given back: "+why)
		}
	}
	s.order(now, fleet.ActDropSlot, why)
}

func (s *slot) order(now time.Duration, kind fleet.ActKind, why string) {
	s.due, s.dueAt, s.why, s.tries = kind, now, why, 0
}

// idleSlot reports whether the slot may be given back.
func (p *Planner) idleSlot(now time.Duration, q *pool, s *slot) bool {
	return q.Slots.Max > 0 && q.SlotIdle > 0 && !p.closing && s.open() && !s.Pending && s.source != nil && !s.source.lost &&
		s.quiet() && now >= s.quietAt+q.SlotIdle && p.countSlots(q) > q.Slots.Min
}

// issueSlotActs hands over the acts on slots that are due.
func (p *Planner) issueSlotActs(now time.Duration) {
	for _, s := range p.slots {
		if s.due == "" || s.acting || now < s.dueAt {
			continue
		}
		p.acted++
		s.acting = true
		p.acts = append(p.acts, fleet.Act{
			Kind: s.due, Term: p.cfg.Term, Seq: p.acted, Pool: s.Pool, Slot: s.ID, GPUs: s.GPUs, Why: s.why,
		})
		s.due = ""
	}
}

// slotAccepted takes a back end's answer to an act on a slot: what it refuses is asked for again.
func (p *Planner) slotAccepted(now time.Duration, act *fleet.Act, err error) {
	s := p.slotOf(act.Slot)
	if s == nil || act.Term != p.cfg.Term {
		return
	}
	s.acting = false
	if err != nil && s.due == "" && !s.lost {
		s.due, s.dueAt = act.Kind, now+min(slotRetry<<min(s.tries, 10), slotRetryLonger)
		s.tries++
	}
}

func (p *Planner) slotOf(id string) *slot {
	for _, s := range p.slots {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// pendingFor estimates how long it takes until instances can be launched on the slot.
func (p *Planner) pendingFor(now time.Duration, s *slot) time.Duration {
	if !s.Pending {
		return 0
	}
	takes := p.pool(s.Pool).added.median
	if takes == 0 {
		takes = slotTakes
	}
	return max(s.askedAt+takes-now, takes/4)
}

// arrived notes that a slot is there.
func (p *Planner) arrived(now time.Duration, s *slot) {
	q := p.pool(s.Pool)
	if s.asked {
		q.added.add(now - s.askedAt)
	}
	q.refused, q.retryAt, s.quietAt = 0, 0, now
}

// loseSlot notes that a slot is no longer there: nothing is placed there any more, and reservations are given up. One that never was
// there delays the next.
func (p *Planner) loseSlot(now time.Duration, s *slot) {
	if s.lost {
		return
	}
	s.lost, s.due = true, ""
	for _, c := range slices.Clone(s.claims) {
		p.cancel(now, c, "its slot is gone")
	}
	q := p.pool(s.Pool)
	if q.Slots.Max > 0 { // what was lost is not coming back by itself
		q.largest = -1
		for _, t := range p.slots {
			if t.Pool == s.Pool && !t.lost {
				q.largest = max(q.largest, t.GPUs)
			}
		}
	}
	if s.Pending {
		q.retryAt = now + min(slotRetry<<min(q.refused, 10), slotRetryLonger)
		q.refused++
	}
}

// forgetSlots drops the slots that are gone, once nothing is known to be there.
func (p *Planner) forgetSlots() {
	p.slots = slices.DeleteFunc(p.slots, func(s *slot) bool {
		return s.lost && p.pool(s.Pool).Slots.Max > 0 && len(s.homes) == 0 && len(s.claims) == 0 && !s.acting
	})
}

// slotAlarms tells when something is due for the pool's slots.
func (p *Planner) slotAlarms(s *slot, next *alarm) {
	q := p.pool(s.Pool)
	if s.due != "" && !s.acting {
		next.due(s.dueAt)
	}
	if q.SlotIdle > 0 && q.Slots.Max > 0 && s.open() && s.quiet() {
		next.due(s.quietAt + q.SlotIdle)
	}
}
