package activator

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// place reserves room for what the model lacks, as far as there is any, and has the pool grow where demand has none.
func (p *Planner) place(now time.Duration, m *model) {
	for n := p.missing(now, m); n > 0; n-- {
		r, ok := p.roomFor(now, m)
		if !ok || r.needs == drainsBusy {
			p.grow(now, m)
		}
		if !ok {
			if m.short == 0 {
				m.shortFrom = now
			}
			m.short = n
			return
		}
		i := p.reserve(now, m, r, p.why(now, m))
		if r.hold == 0 {
			p.oust(now, &r, m)
		}
		if !p.blocked(now, i) && !i.slot.silent() {
			p.launch(now, i)
		}
	}
	m.short = 0
}

// oust drains the idle instances whose room it was.
func (p *Planner) oust(now time.Duration, r *room, m *model) {
	for _, v := range r.victims {
		p.drain(now, v, "makes room for "+m.ID)
	}
}

// roomFor looks for room with the effort that the model's need is worth. Demand may displace any idle instance at once; a wish only those that
// are worth less than it; and where requests wait, busy ones are drained after patience, once they have had their residence. Until then
// the model rather waits for them than taking a room that would cost more.
func (p *Planner) roomFor(now time.Duration, m *model) (room, bool) {
	if m.dedicated() {
		return p.nodeFor(now, m)
	}
	if m.waiting == 0 {
		return p.findRoom(now, m, awaitsDraining, p.bid(now, m))
	}
	r, ok := p.findRoom(now, m, drainsBusy, anything)
	return r, ok && (r.needs < drainsBusy || p.mayDrain(now, m, &r))
}

// mayDrain reports whether the model has waited long enough to have the room's busy instances drained: for patience, and until its requests have waited for
// as long together as draining costs those who use them. Those need not all have had their
// residence when it has waited so long that they may never have it at the same time: the room is then kept for it while they get theirs.
func (p *Planner) mayDrain(now time.Duration, m *model, r *room) bool {
	waited := now - m.oldest
	earned := float64(m.waiting)*waited.Seconds() >= r.loss
	return waited >= p.cfg.Patience && earned && r.hold == 0 || waited >= p.cfg.Patience+p.cfg.Residence
}

// nodeFor looks for room on a node, where busy ones are drained only for a model of which nothing is hot or coming.
func (p *Planner) nodeFor(now time.Duration, m *model) (room, bool) {
	if r, ok := p.findRoom(now, m, awaitsDraining, p.bid(now, m)); ok {
		return r, true
	}
	if m.waiting == 0 || m.hot()+m.pending() > 0 || now < m.oldest+p.cfg.Patience {
		return room{}, false
	}
	return p.findRoom(now, m, drainsBusy, anything)
}

// bid gives what the model may displace, in seconds of one request's waiting.
func (p *Planner) bid(now time.Duration, m *model) float64 {
	if p.demanded(now, m) {
		return anything
	}
	return m.desired.HotValue
}

// demanded reports whether one more instance is needed for requests, or by the operator's word; else it is a mere wish.
func (p *Planner) demanded(now time.Duration, m *model) bool {
	there := m.hot() + m.pending()
	return m.waiting > 0 || m.inflight > 0 && there < m.desired.Need || there < m.Instances.Min || m.held(now)
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
// and all of them there have been hot long enough: until then nobody is moved, for the block would stand empty.
func (p *Planner) clearClaims(now time.Duration) {
	for _, i := range p.instances {
		if !i.claiming && !i.waitsForNode() {
			continue
		}
		holders := p.holders(now, i)
		if i.drains && !i.slot.counted && slices.ContainsFunc(holders, func(o *instance) bool { return p.resides(now, o) }) {
			continue
		}
		for _, o := range holders {
			if o == nil || o.State != fleet.Ready || p.protected(now, o, nil) {
				continue // an operator may have taken hold of it since
			}
			if p.idle(o) || i.drains && now >= o.readyAt+p.cfg.Residence {
				p.drain(now, o, "makes room for "+i.Model)
			}
		}
	}
}

// resides reports whether the instance cannot be drained yet: it becomes ready, or is busy and has not had its residence.
func (p *Planner) resides(now time.Duration, o *instance) bool {
	switch {
	case o == nil || o.leaving() || o.State == fleet.Asleep:
		return false
	case o.State == fleet.Ready:
		return !p.idle(o) && now < o.readyAt+p.cfg.Residence
	default:
		return true
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

// launchClaims launches the reservations whose block has become free. One that waits for somebody who still serves moves where
// there is room sooner.
func (p *Planner) launchClaims(now time.Duration) {
	for _, i := range p.everyone() {
		if !i.claiming || p.closing || i.slot.silent() {
			continue
		}
		blocked := p.blocked(now, i)
		if to := p.move(now, i, blocked); to != nil {
			i, blocked = to, p.blocked(now, to)
		}
		if !blocked {
			p.launch(now, i)
		}
	}
}

// silent reports whether the back end of a node cannot be reached: it would refuse a launch, which is no fault of the engine.
func (s *slot) silent() bool { return s.counted && s.source != nil && s.source.lost }

// blocked reports whether somebody holds a GPU of the reservation's block, or comes first, or too many are parked there.
func (p *Planner) blocked(now time.Duration, i *instance) bool {
	if i.slot.counted {
		return !p.unsound.gpuBlind && i.GPUs > 0 && (!i.slot.usable(i.GPUs) || i.slot.left(i) < i.GPUs)
	}
	if i.slot.Pending || !i.slot.open() || i.launched && i.State != fleet.Asleep || i.due != "" {
		return true
	}
	blind := p.unsound.gpuBlind || p.unsound.wakesEarly && i.launched
	return !blind && (i.slot.taken(i.GPU, i.GPUs) || i.slot.claimed(i.GPU, i.GPUs, i)) || !p.makeWay(now, i)
}

// move takes a reservation to another room, if one is free, or if its own is still served on and another costs less; one for a new
// instance also where one can be resumed sooner. It gives the instance that has it then; nil = it stays.
func (p *Planner) move(now time.Duration, i *instance, blocked bool) *instance {
	served := blocked && p.servedOn(i)
	if !served && (i.launched || !blocked && !i.m.anyResumable()) {
		return nil
	}
	most := isFree
	if served {
		most = stopsIdle
	}
	r, ok := p.findRoom(now, i.m, most, p.bid(now, i.m))
	if !ok || r.slot.counted && r.slot == i.slot {
		return nil
	}
	if (i.launched || !blocked) && r.cost >= p.costHere(now, i) {
		return nil
	}
	moved := p.transfer(now, i, r)
	p.oust(now, &r, i.m)
	return moved
}

// costHere estimates what it costs to go on waiting for the reserved block.
func (p *Planner) costHere(now time.Duration, i *instance) float64 {
	wait := time.Duration(0)
	for _, o := range i.slot.awake[i.GPU : i.GPU+i.GPUs] {
		if o != nil {
			_, w, hold := p.effortFor(now, o)
			wait = max(wait, w+hold)
		}
	}
	if i.slot.claimed(i.GPU, i.GPUs, i) {
		wait += p.cfg.Residence
	}
	return (wait + p.takes(i.m, i.from)).Seconds() * float64(max(i.m.waiting, 1))
}

// transfer gives the instance's reservation, with its activation, another room: to itself, or to another instance where one of the two is
// parked.
func (p *Planner) transfer(now time.Duration, i *instance, r room) *instance {
	i.unclaim()
	if !i.launched && r.resumes == nil {
		i.claim(r)
		return i
	}
	to := r.resumes
	if to == nil {
		to = p.conceive(i.m)
	}
	to.phase, to.reason, to.began = i.phase, i.reason, i.began
	to.claim(r)
	if to.activation, i.activation = i.activation, nil; to.activation != nil {
		to.activation.Instance, to.activation.From = to.ID, to.from
	}
	if !i.launched {
		p.remove(i)
	}
	return to
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
