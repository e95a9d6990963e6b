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
		if !r.slot.taken(i.GPU, i.GPUs) && !r.slot.claimed(i.GPU, i.GPUs, i) {
			p.launch(now, i)
		}
	}
	m.short = 0
}

// roomFor looks for room with the effort that the model's need is worth. Demand may displace any idle instance at once; a wish only those that
// are worth less than it; and only for a model of which nothing is hot or coming, busy ones are drained after patience.
func (p *Planner) roomFor(now time.Duration, m *model) (room, bool) {
	bid := m.desired.HotValue
	if m.waiting > 0 || m.hot()+m.pending() < m.Instances.Min || m.held(now) {
		bid = anything
	}
	if r, ok := p.findRoom(now, m, stopsIdle, bid); ok {
		return r, true
	}
	if m.waiting == 0 || m.hot()+m.pending() > 0 || now < m.oldest+p.cfg.Patience {
		return room{}, false
	}
	r, ok := p.findRoom(now, m, drainsBusy, anything)
	return withDrain(r), ok
}

func withDrain(r room) room {
	r.needs = drainsBusy
	return r
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
		if i.launched {
			continue
		}
		for _, o := range i.slot.awake[i.GPU : i.GPU+i.GPUs] {
			if o == nil || o.State != fleet.Ready {
				continue
			}
			if p.idle(o) || i.drains && now >= o.readyAt+p.cfg.Residence {
				p.drain(now, o, "makes room for "+i.Model)
			}
		}
	}
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

// launchClaims launches the reservations whose block has become free, or for which another has.
func (p *Planner) launchClaims(now time.Duration) {
	for _, i := range p.instances {
		if i.launched || p.closing {
			continue
		}
		if i.slot.taken(i.GPU, i.GPUs) || i.slot.claimed(i.GPU, i.GPUs, i) {
			r, ok := p.findRoom(now, i.m, isFree, anything)
			if !ok {
				continue
			}
			i.slot.unclaim(i)
			i.slot, i.Slot, i.GPU = r.slot, r.slot.ID, r.gpu
		}
		p.launch(now, i)
	}
}
