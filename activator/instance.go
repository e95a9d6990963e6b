package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instance is one engine as the planner knows it, from the reservation of its GPUs until it is gone.
//
//	reserved ──► starting ──► ready ──► draining ──► stopping ──► gone
//	    │            │          ▲          │            ▲
//	    │            └─► failed │          └─► parking ─┤
//	    └─► cancelled      │    │                 ▼     │
//	                       ▼    └─ resuming ◄─ parked ──┘
//	                     gone          └─► failed
//
// A parked instance keeps its block as its home: it holds the GPUs only while it is awake, and can be resumed nowhere else. It
// may have a reservation too: it is then parked, or being parked, and claiming.
type instance struct {
	fleet.Instance
	m    *model
	slot *slot

	launched   bool        // else there is no engine yet
	claiming   bool        // it has a reservation: it waits for its block to be free
	drains     bool        // as a reservation: it may drain busy instances
	housed     bool        // it holds its GPUs
	inHost     bool        // its weights are in host memory, or may be
	canPark    bool        // its slot has said that it can be parked
	parks      bool        // draining: it is parked then, else stopped
	room       fleet.Bytes // launched: what it leaves on each of its GPUs for parked ones; an earlier life did not say how much
	awaitsBed  bool        // draining: nobody has a lease on it, and it waits until there is room to park it
	adopted    bool        // from an earlier life of the planner
	from       fleet.Tier
	phase      fleet.Phase
	reason     string
	failure    string
	activation *activation
	waited     time.Duration // in its last activation, by the model's requests

	began      time.Duration // reserved
	launchedAt time.Duration // or resumed
	readyAt    time.Duration
	drainedAt  time.Duration // draining, parking, stopping: since when
	wasReady   bool
	relapses   int // resumes that failed in a row

	acting    bool          // an act is on its way to the back end
	due       fleet.ActKind // the act that is to be ordered next; "" = none
	dueAt     time.Duration // not before
	lastAct   uint64        // the number of the last act ordered of the back end
	tries     int           // of that act, which the back end has refused
	stopped   bool          // the back end has accepted the stop
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

// reserve sets a room aside: for a parked instance, or for a new one of the model.
func (p *Planner) reserve(now time.Duration, m *model, r room, reason string) *instance {
	i := r.resumes
	if i == nil {
		i = p.conceive(m)
	}
	i.phase, i.reason, i.began, i.drains = fleet.PhaseQueued, reason, now, r.needs == drainsBusy
	i.claim(r)
	m.stale, m.spared = true, fleet.Spared{}
	p.activate(now, i)
	return i
}

// conceive makes an instance of which there is no engine yet.
func (p *Planner) conceive(m *model) *instance {
	p.made++
	i := &instance{
		Instance: fleet.Instance{
			ID: p.prefix + formatID(p.made), Model: m.ID, GPUs: m.GPUs, State: fleet.Starting,
		},
		m: m, from: fleet.Cold, holds: make([]hold, len(p.peers)),
	}
	p.enroll(i)
	return i
}

// claim reserves the room.
func (i *instance) claim(r room) {
	i.slot, i.Slot, i.GPU = r.slot, r.slot.ID, r.gpu
	if r.slot.counted {
		i.Slot = "" // the back end chooses
	}
	i.claiming = true
	if i.launched {
		i.from = fleet.Parked
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

// launch hands a reserved instance to the back end, to be started or resumed: from here on it holds its GPUs.
func (p *Planner) launch(now time.Duration, i *instance) {
	from := i.State
	i.unclaim()
	p.occupy(now, i)
	i.launchedAt = now
	if !i.launched {
		i.launched, i.room = true, p.pool(i.m.pool).mayHold()
		p.order(now, i, fleet.ActLaunch)
		p.note(now, i, "", i.reason)
		return
	}
	i.State = fleet.Resuming
	p.order(now, i, fleet.ActResume)
	p.note(now, i, from, i.reason)
}

// ready makes a started or resumed instance take requests.
func (p *Planner) ready(now time.Duration, i *instance) {
	from := i.State
	i.State, i.readyAt, i.wasReady = fleet.Ready, now, true
	i.inHost, i.relapses, i.due = false, 0, ""
	i.m.short = 0
	i.m.stale = true
	p.succeed(now, i)
	p.note(now, i, from, "one token was generated")
	p.tell(now, fleet.Event{Kind: fleet.EventReady, Model: i.Model, N: 1, From: i.from, Took: now - i.launchedAt})
}

// drain takes an instance's shares back; when every lease has ended it is parked, or stopped where it cannot be.
func (p *Planner) drain(now time.Duration, i *instance, why string) {
	i.parks = p.wantsParked(now, i)
	p.revoke(now, i, why)
}

// dismiss takes an instance's shares back; when every lease has ended it is stopped.
func (p *Planner) dismiss(now time.Duration, i *instance, why string) {
	i.parks = false
	p.revoke(now, i, why)
}

func (p *Planner) revoke(now time.Duration, i *instance, why string) {
	from := i.State
	i.State, i.reason, i.drainedAt = fleet.Draining, why, now
	i.m.stale = true
	p.note(now, i, from, why)
}

// stop orders the end of an instance on which nobody has a lease.
func (p *Planner) stop(now time.Duration, i *instance, why string) {
	from := i.State
	p.disclaim(now, i, why)
	i.awaitsBed = false
	if from != fleet.Failed {
		i.State, i.reason, i.drainedAt = fleet.Stopping, why, now
	}
	p.order(now, i, fleet.ActStop)
	i.m.stale = true
	p.note(now, i, from, why)
}

// abandon gives a start up. What an earlier life had started may have streams of which nobody has told yet.
func (p *Planner) abandon(now time.Duration, i *instance, why string) {
	if i.adopted {
		p.dismiss(now, i, why)
		return
	}
	p.stop(now, i, why)
}

// cancel gives a reservation up.
func (p *Planner) cancel(now time.Duration, i *instance, why string) {
	p.disclaim(now, i, why)
	if !i.launched {
		p.remove(i)
	}
}

// disclaim gives up the reservation that the instance may have, and its activation.
func (p *Planner) disclaim(now time.Duration, i *instance, why string) {
	if i.claiming {
		i.unclaim()
		p.endActivation(now, i, why)
		i.m.stale = true
	}
}

// fail notes that a start or a resume has failed, and sees to it that the engine goes away.
func (p *Planner) fail(now time.Duration, i *instance, why string) {
	from := i.State
	i.State, i.failure, i.reason, i.drainedAt = fleet.Failed, why, why, now
	p.order(now, i, fleet.ActStop)
	p.note(now, i, from, why)
	p.endActivation(now, i, why)
	p.countFailure(now, i)
}

// countFailure backs off: exponentially, with jitter, capped.
func (p *Planner) countFailure(now time.Duration, i *instance) {
	m := i.m
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
	p.tell(now, fleet.Event{Kind: fleet.EventFailed, Model: m.ID, N: 1, From: i.from})
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
		p.countFailure(now, i)
	case from == fleet.Ready && now-i.readyAt < settled:
		p.countFailure(now, i)
	case from != fleet.Failed:
		if i.failure == "" {
			i.m.failures = 0
		}
		p.tell(now, fleet.Event{Kind: fleet.EventStopped, Model: i.Model, N: 1})
	}
	p.disclaim(now, i, why)
	i.State = ""
	p.note(now, i, from, why)
	p.vacate(now, i)
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
