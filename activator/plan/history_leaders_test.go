package plan

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A leader that was replaced may live on without knowing of its successor: Consul does not answer it, so it is not certain to lead. It is suspended by then, for nobody else gets the
// lock sooner. It goes on hearing sources and those servers that have not found the new one, and sending tables; what it had ordered is still on its way.

// stepReplaceLeader has another server lead, while the one that led lives on; or ends one that did.
func (h *history) stepReplaceLeader() {
	switch {
	case h.choose(4) > 0:
	case h.former != nil:
		h.note("the former leader ends")
		h.former = nil
	case h.self == "": // else it lives and ends with that server
		former, acts := h.planner, h.actsOnTheirWay()
		h.note("the leader is replaced, and lives on")
		h.crashPlanner()
		h.net = append(h.net, acts...)
		former.Suspend("it is not certain that this server leads")
		h.former = former
	}
}

// actsOnTheirWay gives what the leader has ordered and the back end has not got.
func (h *history) actsOnTheirWay() []packet {
	return slices.DeleteFunc(slices.Clone(h.net), func(m packet) bool { return m.what != "act" })
}

// stepFormer has the leader that was replaced do what it does still. It may tell servers what they hold, and orders nothing.
func (h *history) stepFormer() {
	p := h.former
	if p == nil {
		return
	}
	p.Step(h.now)
	for _, act := range p.TakeActs() {
		h.fail("a leader that is not certain to lead orders %s %s", act.Kind, act.Instance)
	}
	for _, t := range p.TakeTables() {
		h.reach("a former leader told a server of its shares")
		h.send(h.indexOf(t.To), "table", func() { h.servers[h.indexOf(t.To)].receive(t) })
	}
	p.TakeNotices()
	p.TakeLearned()
	p.TakeEnded()
}

// formerHears has the former leader hear a report, where its server has not found the new one.
func (h *history) formerHears(r *protocol.Report) bool {
	if h.former == nil || h.choose(3) > 0 {
		return false
	}
	h.former.Hear(h.now, r)
	return true
}

// formerSees has the former leader hear a source, which it has not stopped watching.
func (h *history) formerSees(o fleet.Observation) {
	if h.former != nil {
		h.former.Observe(h.now, &o)
	}
}
