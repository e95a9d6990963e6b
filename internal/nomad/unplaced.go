package nomad

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// retriesWithin is how soon Nomad tries again to place what has waited for a node, once that is back: until then its last failure says nothing of that node.
const retriesWithin = 5 * time.Second

// unplaced says why a job without an allocation has none, where Nomad has tried.
func (w *watch) unplaced(j *job, s *fleet.Sighting) {
	p := w.lastFailure(j)
	if p == nil {
		return
	}
	s.Phase = fleet.PhaseQueued
	impossible := w.impossible(p, j.demand(), w.n.cfg.NodePool)
	if s.Unplaced = fleet.UnplacedExhausted; impossible != "" {
		s.Unplaced, s.Failure = fleet.UnplacedImpossible, "no node can hold it: "+impossible
	}
	w.logChange(s, placing(s, p))
}

// lastFailure is why Nomad could not place the job when it tried last; nil = it has not, or could.
func (w *watch) lastFailure(j *job) *placement {
	last := w.state.failures[j.ID]
	if last == nil {
		return nil
	}
	return last.FailedTGAllocs[j.label()]
}

// impossible says why no node could hold what is wanted, even if empty; "" = some could, now or when it is back. A node that is down, drained or ineligible, or
// has GPUs out of order, counts as one that will be back: it was only not asked.
func (w *watch) impossible(p *placement, d demand, pool string) string {
	if large := w.tooLarge(d, pool); large != "" {
		return large
	}
	if p.NodesExhausted > 0 || len(p.QuotaExhausted) > 0 || time.Since(w.returnedAt) < retriesWithin {
		return ""
	}
	for _, n := range w.state.nodes {
		healthy, all := n.gpus()
		away := !n.condition().TakesLaunches() || healthy < d.gpus
		if away && all > 0 && all >= d.gpus && w.n.mayUse(n, pool) {
			return ""
		}
	}
	return w.lacks(p, pool)
}

// tooLarge says what is wanted more of than any node of the node pool has; "" = nothing. Nomad itself says of memory only that it is exhausted, also
// where it never sufficed.
func (w *watch) tooLarge(d demand, pool string) string {
	wanted, most, fastest := int(d.memory>>20), 0, 0
	for _, n := range w.state.nodes {
		if n.NodeResources != nil && w.n.mayUse(n, pool) {
			memory, cpu := n.NodeResources.Memory.MemoryMB, n.NodeResources.Cpu.CpuShares
			if kept := n.ReservedResources; kept != nil {
				memory, cpu = memory-kept.Memory.MemoryMB, cpu-kept.Cpu.CpuShares
			}
			most, fastest = max(most, memory), max(fastest, cpu)
		}
	}
	switch {
	case most > 0 && wanted > most:
		return fmt.Sprintf("it asks for %d MiB of memory, and the largest has %d", wanted, most)
	case fastest > 0 && d.cpu > fastest:
		return fmt.Sprintf("it asks for %d MHz, and the fastest has %d", d.cpu, fastest)
	}
	return ""
}

// returned reports whether a node takes work that did not before.
func returned(before, after *node) bool {
	return after.condition().TakesLaunches() && (before == nil || !before.condition().TakesLaunches())
}

// plain are Nomad's words for what operators would call otherwise.
var plain = map[string]string{
	"missing devices":                   "too few GPUs, or none of the kind (missing devices)",
	"missing drivers":                   "no such driver (missing drivers)",
	"devices: no devices match request": "no GPUs free",
}

// lacks says what nodes lack that could not hold the instance even if empty.
func (w *watch) lacks(p *placement, pool string) string {
	if parts := counted(p.ConstraintFiltered); len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	return "none is in node pool " + pool + " and datacenters " + strings.Join(w.n.cfg.Datacenters, ", ")
}

// exhausted says what is in use of nodes that could hold the instance, and what the others lack.
func exhausted(p *placement) string {
	parts := append(counted(p.DimensionExhausted), counted(p.ConstraintFiltered)...)
	for _, quota := range p.QuotaExhausted {
		parts = append(parts, "quota "+quota)
	}
	return cmp.Or(strings.Join(parts, ", "), "its nodes take no work at present")
}

// counted says of how many nodes each is true.
func counted(nodes map[string]int) []string {
	var parts []string
	for what, count := range nodes {
		if word, ok := plain[what]; ok {
			what = word
		}
		parts = append(parts, what+" on "+strconv.Itoa(count))
	}
	slices.Sort(parts)
	return parts
}
