package activator

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ask gives the policy's wish for the model as of now.
func (p *Planner) ask(now time.Duration, m *model) *fleet.Desired {
	if m.unlisted {
		m.desired = fleet.Desired{Model: m.ID, Reason: "the model is no longer in the config"}
		return &m.desired
	}
	m.desired = p.cfg.Policy.Decide(p.at(now), p.look(now, m))
	return &m.desired
}

// look fills in what a policy may see. Waiting requests that slots on their way will take count as in flight; what still runs on an
// instance that drains or has died does not, for it needs no other.
func (p *Planner) look(now time.Duration, m *model) *fleet.ModelView {
	v := &p.view
	*v = fleet.ModelView{Model: m.Model, Waiting: m.waiting, Hot: v.Hot[:0]}
	fresh := p.onTheirWay(m)
	v.Waiting -= fresh
	v.Inflight += fresh
	if m.seen && m.waiting+m.inflight == 0 {
		v.IdleSince = p.at(m.idleSince)
	}
	if m.held(now) {
		v.HeldUntil = p.at(m.heldUntil)
	}
	v.Pending, v.Parked = m.pending(), m.count(fleet.Asleep)
	for _, i := range m.instances {
		if i.State == fleet.Ready {
			v.Hot = append(v.Hot, p.hotView(i))
			v.Inflight += v.Hot[len(v.Hot)-1].Leases
		}
	}
	return v
}

func (p *Planner) hotView(i *instance) fleet.HotView {
	h := fleet.HotView{ID: i.ID, ReadyAt: p.at(i.readyAt)}
	for n := range i.holds {
		h.Leases += i.holds[n].leases
	}
	if h.Leases == 0 {
		h.IdleSince = p.at(i.idleSince())
	}
	return h
}

// onTheirWay gives the number of requests that were waiting when a dispatcher last reported, and for which it has been sent slots
// since. Without it, a model that has just become ready would start a second copy for those whom the first is about to serve.
func (p *Planner) onTheirWay(m *model) int {
	sum := 0
	for n, d := range p.peers {
		slots := 0
		for _, i := range m.instances {
			if h := &i.holds[n]; i.State == fleet.Ready && !h.settled() {
				slots += h.slots()
			}
		}
		sum += min(slots, d.demands[m.index].Waiting)
	}
	return min(sum, m.waiting)
}

// wantedNow gives how many instances should be ready, from the last wish, the operator's words and the demand.
func (p *Planner) wantedNow(now time.Duration, m *model) int {
	n := 0
	if !m.stopped && !m.unlisted {
		n = max(m.desired.Hot, m.Instances.Min)
		if m.held(now) {
			n = max(n, 1)
		}
	}
	if m.waiting > 0 && !m.unlisted || p.unsound.noDemand {
		n = max(n, 1)
	}
	if m.Instances.Max > 0 {
		n = min(n, m.Instances.Max)
	}
	return n
}

// missing gives how many instances must be started. Those that are going away still count against instances.max.
func (p *Planner) missing(now time.Duration, m *model) int {
	n := p.wantedNow(now, m) - m.hot() - m.pending()
	if m.Instances.Max > 0 {
		n = min(n, m.Instances.Max-len(m.instances))
	}
	return max(n, 0)
}

// decide asks the policy where something has changed, lets idle surplus go, and finds room for what is missing: for those who
// have waited longest first, and for wishes without demand last.
func (p *Planner) decide(now time.Duration) {
	for _, m := range p.models {
		if m.stale || m.reviewAt > 0 && now >= m.reviewAt {
			p.review(now, m)
		}
	}
	p.needy = p.needy[:0]
	for _, m := range p.models {
		m.rank = 0
		if p.closing || p.missing(now, m) == 0 {
			m.short = 0
			continue
		}
		if now >= m.retryAt && !p.never(m) {
			p.needy = append(p.needy, m)
		}
	}
	slices.SortStableFunc(p.needy, func(a, b *model) int {
		if (a.waiting > 0) != (b.waiting > 0) {
			return int(b2i(b.waiting > 0) - b2i(a.waiting > 0))
		}
		return int(min(max(a.urgency()-b.urgency(), -1), 1))
	})
	rank := 0
	for _, m := range p.needy {
		p.place(now, m)
		if m.short > 0 {
			rank++
			m.rank = rank
		}
	}
}

func b2i(b bool) int8 {
	if b {
		return 1
	}
	return 0
}

// urgency gives the moment since which the model has waited for room.
func (m *model) urgency() time.Duration {
	if m.waiting > 0 {
		return m.oldest
	}
	return m.shortFrom
}

// review asks the policy, and acts on what it wishes less of.
func (p *Planner) review(now time.Duration, m *model) {
	m.stale = false
	p.ask(now, m)
	m.reviewAt = 0
	if !m.desired.ReviewAt.IsZero() {
		m.reviewAt = max(p.clock(m.desired.ReviewAt), now+1)
	}
	p.rankSpare(m)
	if m.heldUntil > 0 && !m.held(now) {
		m.heldUntil = 0
	}
	if p.closing {
		return
	}
	for n := m.hot() - p.wantedNow(now, m); n > 0; n-- {
		i := p.surplus(m)
		if i == nil {
			m.stale = true // the rest serve; spare ones become idle
			return
		}
		p.drain(now, i, m.desired.Reason)
	}
}

// surplus gives the ready instance that is let go first: the one that has been idle longest; nil = none is idle.
func (p *Planner) surplus(m *model) *instance {
	var best *instance
	for _, i := range m.instances {
		if p.idle(i) && (best == nil || i.idleSince() < best.idleSince()) {
			best = i
		}
	}
	return best
}

// rankSpare makes all ready instances spare beyond those that present demand needs. Requests are then packed on the first ones, and the spare
// ones, which get only what overflows, become idle by themselves. Nothing is drained for it, so a wrong guess costs no one a stream.
func (p *Planner) rankSpare(m *model) {
	n := 0
	for _, i := range m.instances {
		if i.State != fleet.Ready {
			continue
		}
		n++
		if spare := m.desired.Need > 0 && n > max(m.desired.Need, m.Instances.Min); spare != i.spare {
			i.spare = spare
			for _, d := range p.peers {
				d.dirty = true
			}
		}
	}
}

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

// modelAlarms tells when something is due for the model.
func (p *Planner) modelAlarms(m *model, next *alarm) {
	next.due(m.reviewAt)
	next.due(m.heldUntil)
	next.due(m.retryAt)
	if m.waiting > 0 && m.short > 0 {
		next.due(m.oldest + p.cfg.Patience)
	}
}
