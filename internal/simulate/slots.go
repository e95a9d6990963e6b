package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// slot is one slot as it really is.
type slot struct {
	fleet.Slot
	there bool
	since time.Duration // until then its GPUs are counted
}

// furnish shows the planner the empty cluster, with whatever has been parked there before.
func (s *simulation) furnish() {
	o := fleet.Observation{Complete: true, Slots: []fleet.Slot{}}
	for n := range s.cfg.Nodes {
		id := fmt.Sprintf("node%d", n)
		at := &slot{Slot: fleet.Slot{ID: id, Pool: s.cfg.poolName(), Node: id, GPUs: s.cfg.GPUsPerNode, Host: s.cfg.HostMemory}, there: true}
		s.slots[id] = at
		o.Slots = append(o.Slots, at.Slot)
	}
	if s.cfg.StartParked && parks(s.cfg.Policy) {
		for _, e := range s.parkAll(o.Slots) {
			o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: fleet.PhaseReady, Running: fleet.Unasked, Parks: true, Slept: true})
		}
	}
	s.settle()
	s.observe(&o)
	s.settle()
}

// parkAll gives the engines that were started and parked before: the largest first, each where the fewest are homed, while room lasts.
func (s *simulation) parkAll(slots []fleet.Slot) []*engine {
	order := make([]int, len(s.cfg.Profiles))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return s.cfg.Profiles[b].GPUs - s.cfg.Profiles[a].GPUs })
	homes := newHomes(s.cfg)
	var all []*engine
	for n, m := range order {
		p := &s.cfg.Profiles[m]
		node, gpu, ok := homes.roomiest(p)
		if !ok {
			continue
		}
		homes.enter(p, node, gpu)
		e := &engine{
			Instance: fleet.Instance{
				ID: engineID(n), Model: p.Model, Slot: slots[node].ID, Node: slots[node].Node, GPU: gpu, GPUs: p.GPUs, Addr: engineID(n),
			},
			profile: p, model: m, slept: true,
		}
		s.enter(e, fleet.Asleep)
		s.engines[e.ID] = e
		all = append(all, e)
	}
	return all
}

// performSlot carries out an act of the planner on a slot. One that was dropped is gone at once, with what is parked there.
func (s *simulation) performSlot(act *fleet.Act) {
	at := s.slots[act.Slot]
	switch act.Kind {
	case fleet.ActAddSlot:
		if at != nil {
			return
		}
		at = &slot{Slot: fleet.Slot{ID: act.Slot, Pool: act.Pool, Node: act.Slot, GPUs: act.GPUs, Host: s.cfg.HostMemory}}
		if at.GPUs == 0 {
			at.GPUs = s.cfg.GPUsPerNode
		}
		s.slots[at.ID] = at
		s.agenda.push(event{at: s.now + s.cfg.SlotStart, slot: at})
	case fleet.ActDropSlot:
		if at == nil {
			return
		}
		s.accountSlot(at)
		delete(s.slots, at.ID)
		for id, e := range s.engines {
			if e.Slot == at.ID {
				s.account(e)
				e.move++ // what it was about to do never comes
				s.enter(e, "")
				delete(s.engines, id)
			}
		}
		s.observeAll()
	}
}

// slotArrived has a slot be there, unless it was dropped meanwhile.
func (s *simulation) slotArrived(at *slot) {
	if s.slots[at.ID] != at {
		return
	}
	at.there, at.since = true, s.now
	s.score.slotAdded(s.now)
	s.observeAll()
}

// accountSlot adds up what the slot's GPUs were held until now.
func (s *simulation) accountSlot(at *slot) {
	if at.there {
		s.score.holdSlot(at.GPUs, at.since, s.now)
	}
	at.since = s.now
}

// observeAll tells the planner all that there is, in the order of names: a map's own would make two runs unlike.
func (s *simulation) observeAll() {
	o := fleet.Observation{Complete: true, Slots: []fleet.Slot{}}
	for _, id := range slices.Sorted(maps.Keys(s.slots)) {
		if at := s.slots[id]; at.there {
			o.Slots = append(o.Slots, at.Slot)
		}
	}
	for _, e := range slices.SortedFunc(maps.Values(s.engines), func(a, b *engine) int { return cmp.Compare(a.ID, b.ID) }) {
		o.Instances = append(o.Instances, s.sighting(e))
	}
	s.observe(&o)
}
