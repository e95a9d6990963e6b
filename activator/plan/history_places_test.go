package plan

import (
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// checkLaunch holds what must be true of a launch when it is ordered.
func (h *history) checkLaunch(act *fleet.Act) {
	if act.Slot == "" {
		h.checkNodes(act)
	}
	if why := h.closedTo(act); why != "" {
		h.fail("%s of %s is launched on %q, %s", act.Instance, act.Model, act.Slot, why)
	}
	for _, e := range h.backend.engines {
		if e.Model == act.Model && !e.gone && e.term < h.term && h.planner.instanceOf[e.ID] == nil && !h.silentTooLong(e.Slot) {
			h.fail("%s of %s is launched, and %s, which runs, was not adopted", act.Instance, act.Model, e.ID)
		}
	}
}

// closedTo says why the place of a launch takes none, as the planner was last told; "" = it does.
func (h *history) closedTo(act *fleet.Act) string {
	i := h.planner.instanceOf[act.Instance]
	if act.Slot == "" {
		switch id := i.at.common().id; {
		case h.told.lost["nodes"]:
			return "and who lists nodes is lost"
		case !h.told.nodes[id].TakesLaunches():
			return string("a node that is " + h.told.nodes[id])
		}
		return ""
	}
	slot, listed := h.told.slots[act.Slot]
	source := fleet.SlotSource + act.Slot
	switch {
	case !listed:
		return "which is not there"
	case !slot.Condition.TakesLaunches():
		return string("which is " + slot.Condition)
	case slot.Outdated != "" && act.Kind == fleet.ActLaunch:
		return "which was launched with another config"
	case !h.supervised:
		return ""
	case h.told.lost[source]:
		return "which is lost"
	case !h.told.complete[source]:
		return "which has not spoken"
	case !h.told.own[act.Slot].TakesLaunches():
		return string("which says that it is " + h.told.own[act.Slot])
	}
	return ""
}

// silentTooLong reports whether decisions need not wait for what a slot says.
func (h *history) silentTooLong(slot string) bool {
	if slot == "" || !h.supervised || h.told.complete[fleet.SlotSource+slot] {
		return false
	}
	since, listed := h.told.since[slot]
	return listed && h.now >= since+10*time.Second
}

// checkRoomForSlot holds that a dedicated instance gives way for a slot only where the back end cannot place one that somebody waits for.
func (h *history) checkRoomForSlot(n *fleet.Notice, what string) {
	id, _, _ := strings.Cut(what, ",")
	s := h.planner.slotOf[id]
	if i := h.planner.instanceOf[n.Instance]; i != nil && (i.inSlot() || i.m.waiting > 0) {
		h.fail("%s of %s was moved for slot %s", n.Instance, n.Model, id)
	}
	if s == nil || s.room == nil || !h.told.slots[id].Pending || h.planner.claims.waitsFor(h.now, s) == nil {
		h.fail("%s was moved for slot %s, which nobody waits for, or which is there", n.Instance, id)
	}
}

// checkKept holds that GPUs are kept only for slots that the back end could not place.
func (h *history) checkKept() {
	for _, n := range h.planner.nodes {
		lived := 0
		for _, i := range n.residents {
			lived += i.GPUs
		}
		if lived != n.lived {
			h.fail("node %s counts %d GPUs of those who live there, who have %d", n.id, n.lived, lived)
		}
		for _, s := range n.kept {
			if s.room == nil || s.room.at != n || !s.stuck() {
				h.fail("GPUs of node %s are kept for slot %s, which does not wait for room there", n.id, s.ID)
			}
		}
	}
}

// ended reports whether the slot of an engine has shut down, or is gone.
func (h *history) ended(id string) bool {
	e := h.backend.find(id)
	return e != nil && e.ended
}

// noteUncounted remembers whose engines need not be counted as holding GPUs when a launch or a resume is ordered: slots that have not been heard, of whose the planner does not
// know, and what is being parked, which is about to be free. The park may be refused while the order is on its way.
func (h *history) noteUncounted(act *fleet.Act) {
	of := make(map[string]bool)
	for _, o := range h.backend.engines {
		if h.supervised && o.Slot != "" && !h.told.complete[fleet.SlotSource+o.Slot] {
			of[o.Slot] = true
		}
		if h.planner.InstanceState(o.ID) == fleet.Parking {
			of[o.ID] = true
		}
	}
	h.notMost[act.Instance] = of
}

// checkMost holds instances.max against what is really there, when one is about to hold its GPUs.
func (h *history) checkMost(e *process) {
	n := 1
	for _, o := range h.backend.engines {
		if o != e && o.Model == e.Model && o.holds() && !h.notMost[e.ID][o.Slot] && !h.notMost[e.ID][o.ID] && h.planner.InstanceState(o.ID) != fleet.Parking {
			n++
		}
	}
	if most := h.model(e.Model).Instances.Max; most > 0 && n > most {
		h.fail("%s makes it %d of %s that hold GPUs, instances.max is %d", e.ID, n, e.Model, most)
	}
}

// checkPlaces holds that nothing final is said before all have spoken, and that nobody is sent where an engine is known to be stopping.
func (h *history) checkPlaces() {
	for _, m := range h.planner.models {
		switch never := m.outlook.Answer == fleet.NeverFits; {
		case never && !h.allSpoke(m) && !h.told.never[m.ID]:
			h.fail("%s is said never to fit before all have spoken that would know", m.ID)
		default:
			h.told.never[m.ID] = never // it stays so when another slot comes that has not spoken yet
		}
	}
	for _, i := range h.planner.instances {
		if i.State == fleet.Ready && i.seen.Seen != nil && i.seen.Seen.State == fleet.Stopping && i.seen.Seen.Failure == "" {
			h.fail("%s was told to be stopping, and is taken for ready", i.ID)
		}
	}
}

func (h *history) allSpoke(m *model) bool {
	if !h.told.complete[h.backend.lister()] {
		return false
	}
	if m.dedicated() || !h.supervised {
		return true
	}
	for id, t := range h.told.slots {
		if !t.Pending && !strings.HasPrefix(id, h.planner.prefix) && !h.told.complete[fleet.SlotSource+id] && !h.silentTooLong(id) {
			return false
		}
	}
	return true
}
