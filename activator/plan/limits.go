package plan

import (
	"slices"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	linger    = time.Minute           // a reservation that nobody needs any more is kept this long
	lookAgain = 25 * time.Millisecond // values change with time alone: of those who wait for room, with a reservation or without, one looks everywhere again so often, see placesLookedAt
)

const (
	unplacedUnneeded   = "not placed, and no longer needed"
	unplacedImpossible = "no machine can hold it"
)

// limits ends what takes too long, and what nobody needs any more.
type limits struct {
	*state
	demand *demand
	life   *lifecycle
	rooms  *rooms
}

// enforce looks at the instances of a model.
func (l *limits) enforce(now time.Duration, m *model) {
	for _, i := range slices.Clone(m.instances) {
		l.enforceOn(now, i)
	}
	l.keepMost(now, m)
}

func (l *limits) enforceOn(now time.Duration, i *instance) {
	limit := i.m.Timeouts.Start
	switch {
	case i.State == fleet.Parking && limit > 0 && l.audible(i) && now-i.leavingAt >= limit:
		l.life.stop(now, i, "not parked within "+limit.String())
	case i.reserved != nil:
		if l.demand.unwanted(now, i, linger) {
			l.life.cancel(now, i, "no longer needed")
		} else if l.rooms.hopeless(now, i) {
			l.life.cancel(now, i, "its machine takes no new work")
		}
	case i.waitsForNode():
		if l.demand.unwanted(now, i, linger) {
			l.endActivation(now, i, unplacedUnneeded)
			l.life.stop(now, i, unplacedUnneeded)
		}
	case i.State == fleet.Ready && i.inOutdatedSlot() && !l.closing && l.leaves(now, i):
		l.life.dismiss(now, i, "its slot was launched with another config")
	case limit == 0 || !l.audible(i):
	case i.activates() && now-i.launchedAt >= limit:
		l.life.failStart(now, i, fleet.CauseEngine, "not ready within "+limit.String())
	}
}

// keepMost gives up the youngest reservations that make more than instances.max: another one was found since, or holds its GPUs though it was being parked and did not count.
func (l *limits) keepMost(now time.Duration, m *model) {
	most := m.Instances.Max
	if most == 0 {
		return
	}
	for _, i := range slices.Backward(slices.Clone(m.instances)) {
		if i.reserved != nil && m.hot()+m.pending()+m.going() > most {
			l.life.cancel(now, i, "instances.max is "+strconv.Itoa(most))
		}
	}
}

// leaves reports whether a ready instance is let go with its slot, which lacks something of the present config.
func (l *limits) leaves(now time.Duration, i *instance) bool {
	if i.inEmptiedSlot() {
		return i.visible()
	}
	return l.rooms.idle(i) && l.roster.Heard(i.seen) && now >= i.idleSince()+outdatedIdle
}

func (l *limits) audible(i *instance) bool { return i.seen == nil || l.roster.Audible(i.seen) }

// setAlarm notes when the model must be looked at though nothing happens.
func (l *limits) setAlarm(now time.Duration, m *model) {
	next := alarm{now: now}
	next.due(m.reviewAt)
	next.due(m.heldUntil)
	next.due(m.retryAt)
	next.due(m.impossibleUntil)
	if m.short > 0 || m.count(func(i *instance) bool { return i.reserved != nil }) > 0 {
		next.due(now + lookAgain*time.Duration(max(4, len(l.short)+len(l.reserved))*(1+l.places(m)/placesLookedAt)))
	}
	if m.short > 0 && m.waiting > 0 {
		next.due(m.oldest + l.cfg.Patience)
		next.due(m.drainAt)
	}
	for _, i := range m.instances {
		l.instanceAlarm(i, &next)
	}
	l.alarms.set(&m.timer, &next)
}

// places gives the number of places where one looks for room for the model.
func (l *limits) places(m *model) int {
	if m.dedicated() {
		return len(l.nodes)
	}
	return len(m.pool.slots)
}

func (l *limits) instanceAlarm(i *instance, next *alarm) {
	m := i.m
	waits := i.reserved != nil || i.waitsForNode()
	if i.State == fleet.Parking && m.Timeouts.Start > 0 {
		next.due(i.leavingAt + m.Timeouts.Start)
	}
	switch {
	case waits:
		next.due(max(m.lastDemand, i.began) + linger)
		if m.waiting > 0 {
			next.due(m.oldest + l.cfg.Patience)
		}
		if s, is := i.at.(*slot); is {
			for _, o := range s.block(i.GPU, i.GPUs) {
				if o != nil && o.State == fleet.Ready {
					next.due(o.readyAt + l.cfg.Residence)
				}
			}
		}
	case i.activates():
		next.due(i.launchedAt + m.past(i.from).outlasts(next.now-i.launchedAt))
		if m.Timeouts.Start > 0 {
			next.due(i.launchedAt + m.Timeouts.Start)
		}
		if i.State == fleet.Starting && m.waiting == 0 {
			next.due(max(m.lastDemand, i.began) + abandonedAfter)
		}
	case i.State == fleet.Ready:
		next.due(i.readyAt + l.cfg.Residence)
		if i.inOutdatedSlot() {
			next.due(i.idleSince() + outdatedIdle)
		}
	}
	i.order.alarm(next)
}
