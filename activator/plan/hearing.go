package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// hearing takes what the dispatchers report.
type hearing struct{ *state }

// hear takes a report, unless it is not newer than the last of its sender, or partial and does not follow that one.
func (p *hearing) hear(now time.Duration, r *protocol.Report) bool {
	n := p.peerOf(r.From)
	d := p.peers[n]
	if !protocol.Newer(r.Incarnation, r.Seq, d.incarnation, d.seq) {
		return false
	}
	if r.Partial && (r.Incarnation != d.incarnation || r.Seq != d.seq+1) {
		return false // what it adds to was not heard: the next one will be whole
	}
	if r.Incarnation != d.incarnation {
		p.reborn(now, n)
	}
	d.incarnation, d.seq, d.heardAt = r.Incarnation, r.Seq, now
	if r.AckTerm != d.ackTerm || r.AckSeq != d.ackSeq {
		d.ackTerm, d.ackSeq, d.unackedAt = r.AckTerm, r.AckSeq, now
	}
	met := p.meet(n, r)
	if p.paused == "" {
		d.pledged = r.Stamp
	}
	d.left = r.Farewell
	p.hearHeld(now, n, r)
	if met && d.foreign {
		for _, i := range p.instances {
			i.confirm(n) // also what a partial report does not say again
		}
	}
	for i := range r.Demands {
		p.hearDemand(now, d, &r.Demands[i])
	}
	if p.succession.hear(d) {
		for _, i := range p.instances {
			p.changed(i)
		}
	}
	return true
}

// meet notes whether a report answers this planner, and reports whether it is the first that does.
func (p *hearing) meet(n int, r *protocol.Report) bool {
	d, known := p.peers[n], r.AckTerm == p.cfg.Term
	if known == d.known {
		return false
	}
	d.known, d.whole, d.tell = known, true, true
	p.markEverything()
	for _, i := range p.instances {
		if known && !r.Partial {
			i.holds[n].foreign = 0 // as was said before; now it is said anew
		}
		p.markShares(i)
	}
	return known
}

// peerOf gives the number of a dispatcher, making it known.
func (p *hearing) peerOf(id string) int {
	n := slices.IndexFunc(p.peers, func(d *peer) bool { return d.id == id })
	if n >= 0 {
		return n
	}
	d := &peer{
		id: id, ttl: p.cfg.TTL, resend: p.cfg.Resend, demands: make([]protocol.Demand, len(p.models)), since: make([]time.Duration, len(p.models)), whole: true, tell: true,
		unfound: make(map[string]protocol.Held),
	}
	if d.near = id == p.cfg.Self; d.near {
		d.resend = 0
	}
	d.timer = newTimer(func() {})
	p.peers = append(p.peers, d)
	for _, i := range p.instances {
		i.holds = append(i.holds, hold{})
		p.markShares(i)
		p.easier(i.at)
	}
	return len(p.peers) - 1
}

// reborn forgets what an earlier life of a dispatcher held: it died with its connections.
func (p *hearing) reborn(now time.Duration, n int) {
	d := p.peers[n]
	d.whole, d.tell, d.known, d.left, d.plain, d.pledged = true, true, false, false, 0, 0
	d.unsettled = d.unsettled[:0]
	clear(d.unfound)
	for _, i := range p.instances {
		i.holds[n] = hold{claimed: i.holds[n].claimed}
		p.changed(i)
	}
	for _, m := range p.models {
		if d.demands[m.index] = (protocol.Demand{}); m.waiting+m.inflight > 0 {
			m.idleSince = now
			p.sum(now, m)
		}
	}
}

// hearHeld takes what the dispatcher holds, and what it has acknowledged. Slots count as foreign, given by an earlier planner, until
// the first table of this one that says anything is acknowledged.
func (p *hearing) hearHeld(now time.Duration, n int, r *protocol.Report) {
	d := p.peers[n]
	foreign := !d.known || d.plain == 0 || r.AckSeq < d.plain
	if d.foreign && !foreign && r.Partial {
		p.own(n)
	}
	d.foreign = foreign
	if d.known {
		d.unsettled = slices.DeleteFunc(d.unsettled, func(i *instance) bool {
			h := &i.holds[n]
			h.acknowledge(r.AckSeq)
			p.changed(i)
			return h.settled()
		})
	}
	if !r.Partial {
		clear(d.unfound)
	}
	for k := range r.Held {
		if i := p.instanceOf[r.Held[k].Instance]; i != nil {
			p.takeHeld(now, i, n, &r.Held[k])
			i.holds[n].report = r.Seq
		} else {
			d.keepUnfound(&r.Held[k])
		}
	}
	if r.Partial {
		return
	}
	for _, i := range p.instances {
		if h := &i.holds[n]; h.report != r.Seq {
			p.takeHeld(now, i, n, &protocol.Held{Idle: max(now-max(h.idleAt, i.readyAt), 0)})
		}
	}
}

// own takes what a dispatcher holds for what this planner has given it: it has acknowledged that.
func (p *hearing) own(n int) {
	for _, i := range p.instances {
		if h := &i.holds[n]; h.foreign > 0 {
			h.foreign = 0
			p.changed(i)
		}
	}
}

func (p *hearing) hearDemand(now time.Duration, d *peer, dem *protocol.Demand) {
	m := p.modelOf[dem.Model]
	if m == nil {
		return
	}
	before := &d.demands[m.index]
	if arrived := dem.Arrivals - before.Arrivals; dem.Arrivals > before.Arrivals {
		m.stopped = false
		p.tell(now, fleet.Event{Kind: fleet.EventArrived, Model: m.ID, N: int(arrived)})
	}
	starved := dem.Waiting > 0 != (before.Waiting > 0)
	*before = *dem
	d.since[m.index] = now - dem.Idle
	if dem.Waiting > 0 {
		d.since[m.index] = now - dem.Oldest
	}
	if dem.Service > 0 {
		m.service = dem.Service
	}
	p.sum(now, m)
	if starved || m.waiting > 0 && len(p.peers) > 1 {
		for _, i := range m.instances {
			p.markShares(i)
		}
	}
}

// sum adds up what the dispatchers see of one model.
func (p *hearing) sum(now time.Duration, m *model) {
	m.addWaiting(now)
	waiting, before, idle := m.waiting, m.waiting+m.inflight, m.idleSince
	if m.waiting > 0 {
		m.lastDemand = now
	}
	m.waiting, m.inflight = 0, 0
	for _, d := range p.peers {
		dem := &d.demands[m.index]
		m.inflight += dem.Inflight
		if dem.Waiting > 0 && !d.lapsed { // one that lapsed could lease nothing to them
			if m.waiting == 0 || d.since[m.index] < m.oldest {
				m.oldest = d.since[m.index]
			}
			m.waiting += dem.Waiting
		}
		if dem.Arrivals > 0 {
			m.asked = true
			idle = max(idle, d.since[m.index])
		}
	}
	p.reconsider(m)
	if m.waiting > 0 {
		m.lastDemand = now
	}
	if (m.waiting > 0) != (waiting > 0) {
		m.search = true
		for _, i := range m.instances {
			p.free(i.at) // whoever waits for its GPUs may have them, or no longer
		}
	}
	switch {
	case m.waiting+m.inflight > 0 && before == 0:
		p.tell(now, fleet.Event{Kind: fleet.EventBusy, Model: m.ID})
	case m.waiting+m.inflight == 0:
		m.idleSince = idle
		if before > 0 {
			p.tell(idle, fleet.Event{Kind: fleet.EventIdle, Model: m.ID})
		}
	}
	if m.waiting+m.inflight != before {
		p.tell(now, fleet.Event{Kind: fleet.EventDemand, Model: m.ID, N: m.waiting + m.inflight})
	}
}

// anyone reports whether some dispatcher has answered a table of this planner: only such a report tells of every model. Before
// that nothing is known of demand.
func (p *hearing) anyone() bool {
	return slices.ContainsFunc(p.peers, func(d *peer) bool { return d.known })
}

// lapse notes which dispatchers have not been heard for too long, and whose demand therefore no longer asks for GPUs.
func (p *hearing) lapse(now time.Duration) {
	for _, d := range p.peers {
		if lapsed := d.ttl > 0 && !d.near && now >= d.lapsedAt(); lapsed != d.lapsed {
			d.lapsed = lapsed
			for _, m := range p.models {
				p.sum(now, m)
			}
			for _, i := range p.instances {
				p.markShares(i)
				p.free(i.at)
				p.doubt(i)
			}
		}
	}
}
