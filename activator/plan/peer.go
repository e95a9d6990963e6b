package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// peer is one dispatcher as the planner knows it.
type peer struct {
	id              string
	incarnation     uint64
	seq             uint64 // its last report
	stamp           time.Duration
	heardAt         time.Duration
	ackTerm, ackSeq uint64
	demands         []protocol.Demand // by model
	since           []time.Duration   // by model: since when its first waits, or since when it is idle
	known           bool              // its last report answers this planner, so it says what it holds as of this planner's life
	plain           uint64            // the first table for this life that was no Hello; 0 = none yet
	table           uint64            // the last table built for it
	tableAt         time.Duration
	lapsed          bool // its tables had expired when last looked at

	whole     bool        // its next table must be a whole one
	shares    []*instance // whose shares its next table must tell
	outlooks  []*model    // likewise
	tell      bool        // a table is due
	unsettled []*instance // whose shares it has not acknowledged yet
	timer     timer
}

// lapsedAt gives the moment from which the dispatcher leases nothing more unless it is heard again.
func (d *peer) lapsedAt(ttl time.Duration) time.Duration { return d.heardAt + ttl }

// hold is what one dispatcher may hold on one instance: the most of the slots in any table that it may be going by, the slots
// that an earlier planner gave it, and the leases that it reported.
type hold struct {
	given   []given // oldest first; those before the last acknowledged one are forgotten
	foreign int
	leases  int
	idleAt  time.Duration // since when it has no lease here; valid while it has none
	report  uint64        // the last whole report that listed it
}

// given is the number of slots in the tables from one on.
type given struct {
	table uint64
	slots int
	acked bool
}

// slots gives what the next table says.
func (h *hold) slots() int {
	if len(h.given) == 0 {
		return 0
	}
	return h.given[len(h.given)-1].slots
}

// settled reports whether the dispatcher has seen what the last table says.
func (h *hold) settled() bool { return len(h.given) == 0 || h.given[len(h.given)-1].acked }

func (h *hold) acknowledge(table uint64) {
	last := -1
	for k := range h.given {
		if h.given[k].table <= table {
			h.given[k].acked = true
			last = k
		}
	}
	if last > 0 {
		h.given = slices.Delete(h.given, 0, last)
	}
	if len(h.given) == 1 && h.given[0].slots == 0 && h.given[0].acked {
		h.given = h.given[:0]
	}
}

// bound gives the most leases that the dispatcher may have on the instance now or before it acknowledges.
func (h *hold) bound() int {
	b := max(h.foreign, h.leases)
	for k := range h.given {
		b = max(b, h.given[k].slots)
	}
	return b
}
