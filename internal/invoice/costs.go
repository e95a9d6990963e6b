package invoice

import (
	"maps"
	"math"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// costs are a usage record's cost and what was taken off it.
type costs struct {
	line           int
	known          bool
	cost, credited fleet.NanoUSD
}

// checkCost recomputes what a record costs.
func (v *verifier) checkCost(line int, r *ledger.Record) {
	switch r.Kind {
	case ledger.KindUsage:
		if want := ledger.Cost(r.Billed, r.GPUs, r.Price); r.Cost != want {
			v.problem(line, "record %s costs %d nano-USD, and %d us x %d GPUs x %d nano-USD per GPU-hour are %d",
				r.ID, r.Cost, r.Billed.Microseconds(), r.GPUs, r.Price, want)
		}
		c := v.costsOf(r.ID)
		c.line, c.known, c.cost = line, true, r.Cost
	case ledger.KindCorrection:
		if r.Cost >= 0 || r.Corrects == "" || r.Reason == "" {
			v.problem(line, "correction %s must name a record and a reason, and cost less than nothing", r.ID)
		}
		if c := v.costsOf(r.Corrects); r.Cost < 0 {
			if c.credited -= r.Cost; c.credited < 0 {
				c.credited = math.MaxInt64
			}
		}
	default:
		v.problem(line, "record %s is of kind %q; there are usage and correction", r.ID, r.Kind)
	}
}

func (v *verifier) costsOf(id string) *costs {
	if v.costs[id] == nil {
		v.costs[id] = &costs{}
	}
	return v.costs[id]
}

// weighCorrections checks that no record costs less than nothing in the end.
func (v *verifier) weighCorrections() {
	unknown := 0
	for _, id := range slices.Sorted(maps.Keys(v.costs)) {
		switch c := v.costs[id]; {
		case !c.known:
			unknown++
		case c.credited > c.cost:
			v.problem(c.line, "record %s costs %d nano-USD, and corrections take %d off", id, c.cost, c.credited)
		}
	}
	if unknown > 0 {
		v.note("corrections of records that are not among the receipts, but on an earlier invoice: %d", unknown)
	}
}
