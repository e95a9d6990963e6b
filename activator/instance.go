package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instance is one engine as the planner knows it, from the reservation of its GPUs until it is gone.
//
//	reserved ──► starting ──► ready ──► draining ──► stopping ──► gone
//	    │            │          │                       ▲
//	    │            └─► failed ┼───────────────────────┤
//	    └─► cancelled           └─► gone (crash)     (any but reserved)
//
// Parking adds draining ──► parking ──► parked ──► resuming ──► ready: an instance then keeps its block as its home, and
// holds it only while it is awake.
type instance struct {
	fleet.Instance
	m    *model
	slot *slot

	launched   bool // else reserved: it waits for its block to be free
	drains     bool // as a reservation: it may drain busy instances
	adopted    bool // from an earlier life of the planner
	from       fleet.Tier
	phase      fleet.Phase
	reason     string
	failure    string
	activation *fleet.Activation

	began      time.Duration // reserved
	launchedAt time.Duration
	readyAt    time.Duration
	wasReady   bool

	acting    bool // an act is on its way to the back end
	stopDue   bool
	stopAt    time.Duration // not before
	stopTries int
	stopped   bool // the back end has accepted the stop
	stoppedAt time.Duration

	unplaced  fleet.Unplaced // dedicated, launched: why the back end has not placed it; "" = nothing is known to hinder it
	missing   bool           // a source that tells of liveness has listed it, and does not any more
	missingAt time.Duration
	silent    bool // the probe's last word on it: it does not answer
	silentAt  time.Duration

	listedBy  []*source
	running   int // as the engine said
	runningAt time.Duration
	asked     bool // it was ever asked
	clean     bool // adopted: nobody unknown has a lease on it

	holds []hold // by dispatcher
	spare bool
}

// reserve sets a block aside for a new instance of the model.
func (p *Planner) reserve(now time.Duration, m *model, r room, reason string) *instance {
	p.made++
	i := &instance{
		Instance: fleet.Instance{
			ID: p.prefix + formatID(p.made), Model: m.ID, GPUs: m.GPUs, State: fleet.Starting,
		},
		m: m, from: fleet.Cold, phase: fleet.PhaseQueued, reason: reason, began: now, drains: r.needs == drainsBusy,
		holds: make([]hold, len(p.peers)),
	}
	i.claim(r)
	p.enroll(i)
	p.activate(now, i)
	return i
}

// claim reserves the room.
func (i *instance) claim(r room) {
	i.slot, i.Slot, i.GPU = r.slot, r.slot.ID, r.gpu
	if r.slot.counted {
		i.Slot = "" // the back end chooses
	}
	r.slot.claims = append(r.slot.claims, i)
}

// enroll enters the instance in the lists.
func (p *Planner) enroll(i *instance) {
	p.instances = append(p.instances, i)
	p.byID[i.ID] = i
	i.m.instances = append(i.m.instances, i)
	i.m.stale = true
}

// launch hands a reserved instance to the back end: from here on it holds its GPUs.
func (p *Planner) launch(now time.Duration, i *instance) {
	i.slot.unclaim(i)
	i.launched, i.launchedAt = true, now
	p.occupy(i)
	p.act(i, fleet.ActLaunch, i.reason)
	p.note(now, i, "", i.reason)
}

// ready makes a started instance take requests.
func (p *Planner) ready(now time.Duration, i *instance) {
	from := i.State
	i.State, i.readyAt, i.wasReady = fleet.Ready, now, true
	i.m.short = 0
	i.m.stale = true
	p.succeed(now, i)
	p.note(now, i, from, "one token was generated")
	p.tell(now, fleet.Event{Kind: fleet.EventReady, Model: i.Model, N: 1, From: i.from, Took: now - i.launchedAt})
}

// drain takes an instance's shares back; when every lease has ended it is stopped.
func (p *Planner) drain(now time.Duration, i *instance, why string) {
	from := i.State
	i.State, i.reason = fleet.Draining, why
	i.m.stale = true
	p.note(now, i, from, why)
}

// stop orders the end of an instance on which nobody has a lease.
func (p *Planner) stop(now time.Duration, i *instance, why string) {
	from := i.State
	if from != fleet.Failed {
		i.State, i.reason = fleet.Stopping, why
	}
	i.stopDue, i.stopAt = true, now
	i.m.stale = true
	p.note(now, i, from, why)
}

// abandon gives a start up. What an earlier life had started may have streams of which nobody has told yet.
func (p *Planner) abandon(now time.Duration, i *instance, why string) {
	if i.adopted {
		p.drain(now, i, why)
		return
	}
	p.stop(now, i, why)
}

// cancel gives a reservation up.
func (p *Planner) cancel(now time.Duration, i *instance, why string) {
	i.slot.unclaim(i)
	p.endActivation(now, i, why)
	p.remove(i)
}

// fail notes that a start has failed, and sees to it that the engine goes away.
func (p *Planner) fail(now time.Duration, i *instance, why string) {
	from := i.State
	i.State, i.failure, i.reason = fleet.Failed, why, why
	i.stopDue, i.stopAt = true, now
	p.note(now, i, from, why)
	p.endActivation(now, i, why)
	p.countFailure(now, i.m)
}

// countFailure backs off: exponentially, with jitter, capped.
func (p *Planner) countFailure(now time.Duration, m *model) {
	m.failures++
	m.stale = true
	delay := backoffFirst << min(m.failures-1, 20)
	if delay > backoffLongest {
		delay = backoffLongest
	}
	m.retryAt = now + delay/2 + time.Duration(float64(delay/2)*p.jitter())
	if p.unsound.noBackoff {
		m.retryAt = now
	}
	p.tell(now, fleet.Event{Kind: fleet.EventFailed, Model: m.ID, N: 1, From: fleet.Cold})
}

const (
	backoffFirst   = 2 * time.Second
	backoffLongest = 5 * time.Minute
)

// gone takes an instance that no longer exists out of the lists, and counts what that means for its model.
func (p *Planner) gone(now time.Duration, i *instance, why string) {
	from := i.State
	if why == "" {
		why = "exited"
	}
	switch {
	case from == fleet.Starting || from == fleet.Resuming:
		p.endActivation(now, i, why)
		p.countFailure(now, i.m)
	case from == fleet.Ready && now-i.readyAt < settled:
		p.countFailure(now, i.m)
	case from != fleet.Failed:
		if i.failure == "" {
			i.m.failures = 0
		}
		p.tell(now, fleet.Event{Kind: fleet.EventStopped, Model: i.Model, N: 1})
	}
	i.State = ""
	p.note(now, i, from, why)
	p.vacate(i)
	p.remove(i)
}

func (p *Planner) remove(i *instance) {
	is := func(j *instance) bool { return j == i }
	p.instances = slices.DeleteFunc(p.instances, is)
	i.m.instances = slices.DeleteFunc(i.m.instances, is)
	i.m.stale = true
	delete(p.byID, i.ID)
	if !p.own(i.ID) {
		p.buried[i.ID] = true
	}
	for n := range i.holds {
		if len(i.holds[n].given) > 0 {
			p.peers[n].dirty = true
		}
	}
}
