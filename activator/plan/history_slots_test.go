package plan

import (
	"errors"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// world says what places a history has.
type world string

const (
	slotsWorld world = "slots" // a pool whose slots one source tells of with all that is there, or each its own supervisor
	nodesWorld world = "nodes" // nodes, on which the back end places instances by itself
	mixedWorld world = "mixed" // both: a pool's slots lie on the nodes
)

var worlds = []world{slotsWorld, nodesWorld, mixedWorld}

func (h *history) poolName() string {
	if h.world == mixedWorld {
		return "pool"
	}
	return fleet.LocalPool
}

var refusals = []error{errors.New("refused"), errors.New("refused"), fleet.ErrUnreachable, fleet.ErrPlaceClosed}

// lister gives the source that lists nodes and slots.
func (s *backend) lister() string {
	if s.h.world == slotsWorld && !s.h.supervised {
		return "slot"
	}
	return "nodes"
}

// sourceOf gives the source that is believed for an engine.
func (s *backend) sourceOf(e *process) string {
	if e.dedicated() || !s.h.supervised {
		return s.lister()
	}
	return fleet.SlotSource + e.Slot
}

// sources gives all that tell of what exists.
func (s *backend) sources() []string {
	names := []string{s.lister()}
	for k := range s.slots {
		if s.h.supervised && !s.slots[k].Pending {
			names = append(names, fleet.SlotSource+s.slots[k].ID)
		}
	}
	return names
}

// observation begins what a source has to say.
func (s *backend) observation(source string, complete bool) fleet.Observation {
	s.seq[source]++
	o := fleet.Observation{Source: source, Seq: s.seq[source], Term: s.term, At: s.h.epoch.Add(s.h.now + s.skew[source]), Complete: complete}
	switch id, supervisor := strings.CutPrefix(source, fleet.SlotSource); {
	case supervisor:
		for _, t := range s.slots {
			if t.ID == id {
				t.Supervisor, t.Condition = source, ""
				if s.closing[id] {
					t.Condition = fleet.PlaceClosing
				}
				o.Slots = append(o.Slots, t)
			}
		}
	case source == s.lister():
		if s.h.world != nodesWorld {
			o.Slots = s.listedSlots()
		}
		if s.h.world != slotsWorld {
			o.Nodes = s.listedNodes()
		}
	}
	return o
}

// listedSlots gives the slots as the lister knows them: each in no better a condition than its node.
func (s *backend) listedSlots() []fleet.Slot {
	slots := append([]fleet.Slot{}, s.slots...)
	for k := range slots {
		if s.h.supervised {
			slots[k].Supervisor = fleet.SlotSource + slots[k].ID
		}
		for _, n := range s.nodes {
			if n.ID == slots[k].Node {
				slots[k].Condition = n.Condition
			}
		}
	}
	return slots
}

// listedNodes gives the nodes as the lister knows them: of whom the slots are, it does not say.
func (s *backend) listedNodes() []fleet.Node {
	nodes := append([]fleet.Node{}, s.nodes...)
	for k := range nodes {
		nodes[k].Used += s.inSlots(nodes[k].ID)
	}
	return nodes
}

func (s *backend) inSlots(node string) int {
	sum := 0
	for _, t := range s.slots {
		if t.Node == node {
			sum += t.GPUs
		}
	}
	return sum
}

// list gives a complete list of a source.
func (s *backend) list(source string) fleet.Observation {
	o := s.observation(source, true)
	for _, e := range s.engines {
		if !e.gone && s.sourceOf(e) == source {
			o.Instances = append(o.Instances, s.sighting(e))
		}
	}
	return o
}

// stepObserve asks all sources what is there.
func (h *history) stepObserve() {
	for _, source := range h.backend.sources() {
		h.backend.send(h.backend.list(source))
	}
}

// stepListOne asks one of them.
func (h *history) stepListOne() { h.backend.send(h.backend.list(pick(h, h.backend.sources()))) }

// stepSlowList asks one that answers late: it says what is there then, and was asked now.
func (h *history) stepSlowList() {
	source, asked, planner := pick(h, h.backend.sources()), h.epoch.Add(h.now), h.planner
	h.send(-1, "slow list", func() {
		if planner == h.planner && slices.Contains(h.backend.sources(), source) {
			o := h.backend.list(source)
			o.At = asked
			h.backend.tell(o)
		}
	})
}

func (s *backend) hasSlot(id string) bool {
	return slices.ContainsFunc(s.slots, func(t fleet.Slot) bool { return t.ID == id })
}

func (s *backend) addSlot(act *fleet.Act) error {
	if s.hasSlot(act.Slot) || s.stopped[act.Slot] {
		return errors.New("is here, or was")
	}
	if most := s.h.pool.Slots.Max; len(s.slots) >= most {
		s.h.fail("slot %s is added to %d, slots.max is %d", act.Slot, len(s.slots), most)
	}
	t := fleet.Slot{ID: act.Slot, Pool: act.Pool, Node: act.Slot, GPUs: act.GPUs, Pending: true}
	if s.h.world == mixedWorld {
		t.Node = ""
	}
	s.slots = append(s.slots, t)
	s.tellSlots()
	return nil
}

func (s *backend) dropSlot(act *fleet.Act) error {
	s.stopped[act.Slot] = true
	s.loseSlot(act.Slot)
	return nil
}

// loseSlot ends a slot with all that is there.
func (s *backend) loseSlot(id string) {
	s.slots = slices.DeleteFunc(slices.Clone(s.slots), func(t fleet.Slot) bool { return t.ID == id })
	s.stopped[id] = true // one that ended is not brought back by an act that was long on its way
	delete(s.closing, id)
	for _, e := range s.engines {
		if e.Slot == id {
			if s.h.leasesOn(e.ID) > 0 && !e.gone {
				s.h.reach("a slot was lost with streams in it")
			}
			e.gone = true
		}
	}
	if s.h.supervised && s.h.choose(2) == 0 { // its last word
		o := s.observation(fleet.SlotSource+id, true)
		o.Slots = []fleet.Slot{}
		s.send(o)
	}
	s.tellSlots()
}

func (s *backend) tellSlots() { s.send(s.list(s.lister())) }

// stepSlot makes a slot that was asked for ready, or loses one.
func (h *history) stepSlot() {
	s := h.backend
	if len(s.slots) == 0 {
		return
	}
	k := h.choose(len(s.slots))
	if s.slots[k].Pending {
		s.placeSlot(k)
		s.tellSlots()
	} else if len(s.slots) > 1 && h.choose(4) == 0 {
		h.note("slot %s is lost", s.slots[k].ID)
		s.loseSlot(s.slots[k].ID)
	}
}

// stepOutdated has the config say something that the slots lack which are there.
func (h *history) stepOutdated() {
	if h.choose(3) > 0 {
		return
	}
	for k := range h.backend.slots {
		h.backend.slots[k].Outdated = "image"
	}
	h.note("the slots are outdated")
	h.backend.tellSlots()
}

// placeSlot has a slot run, where there is room for it. Its supervisor may need a while until it is heard.
func (s *backend) placeSlot(k int) {
	t := &s.slots[k]
	if s.h.world == mixedWorld && !s.findNode(t) {
		return
	}
	t.Pending, t.Unplaced = false, ""
	if !s.h.supervised {
		return
	}
	if !s.healthy && s.h.choose(3) == 0 {
		s.out[fleet.SlotSource+t.ID] = true
	}
	s.send(s.list(fleet.SlotSource + t.ID))
}

// findNode puts a slot on some node with room.
func (s *backend) findNode(t *fleet.Slot) bool {
	t.Unplaced = fleet.UnplacedImpossible
	for _, k := range s.shuffled() {
		n := &s.nodes[k]
		if n.GPUs >= t.GPUs {
			t.Unplaced = fleet.UnplacedExhausted
		}
		if n.Condition.TakesLaunches() && s.free(n) >= t.GPUs {
			t.Node = n.ID
			return true
		}
	}
	return false
}

// progressSlots moves every slot on.
func (s *backend) progressSlots() {
	for _, t := range slices.Clone(s.slots) {
		if s.closing[t.ID] {
			s.endClosing(t.ID)
		}
	}
	for k := range s.slots {
		if s.slots[k].Pending {
			s.placeSlot(k)
		}
	}
}
