package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Hold keeps the model hot for d from now (0 = its idle_after). A model that no place can hold is refused with a *NeverFits.
func (p *Planner) Hold(now time.Duration, id string, d time.Duration) error {
	m := p.modelOf[id]
	if m == nil || m.unlisted {
		return ErrUnknownModel
	}
	if p.neverFits(m) {
		return &NeverFits{Reason: p.tooSmall(m)}
	}
	if d <= 0 {
		d = m.IdleAfter
	}
	m.heldUntil, m.stopped, m.search = now+d, false, true
	p.reconsider(m)
	return nil
}

// StopModel ends a hold and takes the model's instances away: starting ones at once, ready ones when they have served.
func (p *Planner) StopModel(now time.Duration, id string) error {
	m := p.modelOf[id]
	if m == nil || m.unlisted {
		return ErrUnknownModel
	}
	const why = "stopped by the operator"
	m.heldUntil, m.stopped = 0, true
	p.reconsider(m)
	for _, i := range slices.Clone(m.instances) {
		switch {
		case !i.exists():
			p.life.cancel(now, i, why)
		case i.State == fleet.Ready:
			p.life.dismiss(now, i, why)
		case i.State == fleet.Draining:
			i.next = fleet.Stopping
		case i.State == fleet.Parking || i.State == fleet.Asleep:
			p.life.stop(now, i, why)
		case i.activates():
			p.life.abandon(now, i, why)
		}
	}
	return nil
}

// Close ends all starting: from here on nothing is launched, and nothing more is taken away than was already on its way.
func (p *Planner) Close() { p.closing = true }

// Suspend keeps the planner from deciding and ordering anything until Resume. why is told to those who wait, without addresses.
func (p *Planner) Suspend(why string) {
	p.paused = why
	p.markEverything()
}

// Resume ends a Suspend. What is due is done in the next step.
func (p *Planner) Resume() {
	p.paused = ""
	for _, d := range p.peers {
		d.tell = true
	}
	for _, i := range p.instances {
		p.markShares(i)
	}
	p.markEverything()
}

// Fenced reports whether a back end has refused an act because a newer server has taken over: nothing more is ordered.
func (p *Planner) Fenced() bool { return p.fenced }

// Condemn takes away an instance whose engine is up but fails our own requests again and again.
func (p *Planner) Condemn(now time.Duration, id string) {
	if i := p.instanceOf[id]; i != nil && i.State == fleet.Ready {
		p.life.markUnhealthy(now, i, fleet.CauseEngine, "its engine keeps failing our own requests")
	}
}

// Tune replaces the limits of a pool. Parked instances that are over a new one are stopped, the cheapest to lose first; nobody awake is moved.
func (p *Planner) Tune(now time.Duration, name string, limits fleet.Pool) error {
	q := p.poolOf[name]
	if q == nil || name == dedicatedPool {
		return ErrUnknownPool
	}
	limits.Name = name
	q.Pool = limits
	p.unshown.pools = true
	for _, m := range q.models {
		m.search = true
		p.reconsider(m)
	}
	p.markPool(q)
	for _, s := range q.slots {
		p.free(s)
	}
	p.parking.trim(now, q)
	return nil
}

// Configure replaces the models and pools of the config. A model whose engines would now be launched otherwise has its instances drained and replaced; one
// that is no longer there keeps serving those who wait for it, and then goes. It refuses a model without an ID of its own, and changes nothing then.
func (p *Planner) Configure(now time.Duration, models []*fleet.Model, pools []fleet.Pool) error {
	listed := make(map[string]bool)
	for _, fm := range models {
		if fm.ID == "" || listed[fm.ID] {
			return fmt.Errorf("model %q has no ID of its own", fm.ID)
		}
		listed[fm.ID] = true
	}
	p.configurePools(pools)
	for _, fm := range models {
		m := p.modelOf[fm.ID]
		if m == nil {
			p.addModel(fm)
			continue
		}
		before := m.Model
		back := m.unlisted
		m.unlisted = false
		p.configure(m, fm)
		for _, i := range m.instances {
			i.outdated = i.outdated || back || !before.LaunchesLike(fm)
			p.markShares(i)
		}
		if back || !before.LaunchesLike(fm) {
			m.failures, m.deaths, m.retryAt, m.suspect, m.impossibleUntil = 0, 0, 0, "", 0 // what failed was another engine
		}
	}
	for _, m := range p.models {
		if !listed[m.ID] && !m.unlisted {
			m.unlisted = true
			p.reconsider(m)
		}
	}
	for _, q := range p.pools {
		p.parking.trim(now, q)
	}
	p.markEverything()
	return nil
}

// configurePools replaces the pools. One that is no longer there gets no more slots, and gives back those that it has once nothing runs in them.
func (p *Planner) configurePools(pools []fleet.Pool) {
	listed := make(map[string]bool)
	p.unshown.pools = true
	for _, q := range pools {
		listed[q.Name] = true
		p.pool(q.Name).Pool = q
	}
	for _, q := range p.pools {
		if !listed[q.Name] && q.Slots.Max > 0 {
			q.GPUsPerSlot, q.Slots.Min, q.SlotIdle = 0, 0, emptySlotIdle
		}
	}
}

// emptySlotIdle is the slot_idle of a pool that is no longer in the config.
const emptySlotIdle = time.Second
