package activator

import (
	"slices"
	"time"
)

// Receive takes a table, unless it is for another life of this dispatcher or not newer than the last.
func (d *Dispatcher) Receive(now time.Duration, t *Table) bool {
	if t.To != d.cfg.ID || t.Incarnation != d.cfg.Incarnation {
		return false
	}
	if !newer(t.Term, t.Seq, d.term, d.seq) && !d.unsound.oldTables {
		return false
	}
	if t.Term != d.term {
		for _, q := range d.order { // a new planner knows nothing of what an earlier one had heard
			d.touch(q)
		}
	}
	d.term, d.seq, d.heard = t.Term, t.Seq, t.Heard
	d.changed, d.urgent = true, true // the acknowledgement
	if t.Hello {
		return true
	}
	d.forever = t.TTL == 0
	d.expiry = t.Stamp + t.TTL
	d.takeShares(now, t)
	d.takeOutlooks(now, t)
	for _, q := range d.order {
		d.settle(now, q)
	}
	return true
}

// newer orders versions.
func newer(term, seq, thanTerm, thanSeq uint64) bool {
	return term > thanTerm || term == thanTerm && seq > thanSeq
}

func (d *Dispatcher) takeShares(now time.Duration, t *Table) {
	mark := t.Seq
	for _, s := range d.listed {
		s.table = mark - 1
	}
	for i := range t.Shares {
		d.takeShare(now, &t.Shares[i], mark)
	}
	for _, s := range slices.Clone(d.listed) {
		if s.table == mark {
			continue
		}
		s.slots = 0
		if s.leases == 0 {
			d.drop(s)
		}
	}
}

func (d *Dispatcher) takeShare(now time.Duration, sh *Share, mark uint64) {
	q := d.queues[sh.Model]
	if q == nil || sh.Slots <= 0 {
		return
	}
	s := d.seats[sh.Instance]
	if s == nil {
		s = &seat{id: sh.Instance, queue: q, hash: fnv(sh.Instance), idleSince: now}
		d.seats[s.id] = s
		d.listed = append(d.listed, s)
		q.seats = append(q.seats, s)
	}
	s.table = mark
	s.addr, s.slots, s.spare, s.from = sh.Addr, sh.Slots, sh.Spare, sh.From
	s.readyAt = now - sh.ReadyFor
	s.began = s.readyAt - sh.Took
}

func (d *Dispatcher) takeOutlooks(now time.Duration, t *Table) {
	for _, q := range d.order {
		q.outlook.Model, q.outlook.Answer, q.outlook.Phase, q.outlook.ETA, q.outlook.Reason = q.model.ID, "", "", 0, ""
		q.known, q.outlookAt = false, now
	}
	for i := range t.Outlooks {
		if q := d.queues[t.Outlooks[i].Model]; q != nil {
			q.outlook, q.known = t.Outlooks[i].Outlook, t.Outlooks[i].Known
		}
	}
}

// drop forgets a seat without share and leases.
func (d *Dispatcher) drop(s *seat) {
	delete(d.seats, s.id)
	is := func(t *seat) bool { return t == s }
	d.listed = slices.DeleteFunc(d.listed, is)
	s.queue.seats = slices.DeleteFunc(s.queue.seats, is)
}

// Report fills in the next report, using r's slices again.
func (d *Dispatcher) Report(now time.Duration, r *Report) {
	d.sent++
	d.sentAt, d.changed, d.urgent = now, false, false
	r.From, r.Incarnation, r.Seq, r.Stamp = d.cfg.ID, d.cfg.Incarnation, d.sent, now
	r.AckTerm, r.AckSeq = d.term, d.seq
	r.Demands, r.Held = r.Demands[:0], r.Held[:0]
	for _, q := range d.order {
		if q.changed > d.heard {
			r.Demands = append(r.Demands, q.demand(now))
		}
		q.told = q.waiters()
	}
	for _, s := range d.listed {
		h := Held{Instance: s.id, Slots: s.slots, Leases: s.leases}
		if s.leases == 0 {
			h.Idle = now - s.idleSince
		}
		r.Held = append(r.Held, h)
	}
}

// Heard notes that the planner has heard reports up to seq, where both live in one process; else tables say so.
func (d *Dispatcher) Heard(seq uint64) { d.heard = max(d.heard, seq) }

func (q *queue) demand(now time.Duration) Demand {
	m := Demand{
		Model: q.model.ID, Waiting: q.waiters(), Inflight: q.inflight,
		Arrivals: q.arrivals, Finished: q.finished, Service: q.service,
	}
	if since, ok := q.oldest(); ok {
		m.Oldest = now - since
	}
	if m.Waiting+m.Inflight == 0 {
		m.Idle = now - q.idleSince
	}
	return m
}
