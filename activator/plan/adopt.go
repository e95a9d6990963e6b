package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// adopt takes an instance of an earlier life, which the roster has found. Its GPUs, memory and limits are those that it was launched with.
func (c *reconciler) adopt(now time.Duration, seen *roster.Instance) *instance {
	s := seen.Seen
	m := c.modelOf[seen.Model]
	if m == nil { // no longer in the config
		m = c.addModel(&fleet.Model{ID: seen.Model, GPUs: s.GPUs})
		m.unlisted = true
	}
	i := &instance{
		Instance: s.Instance, m: m, seen: seen, trust: adopted, from: fleet.Cold, phase: s.Phase, reason: "adopted",
		began: now, launchedAt: now, holds: make([]hold, len(c.peers)),
	}
	switch i.State = fleet.Starting; s.State {
	case fleet.Parking, fleet.Asleep, fleet.Resuming:
		i.State, i.host, i.leavingAt = s.State, inHost, now
		if s.State == fleet.Resuming {
			i.from = fleet.Parked
		}
		if i.State == fleet.Asleep {
			i.trust = ownLaunch // nobody can have a lease on one that is parked
		}
	}
	if i.State == fleet.Resuming || s.State == fleet.Starting && !seen.Dedicated() {
		i.trust = proven // its supervisor says so, who refuses earlier planners: none can have shared it out
	}
	if s.Spec != nil && s.Spec.GPUs > 0 && i.GPUs == 0 {
		i.GPUs = s.Spec.GPUs
	}
	if i.GPUs == 0 && seen.Dedicated() {
		i.GPUs = m.GPUs
	}
	i.slept = s.Slept || i.host == inHost
	i.Node = "" // see follow
	c.life.enrol(i)
	c.takeFormer(now, i)
	c.doubt(i)
	c.locate(now, i)
	c.note(now, i, "", "adopted")
	switch {
	case s.State == fleet.Failed:
		i.host = inHost // it may have been parked
		c.life.stop(now, i, "had failed")
	case s.State == fleet.Stopping:
		i.host = inHost
		c.life.dismiss(now, i, "was being stopped") // by its slot, it may be, which waits for streams of which nobody has told yet
	case m.unlisted:
		c.life.dismiss(now, i, "the model is no longer in the config")
	}
	return i
}

// takeFormer enters what the dispatchers have reported to hold on an instance before that was found.
func (c *reconciler) takeFormer(now time.Duration, i *instance) {
	for n, d := range c.peers {
		if held, holds := d.unfound[i.ID]; holds {
			delete(d.unfound, i.ID)
			c.takeHeld(now, i, n, &held)
		}
	}
}

// locate enters an adopted instance at its place, once that is known.
func (c *reconciler) locate(now time.Duration, i *instance) {
	c.parking.learnCopy(now, i)
	c.unshown.model(i.m)
	if i.at != nil || !i.exists() {
		return
	}
	if i.seen.Dedicated() {
		if c.anywhere != nil {
			i.at = c.expected(i)
			c.life.occupy(now, i)
		}
		return
	}
	s := c.slotOf[i.Slot]
	if s == nil {
		return
	}
	i.at = s
	if i.State == fleet.Asleep {
		c.life.settle(i)
	} else {
		c.life.occupy(now, i)
	}
}

// expected gives the node where an adopted instance is counted until it is followed.
func (c *reconciler) expected(i *instance) *node {
	if i.seen.Seen != nil {
		if n := c.nodeOf[i.seen.Seen.Node]; n != nil {
			return n
		}
	}
	return c.roomiest(i)
}

// roomiest gives the node where an adopted instance is counted of which no node is known: the one with the most room.
func (c *reconciler) roomiest(i *instance) *node {
	best := c.anywhere
	for _, n := range c.nodes {
		if i.GPUs > 0 && n.takesInstances() && n.gpus-n.used >= i.GPUs && (best == c.anywhere || n.left(nil) > best.left(nil)) {
			best = n
		}
	}
	return best
}

// follow takes what a back end that lists nodes says about where an instance is.
func (c *reconciler) follow(now time.Duration, i *instance, s *fleet.Sighting) {
	switch {
	case s.Node != "":
		c.moveTo(now, i, s.Node)
	case s.Unplaced != "" && i.State == fleet.Ready && i.followed == s:
		// it was said before the probe found it ready
	case s.Unplaced != "":
		c.notPlaced(now, i, s.Unplaced)
	}
	i.followed = s
}

// moveTo enters an instance on the node where it is. One that was ready on another has lost what ran there.
func (c *reconciler) moveTo(now time.Duration, i *instance, id string) {
	before := i.Node
	if before == "" && i.State == fleet.Starting && slices.Contains(c.unplaced, i) {
		c.unplaced = without(c.unplaced, i)
		i.launchedAt = now // its engine begins now
	}
	if before == id && i.at != nil && i.at.common().id == id {
		return
	}
	if i.State == fleet.Ready && before != "" && before != id {
		c.life.dismiss(now, i, "was moved to another machine")
	}
	i.Node = id
	n := c.nodeOf[id]
	if n == nil || i.reserved != nil {
		return
	}
	c.life.vacate(now, i)
	i.at = n
	c.life.occupy(now, i)
	c.mark(i.m)
}

// notPlaced takes the news that the back end has found no node for an instance that it has accepted.
func (c *reconciler) notPlaced(now time.Duration, i *instance, why fleet.Unplaced) {
	switch i.State {
	case fleet.Starting:
		if why == fleet.UnplacedImpossible {
			i.m.impossibleUntil = now + backoffLongest
			c.endActivation(now, i, unplacedImpossible)
			c.life.stop(now, i, unplacedImpossible)
			return
		}
		if !slices.Contains(c.unplaced, i) {
			c.unplaced = append(c.unplaced, i)
			i.m.search = true
			c.mark(i.m)
		}
	case fleet.Ready:
		c.life.dismiss(now, i, "its machine was taken away")
	}
}
