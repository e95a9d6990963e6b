package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Hold keeps the model hot for d from now. A model that no pool can hold is refused.
func (p *Planner) Hold(now time.Duration, id string, d time.Duration) error {
	m := p.byModel[id]
	if m == nil || m.unlisted {
		return ErrUnknownModel
	}
	if p.never(m) {
		return &Refusal{Err: ErrNoCapacity, Outlook: fleet.Outlook{Answer: fleet.NeverFits, Reason: p.tooSmall(m)}}
	}
	m.heldUntil = now + d
	m.stopped = false
	m.stale = true
	return nil
}

// StopModel ends a hold and takes the model's instances away: starting ones at once, ready ones when they have served.
func (p *Planner) StopModel(now time.Duration, id string) error {
	m := p.byModel[id]
	if m == nil || m.unlisted {
		return ErrUnknownModel
	}
	const why = "stopped by the operator"
	m.heldUntil, m.stopped, m.stale = 0, true, true
	for _, i := range slices.Clone(m.instances) {
		switch {
		case !i.launched:
			p.cancel(now, i, why)
		case i.State == fleet.Ready:
			p.dismiss(now, i, why)
		case i.State == fleet.Draining:
			i.parks = false
		case i.State == fleet.Parking || i.State == fleet.Asleep:
			p.stop(now, i, why)
		case i.State == fleet.Starting || i.State == fleet.Resuming:
			p.endActivation(now, i, why)
			p.abandon(now, i, why)
		}
	}
	return nil
}

// Close ends all starting: from here on nothing is launched, and nothing more is taken away than was already on its way.
func (p *Planner) Close() { p.closing = true }

// Condemn takes away an instance whose engine is up but fails its requests again and again, as a failed start of its model.
func (p *Planner) Condemn(now time.Duration, id string) {
	i := p.byID[id]
	if i == nil || i.State != fleet.Ready {
		return
	}
	i.failure = "its engine keeps failing requests"
	p.dismiss(now, i, i.failure)
	p.countFailure(now, i)
}
