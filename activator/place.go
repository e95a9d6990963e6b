package activator

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// place reserves room for what the model lacks, as far as there is any.
func (p *Planner) place(now time.Duration, m *model) {
	for n := p.missing(now, m); n > 0; n-- {
		r, ok := p.roomFor(now, m)
		if !ok {
			if m.short == 0 {
				m.shortFrom = now
			}
			m.short = n
			return
		}
		i := p.reserve(now, m, r, p.why(now, m))
		for _, v := range r.victims {
			p.drain(now, v, "makes room for "+m.ID)
		}
		if !p.blocked(i) && !i.slot.silent() {
			p.launch(now, i)
		}
	}
	m.short = 0
}

// roomFor looks for room with the effort that the model's need is worth. Demand may displace any idle instance at once; a wish only those that
// are worth less than it; and only for a model of which nothing is hot or coming, busy ones are drained after patience.
func (p *Planner) roomFor(now time.Duration, m *model) (room, bool) {
	if r, ok := p.findRoom(now, m, awaitsDraining, p.bid(now, m)); ok {
		return r, true
	}
	if m.waiting == 0 || m.hot()+m.pending() > 0 || now < m.oldest+p.cfg.Patience {
		return room{}, false
	}
	r, ok := p.findRoom(now, m, drainsBusy, anything)
	return r, ok
}

// bid gives what the model may displace, in seconds of one request's waiting.
func (p *Planner) bid(now time.Duration, m *model) float64 {
	if m.waiting > 0 || m.hot()+m.pending() < m.Instances.Min || m.held(now) {
		return anything
	}
	return m.desired.HotValue
}

// why says for people what an activation is for.
func (p *Planner) why(now time.Duration, m *model) string {
	switch {
	case m.waiting == 1:
		return "1 request waiting"
	case m.waiting > 1:
		return fmt.Sprintf("%d requests waiting", m.waiting)
	case m.held(now):
		return "held by the operator"
	case m.Instances.Min > m.desired.Hot:
		return fmt.Sprintf("instances.min is %d", m.Instances.Min)
	default:
		return m.desired.Reason
	}
}

// clearClaims takes from the blocks of reservations what may be taken: idle instances at once, busy ones when the reservation may drain
// and they have been hot long enough.
func (p *Planner) clearClaims(now time.Duration) {
	for _, i := range p.instances {
		if i.launched && !i.waitsForNode() {
			continue
		}
		for _, o := range p.holders(now, i) {
			if o == nil || o.State != fleet.Ready {
				continue
			}
			if p.protected(now, o, nil) {
				continue // an operator has taken hold of it since
			}
			if p.idle(o) || i.drains && now >= o.readyAt+p.cfg.Residence {
				p.drain(now, o, "makes room for "+i.Model)
			}
		}
	}
}

// holders gives who holds what the reservation waits for. One on a node may have been overtaken there by what the back end has placed: after patience
// it, too, drains busy ones.
func (p *Planner) holders(now time.Duration, i *instance) []*instance {
	if !i.slot.counted {
		return i.slot.awake[i.GPU : i.GPU+i.GPUs]
	}
	i.drains = i.drains || i.m.hot() == 0 && i.m.waiting > 0 && now >= i.m.oldest+p.cfg.Patience
	var held []*instance
	losses, ok := p.inTheWay(now, i)
	for _, l := range losses {
		if ok {
			held = append(held, l.instance)
		}
	}
	return held
}

// finishDrains stops the draining instances on which nobody has a lease any more.
func (p *Planner) finishDrains(now time.Duration) {
	for _, i := range p.instances {
		if i.State != fleet.Draining {
			continue
		}
		for n := range i.holds {
			p.give(i, n, 0)
		}
		if p.revoked(i) {
			p.stop(now, i, i.reason)
		}
	}
}

// launchClaims launches the reservations whose block has become free. One that waits for somebody who still serves moves where
// there is room sooner.
func (p *Planner) launchClaims(now time.Duration) {
	for _, i := range p.instances {
		if i.launched || p.closing || i.slot.silent() {
			continue
		}
		if !p.blocked(i) || p.move(now, i) && !p.blocked(i) {
			p.launch(now, i)
		}
	}
}

// silent reports whether the back end of a node cannot be reached: it would refuse a launch, which is no fault of the engine.
func (s *slot) silent() bool { return s.counted && s.source != nil && s.source.lost }

// blocked reports whether somebody holds a GPU of the reservation's block, or comes first.
func (p *Planner) blocked(i *instance) bool {
	if i.slot.counted {
		return !p.unsound.gpuBlind && i.GPUs > 0 && (!i.slot.usable(i.GPUs) || i.slot.left(i) < i.GPUs)
	}
	return !p.unsound.gpuBlind && (i.slot.taken(i.GPU, i.GPUs) || i.slot.claimed(i.GPU, i.GPUs, i))
}

// move takes a reservation to another block, if one is free, or if its own is still served on and another takes only idle instances.
func (p *Planner) move(now time.Duration, i *instance) bool {
	most := isFree
	if p.servedOn(i) {
		most = stopsIdle
	}
	r, ok := p.findRoom(now, i.m, most, p.bid(now, i.m))
	if !ok || r.slot.counted && r.slot == i.slot {
		return false
	}
	i.slot.unclaim(i)
	i.claim(r)
	for _, v := range r.victims {
		p.drain(now, v, "makes room for "+i.Model)
	}
	return true
}

// servedOn reports whether the reservation waits for an instance that is not about to go.
func (p *Planner) servedOn(i *instance) bool {
	if i.slot.counted {
		return p.servedOnNode(i)
	}
	for _, o := range i.slot.awake[i.GPU : i.GPU+i.GPUs] {
		if o != nil && (!o.leaving() || p.hotView(o).Leases > 0) {
			return true
		}
	}
	return i.slot.claimed(i.GPU, i.GPUs, i)
}
