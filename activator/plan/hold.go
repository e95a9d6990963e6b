package plan

import (
	"slices"
	"time"
)

// hold is what one dispatcher may hold on one instance: the most of the slots in any table that it may be going by, the slots
// that an earlier planner gave it, and the leases that it reported.
type hold struct {
	given   []given // oldest first; those before the last acknowledged one are forgotten
	foreign int
	claimed int // the most that it has reported to hold of those
	due     int // slots that it is to have, once others have given theirs back
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
