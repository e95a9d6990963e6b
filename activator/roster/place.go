package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Node is one machine, as the source that lists it says.
type Node struct {
	fleet.Node
	Gone   bool
	source *source
	list   uint64 // of its source, that had it last
}

// Silent reports whether the back end of the node cannot be reached: it would refuse a launch, which is no fault of the engine.
func (n *Node) Silent() bool { return n.source.lost != nil }

// Slot is one slot: what the source that lists it says, and what its supervisor says of itself.
//
//	listed: pending ──► awaited ──► heard ◄──► unreachable ──► gone
//	                       └── given up ─┘
type Slot struct {
	ID   string
	Gone bool

	listed     fleet.Slot // by its lister
	told       fleet.Slot // by its supervisor
	lister     *source    // nil = its supervisor lists it itself
	supervisor *source    // nil = not named yet
	heard      bool       // its supervisor has given a complete list: until then nobody knows what is there
	gaveUp     bool       // it was silent for too long
	since      time.Duration
	awaited    bool   // decisions wait until it has spoken
	list       uint64 // of its lister, that had it last
	residents  []*Instance
}

// View gives the slot as it stands: a slot that is not there yet is Pending, and one that cannot be asked is PlaceUnreachable.
func (s *Slot) View() fleet.Slot {
	v := s.listed
	if s.lister == nil || s.heard {
		v.GPUs, v.Pending, v.Unplaced = s.told.GPUs, s.told.Pending, s.told.Unplaced
		if s.told.Host > 0 {
			v.Host = s.told.Host
		}
		if s.lister == nil {
			v = s.told
		}
	}
	if v.Pool == "" {
		v.Pool = fleet.LocalPool
	}
	if s.heard {
		v.Condition = worse(v.Condition, s.told.Condition)
	}
	if s.Silent() || s.gaveUp && !s.heard {
		v.Condition = fleet.PlaceUnreachable
	}
	v.Pending = v.Pending || !s.heard && s.supervisor != s.lister || s.speaksForItself()
	return v
}

// speaksForItself reports whether only its supervisor has told of the slot so far: whether it is still there, only who lists slots can say.
func (s *Slot) speaksForItself() bool { return s.lister != nil && s.lister.isSupervisor() }

// conditions are those of a place, from the best to the worst.
var conditions = []fleet.Condition{fleet.PlaceHealthy, fleet.PlaceIneligible, fleet.PlaceDraining, fleet.PlaceClosing, fleet.PlaceUnreachable}

func worse(a, b fleet.Condition) fleet.Condition {
	if slices.Index(conditions, a) < slices.Index(conditions, b) {
		return b
	}
	return a
}

// Silent reports whether whoever tells of the engines there cannot be reached.
func (s *Slot) Silent() bool { return s.supervisor != nil && s.supervisor.lost != nil }

// seeNodes learns of nodes, and of those that are no longer there.
func (r *Roster) seeNodes(src *source, o *fleet.Observation) {
	if !src.nodes && (len(o.Nodes) > 0 || o.Nodes != nil && o.Complete) {
		src.nodes = true
		r.listers = append(r.listers, src)
	}
	mark := src.list + 1
	for k := range o.Nodes {
		n := r.nodes[o.Nodes[k].ID]
		if n == nil {
			n = &Node{}
			r.nodes[o.Nodes[k].ID] = n
			src.nodeList = append(src.nodeList, n)
		}
		same := n.Node == o.Nodes[k] && n.source == src && !n.Gone
		n.Node, n.source, n.list, n.Gone = o.Nodes[k], src, mark, false
		if !same {
			r.changed(Change{Kind: NodeSeen, Node: n})
		}
	}
	if !o.Complete || !src.nodes {
		return
	}
	src.nodeList = slices.DeleteFunc(src.nodeList, func(n *Node) bool {
		if n.list == mark {
			return false
		}
		n.Gone = true
		delete(r.nodes, n.ID)
		r.changed(Change{Kind: NodeGone, Node: n})
		return true
	})
}

// seeSlots learns of slots, and of those that are no longer there.
func (r *Roster) seeSlots(now time.Duration, src *source, o *fleet.Observation) {
	src.slots = src.slots || len(o.Slots) > 0 || o.Slots != nil && o.Complete
	mark := src.list + 1
	for k := range o.Slots {
		r.seeSlot(now, src, &o.Slots[k], o.Complete)
	}
	if !o.Complete || o.Slots == nil && src.supervises != nil {
		return
	}
	src.slotList = slices.DeleteFunc(src.slotList, func(s *Slot) bool {
		if s.list == mark {
			return false
		}
		r.endSlot(s)
		return true
	})
	if src.slots && !src.isSupervisor() {
		r.slotsListedAt = r.clock(o.At)
		r.endUnlisted(o)
		r.endDropped(o)
	}
}

// endUnlisted takes the slots for gone of which only their supervisors have told, where a list that was asked for since does not have them.
func (r *Roster) endUnlisted(o *fleet.Observation) {
	for _, s := range slices.Clone(r.unlisted) {
		if r.clock(o.At) > s.since {
			s.lister.slotList = nil
			r.endSlot(s)
		}
	}
}

func (r *Roster) seeSlot(now time.Duration, src *source, seen *fleet.Slot, complete bool) {
	s := r.slots[seen.ID]
	if s == nil {
		if r.gone.is[seen.ID] {
			return
		}
		s = &Slot{ID: seen.ID, since: now}
		r.slots[s.ID] = s
	}
	before, heard := s.View(), s.heard
	if src.supervises == s && s.lister != src {
		s.told, s.heard = *seen, s.heard || complete
	} else {
		r.seeListed(now, src, s, seen, complete)
	}
	if v := s.View(); v != before || heard != s.heard || len(s.residents) == 0 && s.since == now {
		if v.Pool == fleet.LocalPool && !r.localSlot {
			r.localSlot = true
			r.changed(Change{Kind: Reachability})
		}
		r.changed(Change{Kind: SlotSeen, Slot: s})
	}
}

// seeListed takes what the source says that is believed for the slot's existence. One that names no other supervisor tells of the engines there itself.
func (r *Roster) seeListed(now time.Duration, src *source, s *Slot, seen *fleet.Slot, complete bool) {
	switch {
	case s.lister == src:
	case s.lister == nil || seen.Supervisor == s.lister.name: // its supervisor has spoken before it was listed
		if old := s.lister; old != nil {
			old.slotList = slices.DeleteFunc(old.slotList, func(t *Slot) bool { return t == s })
			s.supervisor, old.supervises = old, s
			r.unlisted = slices.DeleteFunc(r.unlisted, func(t *Slot) bool { return t == s })
		}
		s.lister = src
		src.slotList = append(src.slotList, s)
		if src.isSupervisor() {
			r.unlisted = append(r.unlisted, s)
		}
	}
	s.listed, s.list = *seen, src.list+1
	if seen.Supervisor == "" || seen.Supervisor == src.name {
		s.supervisor, s.told, s.heard = src, *seen, s.heard || complete
		return
	}
	if s.supervisor == nil {
		s.supervisor = r.source(now, seen.Supervisor)
		s.supervisor.supervises = s
		s.since = now
	}
	if !seen.Pending && !s.heard && !s.gaveUp && s.supervisor.lost == nil && !s.awaited {
		s.since, s.awaited = now, true
		r.awaited = append(r.awaited, awaited{s, now})
		if !r.own(s.ID) {
			r.awaiting++
		}
	}
}

// SlotDropped notes that the back end has accepted to end a slot that was asked for, and that nobody has listed yet.
func (r *Roster) SlotDropped(now time.Duration, id string) {
	if r.slots[id] == nil && !r.gone.is[id] {
		r.dropped = append(r.dropped, dropped{id, now})
	}
}

// dropped is a slot that was given back before anybody had listed it.
type dropped struct {
	id string
	at time.Duration
}

// endDropped takes those for gone that a list does not have which was asked for since they were given back.
func (r *Roster) endDropped(o *fleet.Observation) {
	r.dropped = slices.DeleteFunc(r.dropped, func(d dropped) bool {
		switch {
		case r.slots[d.id] != nil: // it is gone when it is listed no more
		case r.clock(o.At) <= d.at:
			return false
		default:
			r.gone.add(d.id)
			r.changed(Change{Kind: SlotGone, Slot: &Slot{ID: d.id, Gone: true}})
		}
		return true
	})
}

// stopAwaiting notes that decisions need not wait for the slot any more.
func (r *Roster) stopAwaiting(s *Slot) {
	if !s.awaited {
		return
	}
	s.awaited = false
	if r.own(s.ID) {
		return
	}
	if r.awaiting--; r.awaiting == 0 {
		r.changed(Change{Kind: Reachability})
	}
}

// awaited is a slot that was awaited from a moment on.
type awaited struct {
	*Slot
	from time.Duration
}

// firstAwaited gives the slot that has been awaited longest; nil = none is.
func (r *Roster) firstAwaited() *Slot {
	for len(r.awaited) > 0 {
		if a := r.awaited[0]; a.Slot.awaited && a.from == a.since {
			return a.Slot
		}
		r.awaited = r.awaited[1:]
	}
	return nil
}

// endSlot notes that a slot is gone, and with it everything that was there.
func (r *Roster) endSlot(s *Slot) {
	s.Gone = true
	delete(r.slots, s.ID)
	r.gone.add(s.ID)
	r.stopAwaiting(s)
	r.unlisted = slices.DeleteFunc(r.unlisted, func(t *Slot) bool { return t == s })
	r.changed(Change{Kind: SlotGone, Slot: s})
	for _, i := range slices.Clone(s.residents) {
		r.end(i, "its slot is gone", true)
	}
	if src := s.supervisor; src != nil && (src.supervises == s || src.isSupervisor()) {
		r.forget(src)
	}
}
