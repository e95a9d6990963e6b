package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// act orders something of the back end. No two acts of one instance are under way at once.
func (p *Planner) act(i *instance, kind fleet.ActKind, why string) {
	p.acted++
	i.acting, i.lastAct = true, p.acted
	act := fleet.Act{
		Kind: kind, Term: p.cfg.Term, Seq: p.acted, Instance: i.ID, Model: i.Model, Pool: i.m.pool,
		Slot: i.Slot, GPU: i.GPU, GPUs: i.GPUs, Why: why,
	}
	if kind == fleet.ActLaunch {
		act.Parked = p.pool(i.m.pool).mayHold()
	}
	p.acts = append(p.acts, act)
}

// order makes an act due, in place of another one that may be.
func (p *Planner) order(now time.Duration, i *instance, kind fleet.ActKind) {
	i.due, i.dueAt, i.tries = kind, now, 0
}

// issue hands over the acts that are due.
func (p *Planner) issue(now time.Duration) {
	for _, i := range p.instances {
		if i.due != "" && !i.acting && now >= i.dueAt {
			p.act(i, i.due, i.reason)
			i.due = ""
		}
	}
}

// Accepted takes a back end's answer to an act.
func (p *Planner) Accepted(now time.Duration, act *fleet.Act, err error) {
	if act.Kind == fleet.ActAddSlot || act.Kind == fleet.ActDropSlot {
		p.slotAccepted(now, act, err)
		return
	}
	i := p.byID[act.Instance]
	if i == nil || act.Term != p.cfg.Term {
		return
	}
	p.accrue(now)
	i.acting = false
	if err != nil {
		p.refused(now, i, act.Kind, err)
		return
	}
	switch act.Kind {
	case fleet.ActLaunch, fleet.ActResume:
		p.advance(now, i, fleet.PhaseSubmitted)
	case fleet.ActStop:
		i.stopped, i.stoppedAt = true, now
	}
}

// refused takes a back end's refusal of an act.
func (p *Planner) refused(now time.Duration, i *instance, kind fleet.ActKind, err error) {
	switch {
	case kind == fleet.ActStop, kind == fleet.ActResume && i.State == fleet.Resuming && i.tries < resumeTries:
		tries := i.tries
		p.order(now, i, kind)
		i.dueAt, i.tries = now+min(time.Second<<min(tries, 5), 30*time.Second), tries+1
	case kind == fleet.ActLaunch && i.State == fleet.Starting:
		p.fail(now, i, "launch refused: "+err.Error())
	case kind == fleet.ActResume && i.State == fleet.Resuming:
		p.fail(now, i, "resume refused: "+err.Error())
	case kind == fleet.ActPark && i.State == fleet.Parking:
		i.canPark = false
		p.stop(now, i, "parking refused: "+err.Error())
	}
}

const resumeTries = 2 // more, of a resume that the back end has refused

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
		GPUSeconds: p.gpuTime(now, i, from).Seconds() * float64(i.GPUs), Waited: p.waitFor(now, i, from),
	})
}

// waitFor gives what requests will wait for a move that begins, as far as they wait already, or have waited for one that has ended.
func (p *Planner) waitFor(now time.Duration, i *instance, from fleet.State) time.Duration {
	switch begins := i.State == fleet.Starting || i.State == fleet.Resuming; {
	case from == i.State:
		return 0
	case begins && !i.adopted:
		return p.takes(i.m, i.from) * time.Duration(i.m.waiting)
	case from != fleet.Starting && from != fleet.Resuming:
		return 0
	case i.activation != nil:
		return i.activation.waited(now)
	default:
		return i.waited
	}
}

// gpuTime gives how long the instance holds its GPUs for a move that begins, or has held them for one that has ended.
func (p *Planner) gpuTime(now time.Duration, i *instance, from fleet.State) time.Duration {
	switch {
	case from == i.State || !i.housed:
		return 0
	case i.State == fleet.Starting && !i.adopted, i.State == fleet.Resuming:
		return p.takes(i.m, i.from)
	case i.State == fleet.Parking:
		return p.takes(i.m, fleet.Hot)
	case i.State == fleet.Stopping:
		return stopTime
	case from == fleet.Starting || from == fleet.Resuming:
		return now - i.launchedAt
	case from == fleet.Parking || from == fleet.Stopping || from == fleet.Failed:
		return now - i.drainedAt
	default:
		return 0
	}
}

// instanceAlarms tells when something is due for the instance.
func (p *Planner) instanceAlarms(i *instance, next *alarm) {
	switch {
	case i.claiming:
		next.due(max(i.m.lastDemand, i.began) + linger)
	case i.waitsForNode():
		next.due(max(i.m.lastDemand, i.began) + linger)
	case i.State == fleet.Starting || i.State == fleet.Resuming:
		next.due(i.launchedAt + i.m.past(i.from).outlasts(next.now-i.launchedAt))
		if i.m.Timeouts.Start > 0 {
			next.due(i.launchedAt + i.m.Timeouts.Start)
		}
	case i.State == fleet.Ready:
		next.due(i.readyAt + p.cfg.Residence)
	case i.State == fleet.Parking && i.m.Timeouts.Start > 0:
		next.due(i.drainedAt + i.m.Timeouts.Start)
	}
	if (i.claiming || i.waitsForNode()) && i.m.waiting > 0 {
		next.due(i.m.oldest + p.cfg.Patience)
	}
	if i.due != "" && !i.acting {
		next.due(i.dueAt)
	}
}

// expire gives up an instance that nobody has called ready in time.
func (p *Planner) expire(now time.Duration, i *instance, why string) {
	if !i.adopted {
		p.fail(now, i, why)
		return
	}
	i.failure = why
	p.dismiss(now, i, why)
	p.countFailure(now, i)
}

// overdue ends moves that take too long, and reservations that nobody needs any more.
func (p *Planner) overdue(now time.Duration) {
	for _, i := range p.everyone() {
		limit := i.m.Timeouts.Start
		switch {
		case i.claiming:
			if p.unneeded(now, i) {
				p.cancel(now, i, "no longer needed")
			} else if p.hopeless(now, i) {
				p.cancel(now, i, "its machine takes no new work")
			}
		case i.waitsForNode():
			if p.unneeded(now, i) {
				p.endActivation(now, i, unplacedUnneeded)
				p.stop(now, i, unplacedUnneeded)
			}
		case limit == 0 || !p.audible(i):
		case i.State == fleet.Starting && now-i.launchedAt >= limit, i.State == fleet.Resuming && now-i.launchedAt >= limit:
			p.expire(now, i, "not ready within "+limit.String())
		case i.State == fleet.Parking && now-i.drainedAt >= limit:
			p.stop(now, i, "not parked within "+limit.String())
		}
	}
}

// unneeded reports whether nobody needs the reservation, and has not for a while.
func (p *Planner) unneeded(now time.Duration, i *instance) bool {
	return p.wantedNow(now, i.m) < i.m.hot()+i.m.pending() && now >= max(i.m.lastDemand, i.began)+linger
}
