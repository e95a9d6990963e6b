package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// claims makes and serves reservations: it finds room for what a model lacks, takes from the reserved GPUs who may be taken from there, and launches
// once they are free.
type claims struct {
	*state
	demand  *demand
	life    *lifecycle
	rooms   *rooms
	parking *parking
	slots   *slotKeeper
}

// place reserves room for what the model lacks, as far as there is any among the given places (nil = all), and has the pool grow where demand has none.
func (c *claims) place(now time.Duration, m *model, among []place) {
	for n := c.demand.missing(now, m); n > 0; n-- {
		best := c.choose(now, m, among)
		if among == nil {
			m.remember(now, &best)
			if !best.now || best.needs == drainsBusy {
				c.slots.grow(now, m, best.found)
			}
		}
		if !best.now {
			if m.short == 0 {
				m.shortFrom = now
			}
			m.short = n
			return
		}
		c.take(now, m, &best.room)
	}
	m.short = 0
}

// take reserves the room, and evicts those who are idle there.
func (c *claims) take(now time.Duration, m *model, r *room) {
	i := r.resumes
	if i == nil {
		i = c.life.create(m)
	}
	i.phase, i.reason, i.began = fleet.PhaseQueued, c.demand.why(now, m), now
	c.life.reserve(now, i, r.at, r.gpu)
	i.reserved.drains = r.needs == drainsBusy
	m.spared = fleet.Spared{}
	c.openActivation(now, i)
	if r.hold == 0 {
		c.evict(now, r, "makes room for "+m.ID)
	}
	c.launchOn(now, i)
}

// choice is the best room that was found for a model, and whether it may be taken now.
type choice struct {
	room
	found, now bool
	drainAt    time.Duration // not now: when its busy instances may be drained
}

// choose looks for room with the effort that the model's need is worth. Demand may displace any idle instance at once; a wish only those that
// are worth less than it; and where requests wait, busy ones are drained after patience, once they have had their residence. Until then
// the model rather waits for them than taking a room that would cost more.
func (c *claims) choose(now time.Duration, m *model, among []place) choice {
	if m.dedicated() {
		return c.chooseNode(now, m, among)
	}
	if m.waiting == 0 {
		r, ok := c.rooms.find(now, m.need(), awaitsDraining, c.demand.bid(now, m), among)
		return choice{room: r, found: ok, now: ok}
	}
	r, ok := c.rooms.find(now, m.need(), drainsBusy, anything, among)
	best := choice{room: r, found: ok, now: ok && r.needs < drainsBusy}
	if ok && !best.now {
		best.drainAt = c.drainAt(m, &r)
		best.now = now >= best.drainAt
	}
	return best
}

// chooseNode looks for room on a node, where busy ones are drained only for a model of which nothing is hot or coming.
func (c *claims) chooseNode(now time.Duration, m *model, among []place) choice {
	if r, ok := c.rooms.find(now, m.need(), awaitsDraining, c.demand.bid(now, m), among); ok {
		return choice{room: r, found: true, now: true}
	}
	if m.waiting == 0 || m.hot()+m.pending() > 0 {
		return choice{}
	}
	r, ok := c.rooms.find(now, m.need(), drainsBusy, anything, among)
	drainAt := m.oldest + c.cfg.Patience
	r.wait += max(drainAt-now, 0)
	return choice{room: r, found: ok, now: ok && now >= drainAt, drainAt: drainAt}
}

// remember keeps what the best room promises: when it may be had, and when the model would be ready there.
func (m *model) remember(now time.Duration, best *choice) {
	m.drainAt, m.readyIn, m.best = best.drainAt, estimate{}, nil
	if !best.found {
		return
	}
	m.best = best.at
	tier := fleet.Cold
	if best.resumes != nil {
		tier = fleet.Parked
	}
	if start := m.past(tier).median; start > 0 {
		m.readyIn = estimate{at: now + best.wait + start, known: true}
	}
}

// drainAt gives the moment from which the room's busy instances may be drained for the model: when it has waited for patience, and until its requests have waited for
// as long together as draining costs those who use them. Those need not all have had their
// residence when it has waited so long that they may never have it at the same time: the room is then kept for it while they get theirs.
func (c *claims) drainAt(m *model, r *room) time.Duration {
	late := m.oldest + c.cfg.Patience + c.cfg.Residence
	if r.hold > 0 {
		return late
	}
	earned := time.Duration(r.loss / float64(max(m.waiting, 1)) * float64(time.Second))
	return min(m.oldest+max(c.cfg.Patience, earned), late)
}

// serve takes from the places of reservations what may be taken, and launches what has its GPUs.
func (c *claims) serve(now time.Duration) {
	for _, i := range slices.Clone(c.reserved) {
		if i.reserved != nil && c.touched(i) {
			c.clear(now, i)
		}
	}
	for _, i := range slices.Clone(c.unplaced) {
		if c.touched(i) {
			c.clear(now, i)
		}
	}
}

// freedIn reports whether something was freed at a place of the pool in this round: who waits elsewhere for somebody who still serves may move there.
func (c *claims) freedIn(q *pool) bool {
	return slices.ContainsFunc(c.freed, func(at place) bool { return at.common().pool == q })
}

// clear drains who is in the way of a reservation: idle instances at once, busy ones when the reservation may drain
// and all of them there have been hot long enough: until then nobody is moved, for the block would stand empty.
func (c *claims) clear(now time.Duration, i *instance) {
	drains, holders := c.holders(now, i)
	if drains && i.inSlot() && slices.ContainsFunc(holders, func(o *instance) bool { return c.resides(now, o) }) {
		return
	}
	for _, o := range holders {
		if o == nil || o.State != fleet.Ready || c.rooms.protected(now, o, nil) {
			continue // an operator may have taken hold of it since
		}
		if c.rooms.idle(o) || drains && now >= o.readyAt+c.cfg.Residence {
			c.life.drain(now, o, "makes room for "+i.Model)
		}
	}
}

// resides reports whether the instance cannot be drained yet: it becomes ready, or is busy and has not had its residence.
func (c *claims) resides(now time.Duration, o *instance) bool {
	switch {
	case o == nil || o.leaving() || o.State == fleet.Asleep:
		return false
	case o.State == fleet.Ready:
		return !c.rooms.idle(o) && now < o.readyAt+c.cfg.Residence
	default:
		return true
	}
}

// holders gives who holds what the reservation waits for, and whether busy ones may be drained. One on a node may have been overtaken there by what the back end has placed: after patience
// it, too, drains busy ones.
func (c *claims) holders(now time.Duration, i *instance) (drains bool, held []*instance) {
	if s, is := i.at.(*slot); is {
		return i.reserved.drains, s.block(i.GPU, i.GPUs)
	}
	drains = i.mayDrain() || i.m.hot() == 0 && i.m.waiting > 0 && now >= i.m.oldest+c.cfg.Patience
	losses, ok := c.rooms.inTheWay(now, i, drains)
	for _, l := range losses {
		if ok && l.instance != nil {
			held = append(held, l.instance)
		}
	}
	return drains, held
}

func (i *instance) mayDrain() bool { return i.reserved != nil && i.reserved.drains || i.drainsOthers }

// launchReady launches the reservations whose GPUs have become free. One that waits for somebody who still serves moves where
// there is room sooner.
func (c *claims) launchReady(now time.Duration) {
	if c.closing {
		return
	}
	for _, i := range slices.Clone(c.reserved) {
		if i.reserved == nil || silent(i.at) || !c.touched(i) && !c.freedIn(i.at.common().pool) {
			continue
		}
		if to := c.move(now, i, c.blocked(i)); to != nil {
			i = to
		}
		c.launchOn(now, i)
	}
}

// launchOn launches a reservation whose GPUs are free, where not too many are parked; else the cheapest of those go first.
func (c *claims) launchOn(now time.Duration, i *instance) {
	switch {
	case silent(i.at):
	case !c.blocked(i):
		c.life.launch(now, i)
	case c.hasGPUs(i):
		c.parking.makeWay(now, i)
	}
}

// blocked reports whether somebody holds a GPU of the reservation, or comes first, or too many are parked there.
func (c *claims) blocked(i *instance) bool { return !c.hasGPUs(i) || c.parking.crowded(i) }

// hasGPUs reports whether the reservation's GPUs are free for it, and nothing of it is under way.
func (c *claims) hasGPUs(i *instance) bool {
	return (!i.exists() || i.State == fleet.Asleep) && i.order.due == "" && i.at.free(i)
}
