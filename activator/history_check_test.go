package activator

import (
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// check holds the promises that must be true at every moment.
func (h *history) check() {
	for _, s := range h.servers {
		for _, m := range h.models {
			h.checkQueue(s, m)
		}
	}
	for _, sl := range h.planner.slots {
		h.checkSlot(sl)
	}
}

func (h *history) checkQueue(s *server, m *fleet.Model) {
	q, limit := s.d.Queue(m.ID), m.Queue.Limit
	if limit > 0 && q.Waiting > limit {
		h.fail("%s: %d wait for %s, limit %d", s.id, q.Waiting, m.ID, limit)
	}
	waiters := q.Waiting + q.Retries
	if q.Hot || waiters == 0 {
		return
	}
	if q.Answer == fleet.BackingOff || q.Answer == fleet.NeverFits {
		h.fail("%s: %d are kept waiting for %s though it is %s", s.id, waiters, m.ID, q.Answer)
	}
	if q.OnlyHot > 0 {
		h.fail("%s: someone who wants %s only hot waits for it cold", s.id, m.ID)
	}
}

// checkSlot holds that no two awake instances share a GPU, and that blocks are aligned.
func (h *history) checkSlot(s *slot) {
	sum := 0
	for _, i := range h.planner.instances {
		if i.slot != s || !i.housed {
			continue
		}
		if i.State != fleet.Stopping || h.planner.own(i.ID) {
			sum += i.GPUs // an adopted one that is being stopped may have been parked
		}
		for g := i.GPU; g < i.GPU+i.GPUs; g++ {
			if s.awake[g] != i && h.planner.own(i.ID) {
				h.fail("GPU %d of %s is not its holder's", g, s.ID)
			}
		}
		if i.GPU%align(i.GPUs) != 0 {
			h.fail("%s lies on GPU %d+%d", i.ID, i.GPU, i.GPUs)
		}
	}
	h.checkBeds(s)
	if sum > s.GPUs {
		h.fail("%d GPUs are awake on %s, which has %d", sum, s.ID, s.GPUs)
	}
}

// checkPlanner looks at what the planner has just decided.
func (h *history) checkPlanner() {
	p := h.planner
	for _, n := range p.TakeNotices() {
		h.checkNotice(&n)
	}
	for _, act := range p.activations {
		if act.ID > h.begun {
			h.begun = act.ID
			h.checkReservation(&act.Activation)
		}
	}
}

func (h *history) checkNotice(n *fleet.Notice) {
	h.note("%s of %s: %q to %q: %s", n.Instance, n.Model, n.From, n.To, n.Reason)
	h.checkSources(n)
	switch {
	case n.Reason == unplacedUnneeded || n.Reason == unplacedImpossible:
	case n.From == fleet.Starting && (n.To == fleet.Failed || n.To == ""):
		h.failed[n.Model] = h.now
	case n.From == fleet.Starting && n.To == fleet.Stopping && n.Reason != "stopped by the operator" && n.Reason != "was being stopped":
		h.fail("an activation of %s was given up: %s", n.Model, n.Reason)
	}
	if wanted, found := strings.CutPrefix(n.Reason, "makes room for "); found && n.To == fleet.Draining {
		m := h.planner.byModel[wanted]
		if m == nil || m.pending() == 0 {
			h.fail("%s was moved for %s, which has no reservation", n.Instance, wanted)
		}
	}
}

// checkReservation holds that GPUs are reserved only for demand as last reported or for a wish, no sooner than the back-off allows.
func (h *history) checkReservation(act *fleet.Activation) {
	m := h.planner.byModel[act.Model]
	if act.Reason == "adopted" {
		return
	}
	allowed := max(h.policy.wished[m.ID], m.desired.Hot, m.Instances.Min)
	for _, s := range h.heard {
		if s[m.ID].Waiting > 0 {
			allowed = max(allowed, 1)
		}
	}
	if h.held[m.ID] > h.now {
		allowed = max(allowed, 1)
	}
	if n := m.hot() + m.pending(); n > allowed {
		h.fail("%d instances of %s where demand and wishes ask for %d", n, m.ID, allowed)
	}
	if most, n := m.Instances.Max, m.hot()+m.pending()+m.going(); most > 0 && n > most {
		h.fail("%d instances of %s awake, instances.max is %d", n, m.ID, most)
	}
	if at, failed := h.failed[m.ID]; failed && h.now < at+time.Second {
		h.fail("%s was started %s after a failed start", m.ID, h.now-at)
	}
}

// checkKnown holds that the planner has forgotten nothing that is there.
func (h *history) checkKnown() {
	for _, e := range h.site.engines {
		if !e.gone && h.planner.own(e.ID) && h.planner.byID[e.ID] == nil {
			h.fail("%s is there, and the planner has forgotten it", e.ID)
		}
	}
}
