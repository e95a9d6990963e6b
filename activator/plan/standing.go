package plan

import "time"

// standing is how one dispatcher stands with one model, over all instances that are shared out.
type standing struct {
	able  bool          // it can be given slots
	waits int           // requests
	since time.Duration // the first waits; valid while some do
	needs int           // slots: for those who wait, and its leases
	has   int           // slots that are of use to it, those promised included
	free  int           // of those, without a lease, and about to come where they are promised
}

// slack gives how many more requests it could serve at once; negative = so many wait that need slots of others.
func (s *standing) slack() int { return s.free - s.waits }

// lacks reports whether it should have slots of others: for those who wait, or for the next that comes.
func (s *standing) lacks() bool { return s.able && (s.slack() < 0 || s.has == 0) }

// before orders who gets the next slot: those whose requests wait, by what they have of what they need, and then by who has waited longest; then those who
// can serve fewest more.
func (s *standing) before(o *standing) bool {
	switch mine, others := s.has*o.needs, o.has*s.needs; {
	case !s.able || !o.able:
		return s.able && !o.able
	case s.slack() >= 0 || o.slack() >= 0:
		return s.slack() < o.slack()
	case mine != others:
		return mine < others
	default:
		return s.since < o.since
	}
}

// outlasts reports whether s, whose requests wait, should have a slot that the other uses, once that is given back: because it has less of what it needs, or none at all and has
// waited longer.
func (s *standing) outlasts(o *standing) bool {
	switch {
	case s.slack() >= 0:
		return false
	case s.has == 0 && (o.waits == 0 || s.since < o.since):
		return true
	default:
		return (s.has+1)*o.needs <= (o.has-1)*s.needs
	}
}

// add adds what the dispatcher has on one instance.
func (s *standing) add(h *hold, moving bool) {
	has, soon := h.due, h.slots()
	switch {
	case moving:
		soon = has
	case s.waits > 0 && has == soon:
		has, soon = min(has, h.leases), h.leases // who waits beside free slots has no use for them
	}
	s.needs += h.leases
	s.has += has
	s.free += max(soon-h.leases, 0)
}
