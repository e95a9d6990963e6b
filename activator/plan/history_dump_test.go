package plan

// dump gives the planner's state for a failed history.
func (h *history) dump() {
	p := h.planner
	h.note("planner: never stepped %v, %d dispatchers, slots known %v, nodes known %v", !p.begun, len(p.peers), p.roster.SlotsKnown(), p.roster.NodesKnown())
	for _, m := range p.models {
		h.note("%s: %d GPUs, waiting %d, inflight %d, hot %d, pending %d, short %d, retry in %s, failures %d, suspect %q, wish %d %q, outlook %+v",
			m.ID, m.GPUs, m.waiting, m.inflight, m.hot(), m.pending(), m.short, m.retryAt-h.now, m.failures, m.suspect, m.desired.Hot, m.desired.Reason, m.outlook)
	}
	for _, q := range p.pools {
		h.note("pool %q: retry at %s, refused %d, dirty %v", q.Name, q.retryAt, q.refused, q.dirty)
		for _, s := range q.slots {
			h.note("slot %+v, order %+v, given back %v, dirty %v, alarm %s %d", s.Slot, s.order, s.givenBack, s.dirty, s.timer.at, s.timer.index)
		}
	}
	for _, n := range p.nodes {
		h.note("node %s: %d GPUs, %d used by others, %q, gone %v, left %d, %d residents", n.id, n.gpus, n.used, n.condition, n.gone, n.left(nil), len(n.residents))
	}
	for _, i := range p.instances {
		h.note("%s of %s on %s/%d+%d: %s, order %+v, reserved %v, trust %d, seen %+v, holds %+v", i.ID, i.Model, i.Slot, i.GPU, i.GPUs, i.State, i.order, i.reserved != nil, i.trust, i.seen, i.holds)
	}
	for _, e := range h.backend.engines {
		if !e.gone {
			h.note("engine %s of %s on %s/%d+%d: %s", e.ID, e.Model, e.Slot, e.GPU, e.GPUs, e.State)
		}
	}
	for _, s := range h.servers {
		for _, i := range s.d.Instances() {
			h.note("%s: %s slots %d leases %d breaker %s", s.id, i.ID, i.Slots, i.Leases, i.Breaker)
		}
	}
}
