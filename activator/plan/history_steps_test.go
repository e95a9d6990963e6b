package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// stepLate delivers a message once more, long after.
func (h *history) stepLate() {
	if len(h.drawer) == 0 {
		return
	}
	h.note("late")
	h.net = append(h.net, pick(h, h.drawer))
	h.deliver(len(h.net) - 1)
}

func (h *history) stepAsk()     { pick(h, h.servers).ask() }
func (h *history) stepRelease() { pick(h, h.servers).release() }
func (h *history) stepLeave()   { pick(h, h.servers).leave() }
func (h *history) stepBreaker() { pick(h, h.servers).trip() }

// stepWell has everything arrive, and every engine and slot do what it is to do: without it few histories would come as far as leases on an engine that was parked and resumed.
func (h *history) stepWell() {
	for range 1 + h.choose(2) {
		h.deliverAll()
		h.backend.progress()
		h.deliverAll()
	}
}

// stepCrowd has several ask for one model.
func (h *history) stepCrowd() {
	s, m := pick(h, h.servers), pick(h, h.models).ID
	for range 2 + h.choose(4) {
		s.askFor(m)
	}
}

func (h *history) stepTime() { h.pass(time.Duration(1+h.choose(3000)) * time.Millisecond) }

func (h *history) stepLongTime() { h.pass(time.Duration(1+h.choose(100)) * time.Second) }

// pass lets time go by, with everything done at the moment at which it is due.
func (h *history) pass(d time.Duration) {
	h.note("%s pass", d)
	until := h.now + d
	for range 8000 {
		next := until
		if at, ok := h.planner.Next(h.now); ok {
			next = min(next, max(at, h.now))
		}
		for _, s := range h.servers {
			if at, ok := s.d.Next(); ok {
				next = min(next, max(at-s.offset, h.now))
			}
		}
		h.now = next
		h.settle()
		if h.now >= until {
			return
		}
		if h.eager == 4 {
			h.deliverAll()
		}
	}
	h.fail("timers without end")
}

func (h *history) stepDeliver() {
	for range 1 + h.choose(6) {
		if len(h.net) == 0 {
			return
		}
		h.deliver(h.choose(len(h.net)))
	}
}

// stepLose loses a message. An act is a call: to lose it is to be told of an error, whether or not it was carried out.
func (h *history) stepLose() {
	if len(h.net) == 0 {
		return
	}
	k := h.choose(len(h.net))
	m := h.net[k]
	if m.what == "accepted" {
		return
	}
	h.note("lose %s", m.what)
	if m.what == "act" {
		return // see stepEngine: the backend refuses
	}
	h.net = slices.Delete(h.net, k, k+1)
}

func (h *history) stepDouble() {
	if len(h.net) == 0 {
		return
	}
	m := pick(h, h.net)
	if m.what != "accepted" && m.what != "act" {
		h.net = append(h.net, m)
	}
}

func (h *history) stepCut() {
	k := h.choose(len(h.cut))
	h.cut[k] = !h.cut[k]
	h.note("cut %v", h.cut)
}

func (h *history) stepOperator() {
	m := pick(h, h.models)
	if h.choose(2) == 0 {
		h.note("hold %s", m.ID)
		if h.planner.Hold(h.now, m.ID, 30*time.Second) == nil {
			h.held[m.ID] = h.now + 30*time.Second
		}
		return
	}
	h.note("stop %s", m.ID)
	h.held[m.ID] = 0
	if err := h.planner.StopModel(h.now, m.ID); err != nil {
		h.fail("stopping: %v", err)
	}
}

func (h *history) stepCrashServer() {
	if h.choose(4) == 0 {
		s := pick(h, h.servers)
		h.note("crash %s", s.id)
		s.restart()
		if h.former != nil && s.id == h.former.self {
			h.former = nil
		}
		if s.id == h.self {
			h.crashPlanner()
		}
	}
}

// stepGoServer has a server end in order, which says so once its last lease has ended, and another of its name start.
func (h *history) stepGoServer() {
	s := pick(h, h.servers)
	if len(s.leases) > 0 || h.near(s) || h.choose(2) == 0 {
		return
	}
	h.note("%s ends in order", s.id)
	farewell := &protocol.Report{From: s.id, Incarnation: s.life + 1, Seq: 1, Farewell: true}
	h.send(s.n, "report", func() { h.tellLeader(s, farewell) })
	s.life++
	s.restart()
}

// stepCrashPlanner replaces the planner. The backend is fenced first, as facts of the protocol demand; what the old one has ordered and
// the backend has not got is lost.
func (h *history) stepCrashPlanner() {
	if h.choose(6) == 0 {
		h.crashPlanner()
	}
}

// crashPlanner is a planner's end; where it lived in a server's process and that lives on, the server has lost the lead, and gets it again.
func (h *history) crashPlanner() {
	h.note("crash planner")
	h.net = slices.DeleteFunc(h.net, func(m packet) bool {
		return m.what == "act" || m.what == "accepted" || m.what == "report" && h.choose(2) == 0
	})
	for _, e := range h.backend.engines {
		e.stopping = e.State == fleet.Stopping && !e.ended
	}
	h.setClockBack()
	h.startPlanner()
}

// stepRestart ends the one process in which planner and dispatchers live, with all leases and all that was on its way to it.
func (h *history) stepRestart() {
	if h.choose(6) > 0 {
		return
	}
	h.note("restart")
	h.former = nil
	h.net, h.drawer = nil, nil
	for _, s := range h.servers {
		s.restart()
	}
	for _, e := range h.backend.engines {
		e.stopping = e.State == fleet.Stopping && !e.ended
	}
	h.setClockBack()
	h.startPlanner()
}

// setClockBack sets the wall clock back, or leaves it.
func (h *history) setClockBack() {
	if h.choose(3) == 0 {
		h.note("the clock is set back")
		h.epoch = h.epoch.Add(-time.Hour)
	}
}
