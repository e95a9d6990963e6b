package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// idle reports whether the instance serves nobody and nobody waits for it, as far as every dispatcher has said since it has known
// of its share.
func (f *rooms) idle(o *instance) bool {
	if o.State != fleet.Ready || o.m.waiting > 0 || len(o.holds) == 0 || !o.visible() {
		return false
	}
	for n := range o.holds {
		h := &o.holds[n]
		if h.leases > 0 || h.foreign > 0 || !h.settled() || f.peers[n].lapsed && h.bound() > 0 {
			return false
		}
	}
	return true
}

// protected reports whether the instance may not be taken away: it cannot be seen, or instances.min or an operator's hold keep it.
func (f *rooms) protected(now time.Duration, o *instance, taken []*instance) bool {
	if !o.visible() {
		return true
	}
	keep := 0
	if !o.m.stopped && !o.m.unlisted {
		keep = o.m.Instances.Min
		if o.m.held(now) {
			keep = max(keep, 1)
		}
	}
	if keep == 0 {
		return false
	}
	left := o.m.hot()
	for _, v := range taken {
		if v.m == o.m {
			left--
		}
	}
	return left <= keep
}

// surplus gives the ready instance of the model that is let go first: the one that has been idle longest; nil = none is idle, or not all that would
// speak of it can be heard.
func (f *rooms) surplus(m *model) *instance {
	var best *instance
	for _, i := range m.instances {
		if f.idle(i) && f.roster.Heard(i.seen) && (best == nil || i.idleSince() < best.idleSince()) {
			best = i
		}
	}
	return best
}

// pendingFor estimates how long it takes until instances can be launched on the slot.
func (f *rooms) pendingFor(now time.Duration, s *slot) time.Duration {
	if !s.Pending {
		return 0
	}
	takes := s.pool.added.median
	if takes == 0 {
		takes = slotTakes
	}
	return max(s.askedAt+takes-now, takes/4)
}

const slotTakes = 2 * time.Minute // about what adding a slot takes, where nothing is known
