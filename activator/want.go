package activator

import (
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
	v.Pending, v.Parked, v.Spared = m.pending(), m.asleep(), m.spared
	v.LatencyWeight, v.IdleCost = p.pool(m.pool).LatencyWeight, p.idleCost(m)
	for _, i := range m.instances {
		if i.State == fleet.Ready {
			v.Hot = append(v.Hot, p.hotView(i))
			v.Parks = v.Parks || p.parkable(i)
			v.Inflight += v.Hot[len(v.Hot)-1].Leases
		}
	}
	return v
}

// idleCost gives what idle GPU time of the model counts. In a pool the slot is held whether or not its engines are parked; what a dedicated
// instance holds is given back with it.
func (p *Planner) idleCost(m *model) float64 {
	if m.pool == "" {
		return 1
	}
	return p.cfg.IdleCost
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

// missing gives how many instances must be started or resumed. Those that are going away still count against instances.max, parked ones do not.
func (p *Planner) missing(now time.Duration, m *model) int {
	there := m.hot() + m.pending()
	n := p.wantedNow(now, m) - there
	if n > 0 && m.Instances.Max > 0 {
		n = min(n, m.Instances.Max-there-m.going())
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
		if m.impossibleUntil > 0 && now >= m.impossibleUntil {
			m.impossibleUntil = 0
		}
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
			break
		}
		m.spared = fleet.Spared{Idle: now - i.idleSince(), Stays: m.hot() - 1}
		p.drain(now, i, m.desired.Reason)
	}
	p.reviewParked(now, m)
}

// reviewParked stops the parked instances that the policy does not wish kept.
func (p *Planner) reviewParked(now time.Duration, m *model) {
	over := m.asleep() - m.desired.Parked
	if over <= 0 {
		return
	}
	for _, i := range slices.Clone(m.instances) {
		if over > 0 && i.State == fleet.Asleep && !i.claiming && p.visible(i) {
			p.stop(now, i, "not kept parked: "+m.desired.Reason)
			over--
		}
	}
}

// surplus gives the ready instance that is let go first: the one that has been idle longest; nil = none is idle, or not all that would
// speak of it can be heard.
func (p *Planner) surplus(m *model) *instance {
	var best *instance
	for _, i := range m.instances {
		if p.idle(i) && p.heard(i) && (best == nil || i.idleSince() < best.idleSince()) {
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

// modelAlarms tells when something is due for the model.
func (p *Planner) modelAlarms(m *model, next *alarm) {
	next.due(m.reviewAt)
	next.due(m.heldUntil)
	next.due(m.retryAt)
	next.due(m.impossibleUntil)
	if m.waiting > 0 && m.short > 0 {
		next.due(m.oldest + p.cfg.Patience)
		next.due(m.oldest + p.cfg.Patience + p.cfg.Residence)
		next.due(next.now + p.cfg.Patience)
	}
}
