package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// reconciler brings what the planner knows in line with what the roster says exists.
type reconciler struct {
	*state
	demand  *demand
	life    *lifecycle
	parking *parking
	slots   *slotKeeper
}

// apply takes the roster's changes.
func (c *reconciler) apply(now time.Duration) {
	for _, ch := range c.roster.TakeChanges() {
		switch ch.Kind {
		case roster.NodeSeen:
			c.seeNode(ch.Node)
		case roster.NodeGone:
			c.loseNode(now, ch.Node)
		case roster.SlotSeen:
			c.seeSlot(now, ch.Slot)
		case roster.SlotGone:
			if s := c.slotOf[ch.Slot.ID]; s != nil {
				c.slots.lost(now, s)
			}
		case roster.InstanceSeen:
			c.seeInstance(now, ch.Instance)
		case roster.InstanceGone:
			if i := c.instanceOf[ch.Instance.ID]; i != nil {
				c.parking.freeMemory(now, i)
				c.life.gone(now, i, ch.Instance.Why)
			}
		case roster.Reachability:
			c.markEverything()
		}
	}
}

// seeNode takes how a node stands. From the first one on, models without a pool are placed on nodes.
func (c *reconciler) seeNode(seen *roster.Node) {
	c.dedicate()
	n := c.nodeOf[seen.ID]
	if n == nil {
		c.entered++
		n = &node{site: site{id: seen.ID, node: seen.ID, pool: c.pool(dedicatedPool), number: c.entered}}
		c.nodes = append(c.nodes, n)
		c.nodeOf[n.id] = n
		for _, q := range c.pools {
			for _, s := range q.slots {
				c.slots.linkNode(s)
			}
		}
	}
	c.remeasure, c.unshown.nodes = true, true
	fitter := n.gpus != seen.GPUs || n.condition != seen.Condition || n.gone
	n.seen, n.gpus, n.used, n.condition, n.gone, n.name = seen, seen.GPUs, seen.Used, seen.Condition, false, seen.Name
	c.free(n)
	if fitter {
		for _, m := range c.pool(dedicatedPool).models {
			m.impossibleUntil = 0 // what no machine could hold may fit now
			m.search = true
			c.mark(m)
		}
	}
}

func (c *reconciler) loseNode(now time.Duration, seen *roster.Node) {
	n := c.nodeOf[seen.ID]
	if n == nil {
		return
	}
	n.gone, c.remeasure, c.unshown.nodes = true, true, true
	for _, i := range slices.Clone(n.common().reserved) {
		c.life.cancel(now, i, "its machine is gone")
	}
	if len(n.residents) == 0 {
		c.nodes = slices.DeleteFunc(c.nodes, func(o *node) bool { return o == n })
		delete(c.nodeOf, n.id)
	}
	for _, m := range c.pool(dedicatedPool).models {
		m.search = true
		c.mark(m)
	}
}

// dedicate takes nodes as the place of models without a pool.
func (c *reconciler) dedicate() {
	if c.anywhere != nil {
		return
	}
	q := c.pool(dedicatedPool)
	c.anywhere = &node{site: site{pool: q}, all: c.roster}
	for _, m := range c.models {
		if m.Pool == "" {
			c.assign(m, q)
			c.reconsider(m)
		}
	}
	c.pools = slices.DeleteFunc(c.pools, func(q *pool) bool {
		unused := len(q.models) == 0 && q.GPUsPerSlot == 0 && len(q.slots) == 0 && q.Name == fleet.LocalPool
		if unused {
			delete(c.poolOf, q.Name)
			c.unshown.pools = true
		}
		return unused
	})
}

// seeSlot takes how a slot stands. What is on one that will end is taken away while it still serves.
func (c *reconciler) seeSlot(now time.Duration, seen *roster.Slot) {
	if seen.Gone {
		return
	}
	s := c.slots.see(now, seen.View())
	s.seen = seen
	if ends := s.condition == fleet.PlaceClosing || s.condition == fleet.PlaceDraining; !ends {
		return
	}
	for _, i := range slices.Clone(s.reserved) {
		c.life.cancel(now, i, "its machine takes no new work")
	}
	for _, i := range slices.Clone(s.residents) {
		if i.State == fleet.Ready {
			c.life.dismiss(now, i, "its machine is being drained")
		}
	}
}

// seeInstance takes the last word on an instance.
func (c *reconciler) seeInstance(now time.Duration, seen *roster.Instance) {
	if seen.Gone {
		return
	}
	i := c.instanceOf[seen.ID]
	if i == nil {
		if seen.Seen == nil {
			return
		}
		i = c.adopt(now, seen)
	}
	c.markShares(i) // Running may prove something
	c.locate(now, i)
	if seen.Addr != "" && i.Addr != seen.Addr {
		i.Addr = seen.Addr
		c.retell(i)
	}
	if unproven := seen.Seen != nil && seen.Seen.Unproven; i.unproven != unproven {
		i.unproven = unproven
		c.retell(i)
	}
	c.reconcile(now, i)
}

// retell has the dispatchers told of the instance again that may serve requests on it, those of a share that was taken back included.
func (c *reconciler) retell(i *instance) {
	for n, d := range c.peers {
		if i.holds[n].bound() > 0 {
			c.tellShare(d, i)
		}
	}
}

// reconcile compares what the planner holds of an instance with what is said of it, and moves it on.
func (c *reconciler) reconcile(now time.Duration, i *instance) {
	if s := i.seen.Seen; s != nil {
		c.reconcileExistence(now, i, s)
	}
	if c.instanceOf[i.ID] == i {
		c.reconcileHealth(now, i)
	}
}

// reconcileExistence goes by the source that is believed for the instance's existence.
func (c *reconciler) reconcileExistence(now time.Duration, i *instance, s *fleet.Sighting) {
	supervised := !i.seen.Dedicated()
	switch {
	case s.State == fleet.Stopping && (s.Failure == "" || !supervised) && (i.State == fleet.Ready || i.State == fleet.Asleep || i.activates()):
		c.endedByOthers(now, i)
	case supervised && s.State == fleet.Asleep && s.Failure != "":
		c.backToSleep(now, i, s)
	case s.Failure != "" && s.Unplaced == "":
		c.parking.freeMemory(now, i)
		c.life.markUnhealthy(now, i, s.Cause, s.Failure)
	case supervised && (s.State == fleet.Parking || s.State == fleet.Asleep):
		c.seeAsleep(now, i, s.State)
	default:
		if !supervised {
			c.follow(now, i, s)
		}
		c.progress(now, i, s, supervised)
	}
}

// endedByOthers takes the news that the back end is stopping an instance unasked: its machine is drained, or somebody stops its job by hand. That is no
// fault of the engine.
func (c *reconciler) endedByOthers(now time.Duration, i *instance) {
	const why = "is being stopped by the back end"
	switch {
	case i.State == fleet.Ready:
		c.life.dismiss(now, i, why)
	case i.State == fleet.Asleep:
		c.life.stop(now, i, why)
	default:
		c.life.abandon(now, i, why)
	}
}

// progress takes a phase of an activation, and the last of them from those who are believed for it.
func (c *reconciler) progress(now time.Duration, i *instance, s *fleet.Sighting, supervised bool) {
	switch {
	case s.Phase != fleet.PhaseReady:
		c.advance(now, i, s.Phase)
	case !supervised:
	case i.State == fleet.Resuming && s.State == fleet.Resuming:
		// its slot says so when it is
	case i.State == fleet.Asleep && s.State == fleet.Ready:
		c.life.stop(now, i, "woke up without being asked")
	case i.activates():
		c.life.ready(now, i)
	}
}

// reconcileHealth goes by the probe, and by what those who tell of liveness suspect and the probe confirms.
func (c *reconciler) reconcileHealth(now time.Duration, i *instance) {
	switch {
	case i.seen.NoAnswer && i.State == fleet.Ready && i.visible():
		c.life.markUnhealthy(now, i, fleet.CauseEngine, "no longer answers")
	case i.seen.Hangs && i.State == fleet.Ready:
		c.life.markUnhealthy(now, i, fleet.CauseEngine, i.seen.ProbeFailure)
	case !i.activates() || i.seen.Phase == "" && i.seen.ProbeFailure == "":
	case i.seen.ProbeFailure != "":
		c.life.markUnhealthy(now, i, fleet.CauseEngine, i.seen.ProbeFailure)
	case i.seen.Phase != fleet.PhaseReady:
		c.advance(now, i, i.seen.Phase)
	case i.State == fleet.Starting && (i.seen.Dedicated() && i.Addr == ""):
	case i.State == fleet.Starting:
		c.life.ready(now, i)
	}
}

// seeAsleep takes the word of a slot that an instance is parked, or is being parked. One that served is no use to those who have leases on it.
func (c *reconciler) seeAsleep(now time.Duration, i *instance, seen fleet.State) {
	switch {
	case i.State == fleet.Parking && seen == fleet.Asleep && i.order.due == "":
		c.life.parked(now, i)
	case i.State == fleet.Ready:
		c.life.dismiss(now, i, "was parked without being asked")
	}
}

// backToSleep takes the news that an instance could not be resumed, and is parked as before. One that cannot be resumed twice in a row is
// started anew.
func (c *reconciler) backToSleep(now time.Duration, i *instance, s *fleet.Sighting) {
	if i.State != fleet.Resuming || s.Act != i.order.last && i.order.last > 0 {
		return // news of an attempt before; of an adopted one nothing was ordered yet
	}
	i.failedWakes++
	if i.failedWakes >= failedWakesMost {
		c.parking.freeMemory(now, i)
		c.life.fail(now, i, s.Cause, s.Failure)
		return
	}
	from := i.State
	i.State, i.reason, i.order.due = fleet.Asleep, s.Failure, ""
	c.note(now, i, from, s.Failure)
	c.endActivation(now, i, s.Failure)
	c.life.backOff(now, i.m)
	c.tell(now, fleet.Event{Kind: fleet.EventFailed, Model: i.Model, N: 1, From: i.from})
	c.life.vacate(now, i)
	c.parking.freeMemory(now, i)
	c.changed(i)
}

const failedWakesMost = 2

// markUnhealthy takes the news that an instance which is still there has failed.
func (l *lifecycle) markUnhealthy(now time.Duration, i *instance, cause fleet.Cause, why string) {
	switch i.State {
	case fleet.Starting, fleet.Resuming:
		l.failStart(now, i, cause, why)
	case fleet.Ready:
		i.failure = why
		l.dismiss(now, i, why) // its streams end by themselves
		l.blame(now, i, cause, why)
	case fleet.Draining:
		i.next = fleet.Stopping
		l.mark(i.m)
	case fleet.Parking, fleet.Asleep:
		i.failure = why
		l.stop(now, i, why)
	}
}
