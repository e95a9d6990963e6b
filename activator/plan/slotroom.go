package plan

import (
	"fmt"
	"slices"
	"time"
)

const (
	slotRoomAgain = 250 * time.Millisecond // while somebody waits for a slot, it is looked for room for it so often, and the less often the more nodes there are
	slotRoomRetry = 5 * time.Minute        // the back end has not used what was kept for a slot: so long nobody makes room for it again
)

// makeRoomForSlots makes room for slots which the back end could not place, and for which somebody waits longer than the model's requests (nil = at all). Who
// is idle gives way for them as for an instance: dedicated instances, and slots of other pools that nobody needs.
func (c *claims) makeRoomForSlots(now time.Duration, than *model) {
	if len(c.stuck) == 0 || c.closing {
		return
	}
	c.state.stuck = slices.DeleteFunc(c.stuck, func(s *slot) bool { return !s.stuck() })
	for _, s := range c.stuck {
		m := c.waitsFor(now, s)
		switch {
		case s.lookedIn == c.rounds || m != nil && than != nil && moreUrgent(than, m) <= 0:
			continue
		case m == nil:
			c.slots.forgetRoom(s)
		default:
			c.makeRoomFor(now, s, m)
		}
		s.lookedIn = c.rounds
	}
}

// waitsFor gives the model that needs the slot most; nil = none needs it now.
func (c *claims) waitsFor(now time.Duration, s *slot) *model {
	var best *model
	consider := func(m *model) {
		needs := m.waiting > 0 || m.held(now) || m.hot() < m.Instances.Min
		if needs && m.GPUs <= s.GPUs && (best == nil || moreUrgent(m, best) < 0) {
			best = m
		}
	}
	for _, i := range s.reserved {
		consider(i.m)
	}
	for _, m := range c.short {
		if m.pool == s.pool && m.short > 0 { // it may have found room in this round
			consider(m)
		}
	}
	return best
}

// makeRoomFor looks for the node where the slot's GPUs are to be had at the least cost for others, and keeps them there for it.
func (c *claims) makeRoomFor(now time.Duration, s *slot, m *model) {
	defer c.slots.setAlarm(now, s)
	if c.watchRoom(now, s); s.room != nil || now < s.roomFrom {
		return
	}
	if _, sooner := c.rooms.find(now, m.need(), isFree, anything, append([]place{}, c.freed...)); sooner {
		return // it moves there in this round
	}
	among := c.nodesFreed()
	if now >= s.lookAt {
		among, s.lookAt = c.nodes, now+slotRoomAgain*time.Duration(1+len(c.nodes)/placesLookedAt)
	}
	r, enough, found := c.rooms.findForSlot(now, m.need(), s, among)
	switch {
	case enough && s.roomSeen == 0:
		s.roomSeen = now
	case !enough && len(among) == len(c.nodes):
		s.roomSeen = 0
	}
	if !found || s.roomSeen > 0 && now < s.roomSeen+slotRoomUnused {
		return
	}
	c.claimed++
	s.room = &slotRoom{at: r.at.(*node), number: c.claimed}
	s.room.at.kept = append(s.room.at.kept, s)
	c.evict(now, &r, fmt.Sprintf("makes room for slot %s, which %s waits for", s.ID, m.ID))
}

// nodesFreed gives the nodes where something was freed.
func (c *claims) nodesFreed() []*node {
	var nodes []*node
	for _, at := range c.freed {
		if n := c.nodeOf[at.common().node]; n != nil && !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// watchRoom gives up what is kept for the slot where it can no longer be had, or where the back end does not use it.
func (c *claims) watchRoom(now time.Duration, s *slot) {
	k := s.room
	if k == nil {
		return
	}
	left := k.at.leftFor(s)
	isFree := left >= s.GPUs
	switch {
	case k.at.gone || !k.at.takesLaunches() || left+k.at.leaving() < s.GPUs:
		c.slots.forgetRoom(s)
	case isFree && k.isFree && now >= k.freeAt+slotRoomUnused:
		c.slots.forgetRoom(s)
		s.roomFrom = now + slotRoomRetry
	case isFree && !k.isFree:
		k.freeAt = now
	}
	k.isFree = isFree
}
