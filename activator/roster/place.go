package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

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
		r.slotsListedAt = r.cfg.clock(o.At)
		r.endUnlisted(o)
		r.endDropped(o)
	}
}

// endUnlisted takes the slots for gone of which only their supervisors have told, where a list that was asked for since does not have them.
func (r *Roster) endUnlisted(o *fleet.Observation) {
	for _, s := range slices.Clone(r.unlisted) {
		if r.cfg.clock(o.At) > s.since {
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
	if !seen.Pending && !s.heard && !s.gaveUp && !s.awaited {
		s.since, s.awaited = now, true
		r.awaited = append(r.awaited, awaited{s, now})
		if s.earlier = !r.cfg.own(s.ID); s.earlier {
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

// endDropped takes those for gone that a list does not have which was asked for since they were given back.
func (r *Roster) endDropped(o *fleet.Observation) {
	r.dropped = slices.DeleteFunc(r.dropped, func(d dropped) bool {
		switch {
		case r.slots[d.id] != nil: // it is gone when it is listed no more
		case r.cfg.clock(o.At) <= d.at:
			return false
		default:
			r.gone.add(d.id)
			r.changed(Change{Kind: SlotGone, Slot: &Slot{ID: d.id, Gone: true}})
		}
		return true
	})
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
