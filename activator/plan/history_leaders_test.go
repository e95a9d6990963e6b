package plan

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A leader that was replaced may live on without knowing of its successor: Consul does not answer it, so it is not certain to lead. It is suspended by then, for nobody else gets the
// lock sooner. It goes on hearing sources and those servers that have not found the new one, and sending tables; what it had ordered is still on its way.

// leader is one that was replaced, and lives on.
type leader struct {
	*Planner
	self     string // the server in whose process it lives; "" = in none's
	followed []bool // servers that take it for the one that leads: the new one hears nothing of them
}

// stepReplaceLeader has another server lead, while the one that led lives on; later one server more finds the new one, or serves by the former's word, or the former ends.
func (h *history) stepReplaceLeader() {
	switch {
	case h.former == nil:
		if h.choose(4) == 0 {
			h.replaceLeader()
		}
	case h.choose(4) == 0:
		h.endFormer()
	default:
		s := pick(h, h.servers)
		switch followed := h.former.followed[s.n]; {
		case followed && h.choose(3) > 0:
			s.ask()
			s.ask()
		case s.id != h.former.self:
			h.note("%s finds the new leader", s.id)
			h.former.followed[s.n] = false
		}
	}
}

func (h *history) replaceLeader() {
	h.note("the leader is replaced, and lives on")
	former, acts := &leader{Planner: h.planner, self: h.self, followed: make([]bool, len(h.servers))}, h.actsOnTheirWay()
	if h.self != "" {
		h.self = h.servers[1-h.indexOf(h.self)].id
	}
	h.crashPlanner()
	h.net = append(h.net, acts...)
	for k, s := range h.servers {
		former.followed[k] = s.id == former.self || s.id != h.self && h.choose(2) == 0
	}
	former.Suspend("it is not certain that this server leads")
	h.former = former
	if h.choose(2) == 0 { // the new one hears all sources while promises of the former still hold
		h.stepObserve()
		h.deliverAll()
	}
}

// endFormer ends a leader that was replaced. The process in which it lives may go on.
func (h *history) endFormer() {
	h.note("the former leader ends")
	if k := h.indexOf(h.former.self); k >= 0 && h.choose(2) == 0 {
		h.servers[k].restart()
	}
	h.former = nil
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
		h.sendTable(p.self, t)
	}
	p.TakeNotices()
	p.TakeLearned()
	p.TakeEnded()
}

// formerSees has the former leader hear a source, which it has not stopped watching.
func (h *history) formerSees(o fleet.Observation) {
	if h.former != nil {
		h.former.Observe(h.now, &o)
	}
}

// stepUnsure has the leader not be certain to lead, for Consul does not answer it, or be certain again: nobody has taken over.
func (h *history) stepUnsure() {
	switch {
	case h.unsure:
		h.sure()
	case h.choose(4) == 0:
		h.note("the leader is not certain to lead")
		h.unsure = true
		h.planner.Suspend("it is not certain that this server leads")
	}
}

func (h *history) sure() {
	if h.unsure {
		h.reach("a leader was certain again")
		h.unsure = false
		h.planner.Resume()
	}
}

// leaderOf gives the planner that a server takes for the one that leads.
func (h *history) leaderOf(s *server) *Planner {
	if h.former != nil && h.former.followed[s.n] {
		return h.former.Planner
	}
	return h.planner
}

// near reports whether the planner that a server takes for the one that leads lives in its process.
func (h *history) near(s *server) bool {
	return s.id == h.self || h.former != nil && s.id == h.former.self
}

// tellLeader has a report arrive where its server takes the leader to be. It is false where that one has heard the same or more.
func (h *history) tellLeader(s *server, r *protocol.Report) (dispatcherHears func(), taken bool) {
	p := h.leaderOf(s)
	if !p.Hear(h.now, r) {
		return nil, false
	}
	if p == h.planner {
		h.hears(r)
	}
	term := p.Term()
	return func() {
		if s.life == r.Incarnation && dispatch.ExpiryOf(s.d).Term() == term {
			s.d.Heard(r.Seq)
		}
	}, true
}

// sendTable has a table go to its server, which may live in the process of the planner that made it.
func (h *history) sendTable(self string, t *protocol.Table) {
	s := h.servers[h.indexOf(t.To)]
	if t.To == self {
		s.receive(t)
		return
	}
	h.send(s.n, "table", func() { s.receive(t) })
}

// accepted tells whoever has ordered an act what became of it, where that one still leads or lives on.
func (h *history) accepted(act *fleet.Act, err error) {
	switch {
	case act.Term == h.planner.Term():
		h.planner.Accepted(h.now, act, err)
	case h.former != nil && act.Term == h.former.Term():
		h.former.Accepted(h.now, act, err)
	}
}
