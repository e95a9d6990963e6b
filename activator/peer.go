package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// peer is one dispatcher as the planner knows it.
type peer struct {
	id              string
	incarnation     uint64
	seq             uint64 // its last report
	stamp           time.Duration
	heardAt         time.Duration
	ackTerm, ackSeq uint64
	demands         []protocol.Demand // by model
	since           []time.Duration   // by model: since when its first waits, or since when it is idle
	known           bool              // its last report answers this planner, so it says what it holds as of this planner's life
	plain           uint64            // the first table for this life that was no Hello; 0 = none yet
	table           uint64            // the last table built for it
	tableAt         time.Duration
	dirty           bool // its table no longer says what is meant
	lapsed          bool // its tables had expired when last looked at
}

// Hear takes a report, unless it is not newer than the last of its sender, or partial and does not follow that one.
func (p *Planner) Hear(now time.Duration, r *protocol.Report) bool {
	n := p.peer(r.From)
	d := p.peers[n]
	if !protocol.Newer(r.Incarnation, r.Seq, d.incarnation, d.seq) && !p.unsound.oldReports {
		return false
	}
	if r.Partial && (r.Incarnation != d.incarnation || r.Seq != d.seq+1) {
		return false // what it adds to was not heard: the next one will be whole
	}
	p.accrue(now)
	if r.Incarnation != d.incarnation {
		p.reborn(now, n)
	}
	d.incarnation, d.seq, d.stamp, d.heardAt = r.Incarnation, r.Seq, r.Stamp, now
	d.ackTerm, d.ackSeq = r.AckTerm, r.AckSeq
	if known := r.AckTerm == p.cfg.Term; known != d.known {
		d.known, d.dirty = known, true
	}
	p.hearHeld(now, n, r)
	for i := range r.Demands {
		p.hearDemand(now, d, &r.Demands[i])
	}
	return true
}

// peer gives the number of a dispatcher, making it known.
func (p *Planner) peer(id string) int {
	n := slices.IndexFunc(p.peers, func(d *peer) bool { return d.id == id })
	if n >= 0 {
		return n
	}
	p.peers = append(p.peers, &peer{
		id: id, demands: make([]protocol.Demand, len(p.models)), since: make([]time.Duration, len(p.models)), dirty: true,
	})
	for _, i := range p.instances {
		i.holds = append(i.holds, hold{})
	}
	return len(p.peers) - 1
}

// reborn forgets what an earlier life of a dispatcher held: it died with its connections.
func (p *Planner) reborn(now time.Duration, n int) {
	d := p.peers[n]
	d.dirty, d.known, d.plain = true, false, 0
	for _, i := range p.instances {
		i.holds[n] = hold{}
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
func (p *Planner) hearHeld(now time.Duration, n int, r *protocol.Report) {
	d := p.peers[n]
	foreign := !d.known || d.plain == 0 || r.AckSeq < d.plain
	for _, i := range p.instances {
		h := &i.holds[n]
		h.before = h.leases
		h.idleAt = max(h.idleAt, i.readyAt)
		if !r.Partial {
			h.leases = 0
		}
		if !r.Partial || !foreign {
			h.foreign = 0
		}
		if d.known {
			h.acknowledge(r.AckSeq)
		}
	}
	for k := range r.Held {
		i := p.byID[r.Held[k].Instance]
		if i == nil {
			continue
		}
		h := &i.holds[n]
		h.leases, h.idleAt = r.Held[k].Leases, now-r.Held[k].Idle
		if foreign {
			h.foreign = r.Held[k].Slots
		}
	}
	for _, i := range p.instances {
		if i.holds[n].leases != i.holds[n].before {
			i.m.stale = true
		}
	}
}

func (p *Planner) hearDemand(now time.Duration, d *peer, dem *protocol.Demand) {
	m := p.byModel[dem.Model]
	if m == nil {
		return
	}
	before := &d.demands[m.index]
	if arrived := dem.Arrivals - before.Arrivals; dem.Arrivals > before.Arrivals {
		m.stopped = false
		p.tell(now, fleet.Event{Kind: fleet.EventArrived, Model: m.ID, N: int(arrived)})
	}
	*before = *dem
	d.since[m.index] = now - dem.Idle
	if dem.Waiting > 0 {
		d.since[m.index] = now - dem.Oldest
	}
	if dem.Service > 0 {
		m.service = dem.Service
	}
	p.sum(now, m)
}

// sum adds up what the dispatchers see of one model.
func (p *Planner) sum(now time.Duration, m *model) {
	m.addWaiting(now)
	before := m.waiting + m.inflight
	busy := before > 0
	idle := m.idleSince
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
			m.seen = true
			idle = max(idle, d.since[m.index])
		}
	}
	m.stale = true
	if m.waiting > 0 {
		m.lastDemand = now
	}
	switch {
	case m.waiting+m.inflight > 0 && !busy:
		p.tell(now, fleet.Event{Kind: fleet.EventBusy, Model: m.ID})
	case m.waiting+m.inflight == 0:
		m.idleSince = idle
		if busy {
			p.tell(idle, fleet.Event{Kind: fleet.EventIdle, Model: m.ID})
		}
	}
	if m.waiting+m.inflight != before {
		p.tell(now, fleet.Event{Kind: fleet.EventDemand, Model: m.ID, N: m.waiting + m.inflight})
	}
}

// heardAnyone reports whether some dispatcher has answered a table of this planner: only such a report tells of every model. Before
// that nothing is known of demand.
func (p *Planner) heardAnyone() bool {
	return slices.ContainsFunc(p.peers, func(d *peer) bool { return d.known })
}

// lapsedAt gives the moment from which a dispatcher leases nothing more unless it is heard again.
func (p *Planner) lapsedAt(d *peer) time.Duration { return d.heardAt + p.cfg.TTL }

func (p *Planner) isLapsed(d *peer, now time.Duration) bool {
	return p.cfg.TTL > 0 && now >= p.lapsedAt(d)
}

func (p *Planner) peerAlarms(d *peer, next *alarm) {
	if p.cfg.TTL > 0 {
		next.due(p.lapsedAt(d))
		next.due(d.tableAt + p.cfg.TTL/4)
	}
	if p.cfg.Resend > 0 && d.ackSeq != d.table {
		next.due(d.tableAt + p.cfg.Resend)
	}
}
