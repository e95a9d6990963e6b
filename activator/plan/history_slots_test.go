package plan

import (
	"errors"
	"slices"
	"strings"
	"time"

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
	o := fleet.Observation{Source: source, Seq: s.seq[source], Term: s.term, At: s.h.epoch.Add(s.h.now), Complete: complete}
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
	delete(s.closing, id)
	for _, e := range s.engines {
		if e.Slot == id {
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

// told is what a planner was told of places.
type told struct {
	complete map[string]bool            // sources that have given a complete list
	lost     map[string]bool            // sources that are lost
	nodes    map[string]fleet.Condition // as listed
	slots    map[string]fleet.Slot      // as listed
	own      map[string]fleet.Condition // of slots, by their supervisors
	since    map[string]time.Duration   // slots: listed as running
	never    map[string]bool            // models that were said never to fit
}

func newTold() *told {
	return &told{
		complete: make(map[string]bool), lost: make(map[string]bool), nodes: make(map[string]fleet.Condition),
		slots: make(map[string]fleet.Slot), own: make(map[string]fleet.Condition), since: make(map[string]time.Duration),
		never: make(map[string]bool),
	}
}

func (k *told) take(h *history, o *fleet.Observation) {
	if k.lost[o.Source] = o.Lost != nil; o.Lost != nil {
		return
	}
	k.complete[o.Source] = k.complete[o.Source] || o.Complete
	if strings.HasPrefix(o.Source, fleet.SlotSource) {
		for _, t := range o.Slots {
			k.own[t.ID] = t.Condition
		}
		return
	}
	if o.Source != h.backend.lister() {
		return
	}
	if o.Complete {
		clear(k.nodes)
		clear(k.slots)
	}
	for _, n := range o.Nodes {
		k.nodes[n.ID] = n.Condition
	}
	for _, t := range o.Slots {
		k.slots[t.ID] = t
		if _, before := k.since[t.ID]; !before && !t.Pending {
			k.since[t.ID] = h.now
		}
	}
}
