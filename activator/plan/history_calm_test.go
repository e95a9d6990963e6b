package plan

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// calmDown ends the history: no faults and no new requests any more.
func (h *history) calmDown() {
	h.note("calm")
	h.calmAt = h.now
	h.policy.wild = false
	h.former = nil
	h.sure()
	h.cut = make([]bool, len(h.servers))
	h.backend.healthy = true
	h.backend.recover()
	h.eager = 4
	for _, m := range h.models {
		h.held[m.ID] = 0
		h.planner.modelOf[m.ID].heldUntil, h.planner.modelOf[m.ID].stale = 0, true
	}
	for range 400 {
		if h.Broken() {
			return
		}
		h.calmRound()
		h.checkAnswered()
		if h.resting() {
			return
		}
		h.pass(time.Duration(1+h.choose(20)) * time.Second)
	}
	h.fail("no rest: %s", h.unrest())
}

func (h *history) calmRound() {
	for _, s := range h.servers {
		s.closeBreakers()
		for len(s.leases) > 0 {
			s.release()
		}
	}
	h.settle()
	h.deliverAll()
	h.backend.progress()
	h.stepObserve()
	if h.world != slotsWorld {
		h.stepProbe()
		h.stepConsul()
	}
	h.deliverAll()
	h.settle()
	h.deliverAll()
}

// answerWithin is how long after the last fault whoever waits may wait for an answer.
const answerWithin = 15 * time.Minute

func (h *history) checkAnswered() {
	for _, s := range h.servers {
		if ws := s.waiting(); len(ws) > 0 && h.now > h.calmAt+answerWithin {
			h.fail("%s after the faults ended %d still wait at %s, the first for %s", answerWithin, len(ws), s.id, ws[0].ask.Model)
		}
	}
}

func (h *history) resting() bool { return h.unrest() == "" }

func (h *history) unrest() string {
	for _, s := range h.servers {
		if n := len(s.waiting()); n > 0 {
			return fmt.Sprintf("%d still wait at %s, the first for %s", n, s.id, s.waiting()[0].ask.Model)
		}
	}
	for _, e := range h.backend.engines {
		if !e.gone && e.State != fleet.Asleep {
			return fmt.Sprintf("%s of %s is still there", e.ID, e.Model)
		}
	}
	return ""
}
