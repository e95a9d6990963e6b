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
			ID: p.prefix + formatID(p.made), Model: m.ID, Slot: r.slot.ID, GPU: r.gpu, GPUs: m.GPUs, State: fleet.Starting,
		},
		m: m, slot: r.slot, from: fleet.Cold, phase: fleet.PhaseQueued, reason: reason, began: now, drains: r.needs == drainsBusy,
		holds: make([]hold, len(p.peers)),
	}
	p.enroll(i)
	r.slot.claims = append(r.slot.claims, i)
	p.activate(now, i)
	return i
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

// act orders something of the back end. No two acts of one instance are under way at once.
func (p *Planner) act(i *instance, kind fleet.ActKind, why string) {
	p.acted++
	i.acting = true
	p.acts = append(p.acts, fleet.Act{
		Kind: kind, Term: p.cfg.Term, Seq: p.acted, Instance: i.ID, Model: i.Model, Pool: i.m.pool,
		Slot: i.Slot, GPU: i.GPU, GPUs: i.GPUs, Why: why,
	})
}

// issueStops orders the stops that are due.
func (p *Planner) issueStops(now time.Duration) {
	for _, i := range p.instances {
		if i.stopDue && !i.acting && now >= i.stopAt {
			i.stopDue = false
			p.act(i, fleet.ActStop, i.reason)
		}
	}
}

// Accepted takes a back end's answer to an act.
func (p *Planner) Accepted(now time.Duration, act *fleet.Act, err error) {
	i := p.byID[act.Instance]
	if i == nil || act.Term != p.cfg.Term {
		return
	}
	p.accrue(now)
	i.acting = false
	switch {
	case act.Kind == fleet.ActLaunch && err != nil:
		if i.State == fleet.Starting {
			p.fail(now, i, "launch refused: "+err.Error())
		}
	case act.Kind == fleet.ActLaunch:
		p.advance(now, i, fleet.PhaseSubmitted)
	case act.Kind == fleet.ActStop && err != nil:
		i.stopDue, i.stopAt = true, now+min(time.Second<<min(i.stopTries, 5), 30*time.Second)
		i.stopTries++
	case act.Kind == fleet.ActStop:
		i.stopped, i.stoppedAt = true, now
	}
}

// Unsure reports whether some instance was stopped before its launch was ever seen: only a complete list that is asked for from now on says that
// it is not there.
func (p *Planner) Unsure() bool { return slices.ContainsFunc(p.instances, (*instance).unseen) }

// tell lets the policy learn.
func (p *Planner) tell(now time.Duration, e fleet.Event) {
	e.At = p.at(now)
	p.cfg.Policy.Observe(e)
}

// note records a transition from a state to the present one.
func (p *Planner) note(now time.Duration, i *instance, from fleet.State, why string) {
	p.notices = append(p.notices, fleet.Notice{
		At: p.at(now), Model: i.Model, Instance: i.ID, From: from, To: i.State, Reason: why,
	})
}

// instanceAlarms tells when something is due for the instance.
func (p *Planner) instanceAlarms(i *instance, next *alarm) {
	switch {
	case !i.launched:
		next.due(max(i.m.lastDemand, i.began) + linger)
	case i.State == fleet.Starting:
		next.due(i.launchedAt + i.m.past(i.from).outlasts(next.now-i.launchedAt))
		if i.m.Timeouts.Start > 0 {
			next.due(i.launchedAt + i.m.Timeouts.Start)
		}
	case i.State == fleet.Ready:
		next.due(i.readyAt + p.cfg.Residence)
	}
	if i.stopDue && !i.acting {
		next.due(i.stopAt)
	}
}

// overdue ends starts that take too long, and reservations that nobody needs any more.
func (p *Planner) overdue(now time.Duration) {
	for _, i := range slices.Clone(p.instances) {
		limit := i.m.Timeouts.Start
		switch {
		case !i.launched:
			if p.wantedNow(now, i.m) < i.m.hot()+i.m.pending() && now >= max(i.m.lastDemand, i.began)+linger {
				p.cancel(now, i, "no longer needed")
			}
		case i.State == fleet.Starting && limit > 0 && now-i.launchedAt >= limit:
			p.fail(now, i, "not ready within "+limit.String())
		}
	}
}
