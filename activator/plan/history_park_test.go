package plan

import (
	"errors"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// newPool gives the limits of a history's pool: some histories park, and some have slots added and given back.
func newPool(h *history) fleet.Pool {
	h.parks = h.choose(4) > 0
	q := fleet.Pool{Name: h.poolName()}
	if h.parks {
		q.MaxParkedPerGPU, q.ParkedGPUMemory = 1+h.choose(3), 4
		q.HostMemory = pick(h, []fleet.Bytes{0, 3, 6, 20})
	}
	if h.world == mixedWorld { // slots.min would keep GPUs from the models on nodes for ever
		q.GPUsPerSlot, q.Slots, q.SlotIdle = pick(h, []int{2, 4, 8}), fleet.Range{Max: 1 + h.choose(3)}, 30*time.Second
	} else if h.choose(3) == 0 {
		q.GPUsPerSlot, q.Slots, q.SlotIdle = pick(h, []int{2, 4, 8}), fleet.Range{Min: h.choose(2), Max: 1 + h.choose(3)}, 30*time.Second
	}
	return q
}

// holds reports whether the engine holds its GPUs.
func (e *process) holds() bool { return !e.gone && e.State != fleet.Asleep && !e.asleep }

// inHost reports whether it takes host memory.
func (e *process) inHost() bool {
	return !e.gone && (e.asleep || e.State == fleet.Asleep || e.State == fleet.Parking || e.State == fleet.Resuming)
}

func (e *process) overlaps(o *process) bool {
	return e.Slot == o.Slot && e.GPU < o.GPU+o.GPUs && o.GPU < e.GPU+e.GPUs
}

// wakes checks what must hold when an engine is to hold its GPUs: nobody else does, and not too many are parked there.
func (s *backend) wakes(e *process) {
	if e.dedicated() {
		return
	}
	for _, o := range s.engines {
		if o != e && o.holds() && e.overlaps(o) {
			s.h.fail("%s wakes on GPUs that %s still holds", e.ID, o.ID)
		}
	}
	for g := e.GPU; g < e.GPU+e.GPUs; g++ {
		n := 0
		for _, o := range s.engines {
			if o != e && o.Slot == e.Slot && o.GPU <= g && g < o.GPU+o.GPUs && o.inHost() {
				n++
			}
		}
		if most := s.h.pool.MaxParkedPerGPU; n > most {
			s.h.fail("%s wakes beside %d parked ones on GPU %d, most %d", e.ID, n, g, most)
		}
	}
}

// parkEngine begins to park an engine, within the limits.
func (s *backend) parkEngine(e *process, act *fleet.Act) error {
	if e == nil || e.gone || e.State != fleet.Ready {
		return errors.New("not ready")
	}
	if s.closing[e.Slot] {
		return fleet.ErrPlaceClosed
	}
	e.State, e.act = fleet.Parking, act.Seq
	s.h.did(engineTaken, e.ID, 0, e.taking)
	used := fleet.Bytes(0)
	for _, o := range s.engines {
		if o.Slot == e.Slot && o.inHost() {
			used += s.h.model(o.Model).ParkedMemory
		}
	}
	if most := s.h.pool.HostMemory; most > 0 && used > most {
		s.h.fail("%s is parked, and %d of %d bytes of host memory are used on %s", e.ID, used, most, e.Slot)
	}
	s.changed(e)
	return nil
}

func (s *backend) resumeEngine(e *process, act *fleet.Act) error {
	if e != nil && !e.gone && (e.State == fleet.Resuming || e.State == fleet.Ready) {
		e.act = act.Seq
		return nil
	}
	if e == nil || e.gone || e.State != fleet.Asleep {
		return errors.New("not parked")
	}
	if s.closing[e.Slot] {
		return fleet.ErrPlaceClosed
	}
	s.wakes(e)
	s.h.checkMost(e)
	e.State, e.act, e.failure, e.short = fleet.Resuming, act.Seq, "", false
	s.h.did(engineGiven, e.ID, 0, s.h.tick())
	s.changed(e)
	return nil
}

// stepMove ends a park or a resume, well or not.
func (h *history) stepMove(e *process) {
	switch h.choose(8) {
	case 0:
		e.gone, e.failure, e.short = true, "its memory is lost", e.State == fleet.Resuming
	case 1:
		if e.State == fleet.Resuming {
			e.State, e.failure, e.short = fleet.Asleep, "out of memory", h.choose(2) == 0
			h.reach("an engine found no memory to wake")
		}
	default:
		if e.State == fleet.Parking {
			e.State = fleet.Asleep
		} else {
			e.State, e.phase = fleet.Ready, fleet.PhaseReady
		}
	}
}

// checkDrop holds that nothing awake is given back with its slot.
func (h *history) checkDrop(slot string) {
	for _, e := range h.backend.engines {
		if e.Slot == slot && e.holds() && e.State != fleet.Stopping {
			h.fail("slot %s is given back, and %s there is %s", slot, e.ID, e.State)
		}
	}
	for _, i := range h.planner.instances {
		if i.Slot == slot && i.reserved != nil {
			h.fail("slot %s is given back, and %s has a reservation there", slot, i.ID)
		}
	}
}

// mayBeParked reports whether it is not known if an instance was parked when an earlier planner, or its slot, began to end it: it then counts as both parked and awake.
func (h *history) mayBeParked(i *instance) bool {
	return (i.State == fleet.Stopping || i.State == fleet.Draining && i.host == inHost) && !h.own(i.ID)
}

// checkBeds holds the limits of those who are parked, as the planner sees them.
func (h *history) checkBeds(s *slot) {
	used := fleet.Bytes(0)
	for _, i := range h.planner.instances {
		if i.at == place(s) && i.host == inHost && !h.mayBeParked(i) {
			used += i.m.ParkedMemory
		}
	}
	if most := h.pool.HostMemory; most > 0 && used > most && !s.gone {
		h.fail("%d of %d bytes of host memory are used on %s", used, most, s.ID)
	}
	for g := range s.GPUs {
		n := 0
		for _, i := range h.planner.instances {
			if i.at == place(s) && i.host == inHost && i.covers(g) && i.reserved == nil && i.State != fleet.Resuming && !h.mayBeParked(i) {
				n++
			}
		}
		if most := h.pool.MaxParkedPerGPU + 1; n > most {
			h.fail("%d are parked on GPU %d of %s, most %d", n, g, s.ID, most)
		}
	}
}

func (h *history) model(id string) *fleet.Model {
	for _, m := range h.models {
		if m.ID == id {
			return m
		}
	}
	panic(fmt.Sprintf("no model %s", id))
}
