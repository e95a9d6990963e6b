package plan

import (
	"math"
	"slices"
	"time"
)

// move takes a reservation to another room, if one is free, or if its own is still served on and another costs less; one for a new
// instance also where one can be resumed sooner. It gives the instance that has it then; nil = it stays.
func (c *claims) move(now time.Duration, i *instance, blocked bool) *instance {
	served := blocked && c.servedOn(i)
	if !served && (i.exists() || !blocked && !i.m.anyResumable()) {
		return nil
	}
	among := c.freed
	if i.m.searching {
		among = nil
	} else if len(among) == 0 {
		return nil
	}
	most := isFree
	if served {
		most = evictsIdle
	}
	r, ok := c.rooms.find(now, i.m.need(), most, c.demand.bid(now, i.m), among)
	if _, onNode := r.at.(*node); !ok || onNode && r.at == i.at {
		return nil
	}
	switch wait, cost := c.waitHere(now, i); {
	case (i.exists() || !blocked) && r.cost >= cost, !served && blocked && r.wait >= wait:
		return nil
	}
	moved := c.transfer(now, i, r)
	c.evict(now, &r, "makes room for "+i.m.ID)
	return moved
}

// waitHere estimates how long the reserved GPUs will not be free, and what it costs to go on waiting for them.
func (c *claims) waitHere(now time.Duration, i *instance) (wait time.Duration, cost float64) {
	s, is := i.at.(*slot)
	if !is {
		return time.Duration(math.MaxInt64), math.Inf(1)
	}
	wait = c.rooms.pendingFor(now, s)
	for _, o := range s.block(i.GPU, i.GPUs) {
		if o != nil {
			_, w, hold := c.rooms.effortFor(now, o, i.m.waiting > 0)
			wait = max(wait, w+hold)
		}
	}
	if s.reservedBefore(i.GPU, i.GPUs, i) {
		wait += c.cfg.Residence
	}
	return wait, (wait + i.m.takes(i.from)).Seconds() * float64(max(i.m.waiting, 1))
}

// transfer gives the instance's reservation, with its activation, another room: to itself, or to another instance where one of the two is
// parked.
func (c *claims) transfer(now time.Duration, i *instance, r room) *instance {
	drains := i.reserved.drains
	c.life.unreserve(i)
	to := r.resumes
	switch {
	case to == nil && !i.exists():
		to = i
	case to == nil:
		to = c.life.create(i.m)
	}
	if to != i {
		to.phase, to.reason, to.began = i.phase, i.reason, i.began
	}
	c.life.reserve(now, to, r.at, r.gpu)
	to.reserved.drains = drains && to == i
	if to == i {
		return to
	}
	if to.activation, i.activation = i.activation, nil; to.activation != nil {
		to.activation.Instance, to.activation.From = to.ID, to.from
	}
	if !i.exists() {
		c.life.remove(i)
	}
	return to
}

// servedOn reports whether the reservation waits for an instance that is not about to go.
func (c *claims) servedOn(i *instance) bool {
	n, onNode := i.at.(*node)
	if onNode {
		left := n.left(i)
		for _, o := range n.residents {
			if o.leaving() && o.leases() == 0 {
				left += o.GPUs
			}
		}
		return left < i.GPUs
	}
	s := i.at.(*slot)
	for _, o := range s.block(i.GPU, i.GPUs) {
		if o != nil && (!o.leaving() || o.leases() > 0) {
			return true
		}
	}
	return s.reservedBefore(i.GPU, i.GPUs, i)
}

// placeAnew finds room for launches that the back end has not placed, because the node in mind for them turned out to be full.
func (c *claims) placeAnew(now time.Duration) {
	c.unplaced = slices.DeleteFunc(c.unplaced, func(i *instance) bool { return !i.waitsForNode() })
	if c.closing {
		return
	}
	for _, i := range c.unplaced {
		if !i.m.search && !i.m.searching && len(c.freed) == 0 {
			continue // nothing has changed for it
		}
		n := i.at.(*node)
		if i.GPUs == 0 || n.takesLaunches() && n.gpus-n.used >= i.GPUs && n.left(i) >= 0 {
			continue // nothing that we know of is in its way
		}
		another := i.m.need()
		another.instead = i
		r, ok := c.rooms.find(now, another, awaitsDraining, c.demand.bid(now, i.m), nil)
		if !ok && i.m.waiting > 0 && now >= i.m.oldest+c.cfg.Patience {
			r, ok = c.rooms.find(now, another, drainsBusy, anything, nil)
		}
		i.drainsOthers = ok && r.needs == drainsBusy
		if !ok {
			continue
		}
		if r.at != place(n) {
			c.life.vacate(now, i)
			i.at = r.at
			c.life.occupy(now, i)
		}
		c.evict(now, &r, "makes room for "+i.m.ID)
	}
}

// evict drains the idle instances whose room it was, gives up the starts that nobody wants, and gives slots back.
func (c *claims) evict(now time.Duration, r *room, why string) {
	for _, v := range r.victims {
		if v.activates() {
			c.life.abandon(now, v, "nobody waits for it any more: "+why)
		} else {
			c.life.drain(now, v, why)
		}
	}
	for _, s := range r.slots {
		c.slots.giveBack(now, s, why)
	}
}
