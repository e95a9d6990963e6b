package invoice

import (
	"maps"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// chain is what was read of one chain.
type chain struct {
	org     string
	by      map[ledger.Hash]int // index of the record with a hash
	next    map[ledger.Hash]int // index of the record whose previous a hash is
	ordered []int               // indexes, first to last
}

// follow follows the chains.
func (v *verifier) follow() {
	unchained := 0
	for i := range v.records {
		r := &v.records[i]
		if r.record.Chain == "" {
			unchained++
			continue
		}
		c := v.chains[r.record.Chain]
		if c == nil {
			c = &chain{org: r.record.Org, by: map[ledger.Hash]int{}, next: map[ledger.Hash]int{}}
			v.chains[r.record.Chain] = c
		}
		if c.org != r.record.Org {
			v.problem(r.line, "record %s of organisation %s is in a chain of %s", r.record.ID, r.record.Org, c.org)
		}
		if other, taken := c.next[r.record.Previous]; taken {
			v.problem(r.line, "record %s and that of line %d both say that they follow %s: one of them was slipped in",
				r.record.ID, v.records[other].line, orNone(r.record.Previous))
			continue
		}
		c.by[r.hash], c.next[r.record.Previous] = i, i
	}
	if unchained > 0 {
		v.note("records in no chain, which a version without chains has written: %d; nothing shows whether all of them are here", unchained)
	}
	for _, id := range slices.Sorted(maps.Keys(v.chains)) {
		v.followOne(id, v.chains[id])
	}
}

// followOne walks along one chain from each record whose predecessor is not here: one may be the oldest.
func (v *verifier) followOne(id string, c *chain) {
	var firsts []int
	for previous, i := range c.next {
		if _, here := c.by[previous]; !here {
			firsts = append(firsts, i)
		}
	}
	slices.Sort(firsts) // receipts come oldest first
	for n, first := range firsts {
		r := &v.records[first]
		switch previous := r.record.Previous; {
		case n > 0:
			v.problem(r.line, "records are missing before %s: the one whose hash is %s is not here", r.record.ID, orNone(previous))
		case previous == ledger.Hash{}:
			v.note("chain %s is here from its first record on", id)
		case v.invoice == nil:
			v.note("chain %s begins with %s: the record before it, whose hash is %s, is not among the receipts", id, r.record.ID, previous)
		}
		c.ordered = append(c.ordered, c.walk(first, v.records)...)
	}
	if len(c.ordered) < len(c.next) {
		v.problem(0, "chain %s goes in a circle: %d of its records follow none", id, len(c.next)-len(c.ordered))
	}
	if len(c.ordered) > 0 {
		v.report.Chains = append(v.report.Chains, Chain{
			Chain: id, Records: int64(len(c.ordered)), First: v.records[c.ordered[0]].hash, Last: v.records[c.ordered[len(c.ordered)-1]].hash,
		})
	}
}

// walk gives the records from one on, each behind the one before.
func (c *chain) walk(first int, records []received) (all []int) {
	for i, more := first, true; more; i, more = c.next[records[i].hash], hasKey(c.next, records[i].hash) {
		all = append(all, i)
	}
	return all
}

func hasKey[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

func orNone(h ledger.Hash) string {
	if h == (ledger.Hash{}) {
		return "none"
	}
	return h.String()
}
