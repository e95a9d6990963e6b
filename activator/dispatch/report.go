package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// Report fills in the next report, using r's slices again. It costs what has changed, unless it must be whole.
func (d *Dispatcher) Report(now time.Duration, r *protocol.Report) {
	r.Partial = d.sent > 0 && d.followed == d.sent
	d.sent++
	d.sentAt, d.changed, d.urgent = now, false, false
	r.From, r.Incarnation, r.Seq, r.Stamp = d.cfg.ID, d.cfg.Incarnation, d.sent, now
	r.AckTerm, r.AckSeq = d.term, d.seq
	d.reportDemands(now, r)
	r.Held = r.Held[:0]
	expired := d.expired(now)
	if r.Partial {
		for _, i := range d.unsettled {
			r.Held = append(r.Held, i.held(now, expired))
		}
	} else {
		for _, i := range d.instances {
			r.Held = append(r.Held, i.held(now, expired))
		}
	}
	for _, i := range d.unsettled {
		i.unsettled = false
	}
	clear(d.unsettled)
	d.unsettled = d.unsettled[:0]
}

// reportDemands lists the models with changes that the planner is not known to have heard of.
func (d *Dispatcher) reportDemands(now time.Duration, r *protocol.Report) {
	r.Demands = r.Demands[:0]
	keep := d.unheard[:0]
	for _, q := range d.unheard {
		if q.unheard = q.changed > d.heard; !q.unheard {
			continue
		}
		keep = append(keep, q)
		r.Demands = append(r.Demands, q.demand(now))
		q.reported = q.waiters()
	}
	d.unheard = keep
}

// markChanged notes that a model's demand has changed.
func (d *Dispatcher) markChanged(q *queue) {
	q.changed = d.sent + 1
	d.changed = true
	if !q.unheard {
		q.unheard = true
		d.unheard = append(d.unheard, q)
	}
}

// markHeld notes that what is held on an instance has changed.
func (d *Dispatcher) markHeld(i *instance) {
	if !i.unsettled {
		i.unsettled = true
		d.unsettled = append(d.unsettled, i)
	}
}
