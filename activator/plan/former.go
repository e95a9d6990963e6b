package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// known reports whether all has spoken that would say what exists where the model is placed. Until then nothing of it is started, and
// nothing is refused.
func (s *state) known(m *model) bool {
	switch {
	case m.dedicated():
		return s.roster.NodesKnown()
	case m.Pool == "":
		return s.roster.LocalSlotKnown() && s.roster.SlotsKnown()
	default:
		return s.roster.SlotsKnown()
	}
}

// finds reports whether it is not known yet what runs, but soon will be. A table that tells a dispatcher which shares it has would take from it those of
// instances that have not been found: until then it goes by what the planner before has told it.
func (p *sharing) finds(now time.Duration) bool {
	if !p.found {
		p.found = now >= p.findsUntil() || !slices.ContainsFunc(p.models, func(m *model) bool { return !p.known(m) })
	}
	return !p.found
}

// findsUntil gives the moment from which nobody is waited for any more who would say what runs.
func (p *sharing) findsUntil() time.Duration { return p.started + p.cfg.TTL/6 }

// doubt notes that somebody may have leases on an instance who is not heard.
func (s *state) doubt(i *instance) {
	if !i.doubted && s.cfg.TTL > 0 {
		i.doubted = true
		s.doubted, s.resolveAt = append(s.doubted, i), 0
	}
}

// takeHeld takes what a dispatcher holds on an instance. What it says before it has met this planner may be older than it comes: the next word is better. From then on a share that has
// expired may be vouched for again.
func (s *state) takeHeld(now time.Duration, i *instance, n int, held *protocol.Held) {
	d, h, slots := s.peers[n], &i.holds[n], 0
	switch {
	case d.foreign && d.known:
		slots = max(held.Slots, h.foreign)
	case d.foreign:
		slots = held.Slots
	}
	if h.leases != held.Leases || h.foreign != slots {
		s.changed(i)
	}
	if h.idleAt != now-held.Idle {
		s.unshown.model(i.m)
	}
	h.leases, h.foreign, h.idleAt = held.Leases, slots, now-held.Idle
	if d.foreign && d.known {
		i.confirm(n)
	}
}

// confirm counts what a dispatcher has of an earlier planner among the slots that may be divided.
func (i *instance) confirm(n int) {
	h := &i.holds[n]
	if claim := max(h.foreign, h.leases); claim > h.claimed {
		i.confirmed += claim - h.claimed
		h.claimed = claim
	}
}

// shareable gives the slots of an instance that may be divided. While somebody unknown may have some, those are what others had when this planner's life began, or later: an
// earlier planner gave no more then, and never more than there are.
func (i *instance) shareable() int {
	if i.trust == adopted {
		return min(i.confirmed, i.capacity())
	}
	return i.capacity()
}

// inherits reports whether a dispatcher still goes by what an earlier planner gave it of the instance.
func (i *instance) inherits() bool {
	return slices.ContainsFunc(i.holds, func(h hold) bool { return h.foreign > 0 })
}

// mayServe reports whether an instance that was found, and of which the planner has not heard yet that it is ready, may have been so before.
func (i *instance) mayServe() bool { return i.State == fleet.Starting && i.trust == adopted }
