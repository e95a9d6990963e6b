package nomad

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// unplaced says why a job without an allocation has none, where Nomad has tried.
func (w *watch) unplaced(j *api.JobListStub, s *fleet.Sighting) {
	m := w.lastFailure(j, label)
	if m == nil {
		return
	}
	s.Phase = fleet.PhaseQueued
	large := ""
	if model := w.n.model(s.Model); model != nil {
		large = w.tooLarge(model.Engine.Memory, model.Engine.CPU, w.n.cfg.NodePool)
	}
	switch {
	case large != "":
		s.Unplaced, s.Failure = fleet.UnplacedImpossible, "no node can hold it: "+large
	case w.mayComeFree(m, w.n.cfg.NodePool):
		s.Unplaced = fleet.UnplacedExhausted
	default:
		s.Unplaced, s.Failure = fleet.UnplacedImpossible, "no node can hold it: "+w.lacks(m, w.n.cfg.NodePool)
	}
	w.say(s, placing(s, m))
}

// lastFailure is why Nomad could not place the group when it tried last; nil = it has not, or could.
func (w *watch) lastFailure(j *api.JobListStub, group string) *api.AllocationMetric {
	var last *api.Evaluation
	for _, e := range w.evaluations {
		if e.JobID == j.ID && len(e.FailedTGAllocs) > 0 && (last == nil || e.ModifyIndex > last.ModifyIndex) {
			last = e
		}
	}
	if last == nil {
		return nil
	}
	return last.FailedTGAllocs[group]
}

// mayComeFree reports whether a node that Nomad refused could hold the instance later: some node lacks only what is in use now, or one that
// takes no work at present was not looked at.
func (w *watch) mayComeFree(m *api.AllocationMetric, pool string) bool {
	if m.NodesExhausted > 0 || len(m.QuotaExhausted) > 0 {
		return true
	}
	return slices.ContainsFunc(w.nodes, func(n *api.NodeListStub) bool {
		away := n.Status != api.NodeStatusReady || n.Drain || n.SchedulingEligibility != api.NodeSchedulingEligible
		return away && w.n.mayUse(n, pool) && devices(n) > 0
	})
}

// tooLarge says what is wanted more of than any node of the node pool has; "" = nothing. Nomad itself says of memory only that it is exhausted, also
// where it never sufficed.
func (w *watch) tooLarge(memory fleet.Bytes, cpu int, pool string) string {
	wanted, most, fastest := memory>>20, fleet.Bytes(0), 0
	for _, n := range w.nodes {
		if r := n.NodeResources; r != nil && w.n.mayUse(n, pool) {
			kept := cmp.Or(n.ReservedResources, &api.NodeReservedResources{})
			most = max(most, fleet.Bytes(r.Memory.MemoryMB)-fleet.Bytes(kept.Memory.MemoryMB))
			fastest = max(fastest, int(r.Cpu.CpuShares)-int(kept.Cpu.CpuShares))
		}
	}
	switch {
	case most > 0 && wanted > most:
		return fmt.Sprintf("it asks for %d MiB of memory, and the largest has %d", wanted, most)
	case fastest > 0 && cpu > fastest:
		return fmt.Sprintf("it asks for %d MHz, and the fastest has %d", cpu, fastest)
	}
	return ""
}

// plain are Nomad's words for what operators would call otherwise.
var plain = map[string]string{
	"missing devices":                   "too few GPUs, or none of the kind (missing devices)",
	"missing drivers":                   "no such driver (missing drivers)",
	"devices: no devices match request": "no GPUs free",
}

// lacks says what nodes lack that could not hold the instance even if empty.
func (w *watch) lacks(m *api.AllocationMetric, pool string) string {
	if parts := counted(m.ConstraintFiltered); len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	return "none is in node pool " + pool + " and datacenters " + strings.Join(w.n.cfg.Datacenters, ", ")
}

// exhausted says what is in use of nodes that could hold the instance, and what the others lack.
func exhausted(m *api.AllocationMetric) string {
	parts := append(counted(m.DimensionExhausted), counted(m.ConstraintFiltered)...)
	for _, quota := range m.QuotaExhausted {
		parts = append(parts, "quota "+quota)
	}
	if len(parts) == 0 {
		return "its nodes take no work at present"
	}
	return strings.Join(parts, ", ")
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
