package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Receive takes a table, unless it is for another life of this dispatcher, not newer than the last, or partial without what it adds to.
func (d *Dispatcher) Receive(now time.Duration, t *protocol.Table) bool {
	switch {
	case t.To != d.cfg.ID || t.Incarnation != d.cfg.Incarnation:
		return false
	case !protocol.Newer(t.Term, t.Seq, d.term, d.seq):
		return false
	case t.Partial && (t.Term != d.term || t.Seq != d.seq+1 || !d.whole):
		return false
	}
	if t.Term != d.term {
		d.meetPlanner()
	}
	d.term, d.seq, d.heard = t.Term, t.Seq, t.Heard
	d.changed, d.urgent = true, true // the acknowledgement
	if t.Hello {
		return true
	}
	d.whole = true
	d.tables++
	lapsed := d.expired(now)
	d.neverExpires = t.TTL == 0
	d.expiry = t.Stamp + t.TTL
	d.takeShares(now, t)
	d.takeOutlooks(now, t)
	if lapsed {
		d.toAnswer = append(d.toAnswer[:0], d.queues...)
	}
	for _, q := range d.toAnswer {
		q.affected = false
		d.answerByOutlook(now, q)
	}
	d.toAnswer = d.toAnswer[:0]
	return true
}

// meetPlanner begins with a new planner, which knows nothing of what an earlier one had heard.
func (d *Dispatcher) meetPlanner() {
	d.whole, d.followed = false, 0
	for _, q := range d.queues {
		d.markChanged(q)
	}
}

func (d *Dispatcher) takeShares(now time.Duration, t *protocol.Table) {
	for k := range t.Shares {
		d.takeShare(now, &t.Shares[k])
	}
	if t.Partial {
		return
	}
	for k := len(d.instances) - 1; k >= 0; k-- { // backwards: some are forgotten
		if i := d.instances[k]; i.table != d.tables {
			d.revoke(i)
		}
	}
}

func (d *Dispatcher) takeShare(now time.Duration, s *protocol.Share) {
	q, i := d.byModel[s.Model], d.byID[s.Instance]
	if i != nil && i.unproven && !s.Unproven {
		d.proven = append(d.proven, i.id)
	}
	switch {
	case i != nil && s.Slots <= 0:
		i.table, i.unproven = d.tables, s.Unproven
		d.revoke(i)
		return
	case q == nil || s.Slots <= 0:
		return
	case i == nil:
		i = newInstance(s.Instance, q.index, now)
		i.place = len(d.instances)
		d.byID[i.id] = i
		d.instances = append(d.instances, i)
		q.instances = append(q.instances, i)
	}
	i.table = d.tables
	if i.slots != s.Slots {
		i.slots = s.Slots
		d.affect(q)
		d.markHeld(i)
	}
	if i.addr != s.Addr {
		d.affect(q) // it may be leased from now on
	}
	i.addr, i.gpus, i.spare, i.from, i.unproven = s.Addr, s.GPUs, s.Spare, s.From, s.Unproven
	if i.gpus == 0 {
		i.gpus = q.model.GPUs
	}
	i.readyAt = now - s.ReadyFor
	i.began = i.readyAt - s.Took
}

// revoke takes the share of an instance away. Leases live on.
func (d *Dispatcher) revoke(i *instance) {
	if i.slots > 0 {
		i.slots = 0
		d.affect(d.queues[i.queue])
		d.markHeld(i)
	}
	if i.leases == 0 {
		d.forget(i)
	}
}

func (d *Dispatcher) takeOutlooks(now time.Duration, t *protocol.Table) {
	for k := range t.Outlooks {
		if q := d.byModel[t.Outlooks[k].Model]; q != nil {
			d.setOutlook(now, q, &t.Outlooks[k])
		}
	}
	if t.Partial {
		return
	}
	for _, q := range d.queues {
		if q.table != d.tables && (q.outlook.Answer != "" || q.parked) {
			d.setOutlook(now, q, &protocol.Outlook{Outlook: fleet.Outlook{Model: q.model.ID}})
		}
	}
}

func (d *Dispatcher) setOutlook(now time.Duration, q *queue, o *protocol.Outlook) {
	if o.Answer != q.outlook.Answer {
		d.affect(q)
	}
	q.table = d.tables
	q.outlook, q.outlookKnown, q.outlookAt, q.parked = o.Outlook, o.Known, now, o.Parked
}

// affect notes that the table may have an answer for those who wait in the queue.
func (d *Dispatcher) affect(q *queue) {
	if !q.affected {
		q.affected = true
		d.toAnswer = append(d.toAnswer, q)
	}
}
