package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// lifecycle makes every transition of instances.
type lifecycle struct {
	*state
	demand *demand
}

// create makes an instance of which there is no engine yet.
func (l *lifecycle) create(m *model) *instance {
	i := &instance{
		Instance: fleet.Instance{ID: l.newID(""), Model: m.ID, GPUs: m.GPUs}, m: m, from: fleet.Cold, holds: make([]hold, len(l.peers)),
	}
	l.enrol(i)
	return i
}

// enrol enters the instance in the lists.
func (l *lifecycle) enrol(i *instance) {
	l.enrolled++
	i.number, i.index = l.enrolled, len(l.instances)
	l.instances = append(l.instances, i)
	l.instanceOf[i.ID] = i
	i.m.instances = append(i.m.instances, i)
	l.reconsider(i.m)
}

// reserve keeps a block of the place's GPUs for the instance: for a new one, or for a parked one where it lives.
func (l *lifecycle) reserve(now time.Duration, i *instance, at place, gpu int) {
	i.at, i.GPU, i.Slot = at, gpu, ""
	if s, is := at.(*slot); is {
		i.Slot = s.ID
	}
	l.claimed++
	i.reserved = &reservation{number: l.claimed}
	if i.exists() {
		i.from = fleet.Parked
	}
	c := at.common()
	c.reserved = append(c.reserved, i)
	l.reserved = append(l.reserved, i)
	l.markPlace(at)
	l.reconsider(i.m)
}

// unreserve gives the reservation up that the instance may have.
func (l *lifecycle) unreserve(i *instance) {
	if i.reserved == nil {
		return
	}
	i.reserved = nil
	c := i.at.common()
	c.reserved = without(c.reserved, i)
	l.state.reserved = without(l.state.reserved, i)
	l.free(i.at)
	l.reconsider(i.m)
	if !i.exists() {
		i.at = nil
	}
}

// launch hands an instance to the back end, to be started or resumed: from here on it holds its GPUs.
func (l *lifecycle) launch(now time.Duration, i *instance) {
	from, at := i.State, i.at
	l.unreserve(i)
	i.at, i.launchedAt = at, now
	if from == "" {
		i.State = fleet.Starting
		i.Spec = fleet.NewSpec(i.m.Model, i.m.pool.mayHold())
		i.seen = l.roster.Expect(i.ID, i.Model, i.Slot)
		l.occupy(now, i)
		l.order(now, i, fleet.ActLaunch)
	} else {
		i.State = fleet.Resuming
		l.occupy(now, i)
		l.order(now, i, fleet.ActResume)
	}
	l.note(now, i, from, i.reason)
	l.changed(i)
}

// ready makes a started or resumed instance take requests.
func (l *lifecycle) ready(now time.Duration, i *instance) {
	from := i.State
	i.State, i.readyAt, i.served = fleet.Ready, now, true
	i.host, i.failedWakes, i.order.due = outOfHost, 0, ""
	i.m.short = 0
	l.succeeded(now, i)
	l.completeActivation(now, i)
	l.note(now, i, from, "one token was generated")
	l.tell(now, fleet.Event{Kind: fleet.EventReady, Model: i.Model, N: 1, From: i.from, Took: i.took(now, i.launchedAt)})
	l.changed(i)
}

// drain takes an instance's shares back; when every lease has ended it is parked, or stopped where it cannot be.
func (l *lifecycle) drain(now time.Duration, i *instance, why string) {
	next := fleet.Stopping
	if l.demand.wantsParked(now, i) {
		next = fleet.Parking
	}
	l.revoke(now, i, next, why)
}

// dismiss takes an instance's shares back; when every lease has ended it is stopped.
func (l *lifecycle) dismiss(now time.Duration, i *instance, why string) {
	l.revoke(now, i, fleet.Stopping, why)
}

func (l *lifecycle) revoke(now time.Duration, i *instance, next fleet.State, why string) {
	from := i.State
	i.State, i.next, i.reason, i.leavingAt = fleet.Draining, next, why, now
	l.draining = append(l.draining, i)
	l.note(now, i, from, why)
	l.changed(i)
}

// stop orders the end of an instance on which nobody has a lease.
func (l *lifecycle) stop(now time.Duration, i *instance, why string) {
	from := i.State
	l.giveUpReservation(now, i, why)
	if i.host == promised {
		i.host = outOfHost
	}
	if from != fleet.Failed {
		i.State, i.reason, i.leavingAt = fleet.Stopping, why, now
	}
	l.order(now, i, fleet.ActStop)
	l.note(now, i, from, why)
	l.changed(i)
}

// abandon gives a start up. What an earlier life had started may have streams of which nobody has told yet.
func (l *lifecycle) abandon(now time.Duration, i *instance, why string) {
	l.endActivation(now, i, why)
	if i.trust != ownLaunch {
		l.dismiss(now, i, why)
		return
	}
	l.stop(now, i, why)
}

// failStart notes that a start has failed. What an earlier life had started may be ready, and have streams of which nobody has told yet: they end by
// themselves.
func (l *lifecycle) failStart(now time.Duration, i *instance, cause fleet.Cause, why string) {
	if i.trust == ownLaunch {
		l.fail(now, i, cause, why)
		return
	}
	i.failure = why
	l.endActivation(now, i, why)
	l.dismiss(now, i, why)
	l.blame(now, i, cause, why)
}

// cancel gives a reservation up, and with it an instance of which there is no engine.
func (l *lifecycle) cancel(now time.Duration, i *instance, why string) {
	l.giveUpReservation(now, i, why)
	if !i.exists() {
		l.remove(i)
	}
}

// giveUpReservation gives up the reservation that the instance may have, and its activation.
func (l *lifecycle) giveUpReservation(now time.Duration, i *instance, why string) {
	if i.reserved != nil {
		l.unreserve(i)
		l.endActivation(now, i, why)
	}
}

// fail notes that a start or a resume has failed, and sees to it that the engine goes away.
func (l *lifecycle) fail(now time.Duration, i *instance, cause fleet.Cause, why string) {
	from := i.State
	i.State, i.failure, i.reason, i.leavingAt = fleet.Failed, why, why, now
	l.order(now, i, fleet.ActStop)
	l.note(now, i, from, why)
	l.endActivation(now, i, why)
	l.blame(now, i, cause, why)
	l.changed(i)
}

// park orders the parking of an instance on which nobody has a lease.
func (l *lifecycle) park(now time.Duration, i *instance) {
	from := i.State
	i.State, i.host, i.leavingAt = fleet.Parking, inHost, now
	l.order(now, i, fleet.ActPark)
	l.note(now, i, from, i.reason)
	l.changed(i)
}

// parked notes that the GPUs of an instance are free.
func (l *lifecycle) parked(now time.Duration, i *instance) {
	from := i.State
	took := i.took(now, i.leavingAt)
	if i.failure == "" { // it has served for as long as it was wanted, be that ever so short
		i.m.failures, i.m.deaths = 0, 0
	}
	kind := i.nextPark()
	if took > 0 {
		l.learn(i.m, kind, took)
		l.learned = append(l.learned, fleet.Learned{Model: i.Model, From: kind, Durations: i.m.past(kind).copy()})
	}
	i.slept = true
	i.State, i.trust = fleet.Asleep, ownLaunch // nobody can have a lease on it, whoever gave one
	l.note(now, i, from, i.reason)
	l.vacate(now, i)
	l.tell(now, fleet.Event{Kind: fleet.EventParked, Model: i.Model, N: 1, Took: took, First: kind == fleet.FirstPark})
	l.changed(i)
}

// gone takes an instance that no longer exists out of the lists, and counts what that means for its model.
func (l *lifecycle) gone(now time.Duration, i *instance, why string) {
	from, lost := i.State, i.seen != nil && i.seen.PlaceLost
	cause := fleet.Cause("")
	if i.seen != nil {
		cause = i.seen.Cause
	}
	why = cmp.Or(why, i.failure, "exited")
	switch {
	case from == fleet.Starting || from == fleet.Resuming:
		l.endActivation(now, i, why)
		if !lost {
			l.blame(now, i, cause, why)
		}
	case from == fleet.Ready && now-i.readyAt < settled && !lost:
		l.blame(now, i, cause, why)
	case from != fleet.Failed:
		if i.failure == "" && !lost {
			i.m.failures, i.m.deaths = 0, 0
		}
		l.tell(now, fleet.Event{Kind: fleet.EventStopped, Model: i.Model, N: 1})
	}
	l.giveUpReservation(now, i, why)
	i.State = ""
	l.note(now, i, from, why)
	at := i.at
	l.vacate(now, i)
	l.remove(i)
	l.free(at)
}

const settled = 30 * time.Second // an engine that was ready this long has died of what came then

func (l *lifecycle) remove(i *instance) {
	last := len(l.instances) - 1
	l.instances[i.index], l.instances[last].index = l.instances[last], i.index
	l.instances[last] = nil
	l.instances = l.instances[:last]
	i.m.instances = without(i.m.instances, i)
	l.draining, l.unplaced = without(l.draining, i), without(l.unplaced, i)
	l.reconsider(i.m)
	delete(l.instanceOf, i.ID)
	l.unshown.instanceGone(i)
	for n, d := range l.peers {
		if len(i.holds[n].given) > 0 {
			l.tellShare(d, i)
			d.unsettled = slices.DeleteFunc(d.unsettled, func(o *instance) bool { return o == i })
		}
		i.holds[n] = hold{}
	}
}

// order makes an act due, in place of another one that may be.
func (l *lifecycle) order(now time.Duration, i *instance, kind fleet.ActKind) {
	i.order.set(now, kind)
	l.ordered = append(l.ordered, ordered{i: i})
	l.mark(i.m)
}
