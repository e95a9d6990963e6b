package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

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
	case i.waitsForNode():
		next.due(max(i.m.lastDemand, i.began) + linger)
	case i.State == fleet.Starting:
		next.due(i.launchedAt + i.m.past(i.from).outlasts(next.now-i.launchedAt))
		if i.m.Timeouts.Start > 0 {
			next.due(i.launchedAt + i.m.Timeouts.Start)
		}
	case i.State == fleet.Ready:
		next.due(i.readyAt + p.cfg.Residence)
	}
	if (!i.launched || i.waitsForNode()) && i.m.waiting > 0 {
		next.due(i.m.oldest + p.cfg.Patience)
	}
	if i.stopDue && !i.acting {
		next.due(i.stopAt)
	}
}

// expire gives up an instance that nobody has called ready in time.
func (p *Planner) expire(now time.Duration, i *instance, why string) {
	if !i.adopted {
		p.fail(now, i, why)
		return
	}
	i.failure = why
	p.drain(now, i, why)
	p.countFailure(now, i.m)
}

// overdue ends starts that take too long, and reservations that nobody needs any more.
func (p *Planner) overdue(now time.Duration) {
	for _, i := range slices.Clone(p.instances) {
		limit := i.m.Timeouts.Start
		switch {
		case !i.launched:
			if p.wantedNow(now, i.m) < i.m.hot()+i.m.pending() && now >= max(i.m.lastDemand, i.began)+linger {
				p.cancel(now, i, "no longer needed")
			} else if p.hopeless(now, i) {
				p.cancel(now, i, "its machine takes no new work")
			}
		case i.waitsForNode():
			if p.wantedNow(now, i.m) < i.m.hot()+i.m.pending() && now >= max(i.m.lastDemand, i.began)+linger {
				p.endActivation(now, i, unplacedUnneeded)
				p.stop(now, i, unplacedUnneeded)
			}
		case i.State == fleet.Starting && limit > 0 && p.audible(i) && now-i.launchedAt >= limit:
			p.expire(now, i, "not ready within "+limit.String())
		}
	}
}
