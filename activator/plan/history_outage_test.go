package plan

import (
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// stepOutage makes a source unreachable, which may be told, or reachable again.
func (h *history) stepOutage() {
	s := h.backend
	names := append(s.sources(), s.sources()...)
	if h.world != slotsWorld {
		names = append(names, "probe", "consul")
	}
	name := pick(h, names)
	s.out[name] = !s.out[name]
	h.note("outage %s %v", name, s.out[name])
	switch {
	case s.out[name] && (!strings.HasPrefix(name, fleet.SlotSource) || h.choose(3) > 0):
		h.loseSource(name)
	case !s.out[name] && slices.Contains(s.sources(), name):
		s.send(s.list(name))
	}
}

func (h *history) loseSource(name string) {
	lost := &fleet.Observation{Source: name, Lost: fleet.ErrUnreachable}
	h.planner.Observe(h.now, lost)
	h.told.take(h, lost)
}

// recover ends all outages, and whatever else hinders.
func (s *backend) recover() {
	clear(s.out)
	s.recoverFaults()
	for k := range s.nodes {
		s.nodes[k].Used, s.nodes[k].Condition = 0, fleet.PlaceHealthy
	}
	for k := range s.slots {
		s.slots[k].Condition = fleet.PlaceHealthy
	}
}

// stepCondition has the lister say something else of a slot.
func (h *history) stepCondition() {
	if s := h.backend; len(s.slots) > 0 && h.world == slotsWorld {
		k := h.choose(len(s.slots))
		s.slots[k].Condition = pick(h, []fleet.Condition{
			fleet.PlaceHealthy, fleet.PlaceHealthy, fleet.PlaceIneligible, fleet.PlaceDraining, fleet.PlaceUnreachable,
		})
		h.note("slot %s is %q", s.slots[k].ID, s.slots[k].Condition)
		h.stepListOne()
	} else if len(s.nodes) > 0 {
		n := &s.nodes[h.choose(len(s.nodes))]
		n.Condition = pick(h, []fleet.Condition{fleet.PlaceHealthy, fleet.PlaceIneligible, fleet.PlaceDraining, fleet.PlaceUnreachable})
		h.note("node %s is %q", n.ID, n.Condition)
	}
}

// stepClose has the supervisor of a slot shut down, or a slot that shuts down end.
func (h *history) stepClose() {
	s := h.backend
	if len(s.slots) == 0 || h.choose(3) > 0 {
		return
	}
	t := s.slots[h.choose(len(s.slots))]
	if s.closing[t.ID] {
		s.endClosing(t.ID)
	} else if !t.Pending {
		s.closeSlot(t.ID)
	}
}

// closeSlot has a slot refuse launches and end its engines, which is told one by one.
func (s *backend) closeSlot(id string) {
	s.h.note("slot %s closes", id)
	s.closing[id] = true
	for _, e := range s.engines {
		if e.Slot == id && !e.gone {
			e.asleep = e.asleep || e.State == fleet.Asleep
			e.State, e.ended = fleet.Stopping, true
			s.changed(e)
		}
	}
}

// endClosing ends a slot that has shut down; where slots are what they are, it is there again at once, and empty.
func (s *backend) endClosing(id string) {
	delete(s.closing, id)
	if s.h.pool.Slots.Max > 0 {
		s.loseSlot(id)
		return
	}
	for _, e := range s.engines {
		if e.Slot == id && !e.gone {
			e.gone = true
		}
	}
	s.send(s.list(fleet.SlotSource + id))
}

func (s *backend) closeSlotsOn(node string) {
	for _, t := range s.slots {
		if t.Node == node {
			s.closeSlot(t.ID)
		}
	}
}

func (s *backend) loseSlotsOn(node string) {
	for _, t := range slices.Clone(s.slots) {
		if t.Node == node && s.h.world == mixedWorld {
			s.loseSlot(t.ID)
		}
	}
}
