package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// answerByOutlook grants what can be granted, and refuses those who wait for what will not come.
func (d *Dispatcher) answerByOutlook(now time.Duration, q *queue) {
	d.grantWaiting(now, q)
	if q.hot() || q.waiters() == 0 {
		return
	}
	if err := q.outlookError(); err != nil {
		for w := q.first(); w != nil; w = q.first() {
			d.refuse(now, w, err)
		}
		return
	}
	if q.onlyHot > 0 {
		q.forEach(func(w *Waiter) {
			if w.ask.OnlyHot {
				d.refuse(now, w, ErrNotHot)
			}
		})
	}
}

// grantWaiting grants leases to those who wait while instances have room: retries first, then the orgs in turn.
func (d *Dispatcher) grantWaiting(now time.Duration, q *queue) {
	for w := q.retries.head; w != nil; {
		next := w.next // a retry that avoids the only instance with room holds up nobody
		d.tryGrant(now, q, w)
		w = next
	}
	for q.turn != nil && d.tryGrant(now, q, q.turn.head) {
	}
}

// tryGrant grants the waiter a lease if there is one for it.
func (d *Dispatcher) tryGrant(now time.Duration, q *queue, w *Waiter) bool {
	i := d.chooseInstance(now, q, &w.ask, w.avoidUntil)
	if i == nil {
		return false
	}
	w.done, w.granted = true, true
	d.grant(now, i, w.since, w.lease)
	d.remove(now, w)
	d.answered = append(d.answered, w)
	return true
}

// grant takes a slot of the instance for one who has waited since then.
func (d *Dispatcher) grant(now time.Duration, i *instance, since time.Duration, l *Lease) {
	q := d.queues[i.queue]
	i.leases++
	q.inflight++
	d.markChanged(q)
	d.markHeld(i)
	l.Instance, l.Addr, l.Model, l.GPUs, l.Start = i.id, i.addr, q.model, i.gpus, fleet.Hot
	l.on, l.at, l.released, l.Unproven = i, now, false, i.unproven
	l.Queued, l.Activating = now-since, 0
	if since < i.readyAt {
		l.Start = i.from
		l.Activating = min(now, i.readyAt) - max(since, i.began)
		l.Queued -= l.Activating
	}
}

// chooseInstance chooses for an ask: with an affinity key the highest by rendezvous hash that has room, else the least
// loaded; spare instances only when no other has room. Nil = none has room.
func (d *Dispatcher) chooseInstance(now time.Duration, q *queue, ask *Ask, avoidUntil time.Duration) *instance {
	expired := d.expired(now) // the planner may have given these slots to another, unless the place knows better
	avoid := ""
	if ask.Retry && ask.Avoid != "" && (avoidUntil > now || q.hotBeside(ask.Avoid)) {
		avoid = ask.Avoid
	}
	var best *instance
	for _, i := range q.instances {
		if i.hasRoom() && (!expired || i.vouched > now) && (avoid == "" || i.id != avoid) && (best == nil || i.preferredTo(best, ask.Affinity)) {
			best = i
		}
	}
	return best
}

// refuse gives the waiter its error.
func (d *Dispatcher) refuse(now time.Duration, w *Waiter, err error) {
	w.done = true
	w.err = d.queues[w.queue].refusal(now, err)
	d.remove(now, w)
	d.answered = append(d.answered, w)
}

// remove takes the waiter out of its queue.
func (d *Dispatcher) remove(now time.Duration, w *Waiter) {
	q := d.queues[w.queue]
	q.remove(w)
	d.timers.drop(w)
	q.noteIdle(now)
	d.markChanged(q)
}

// forget drops an instance without share and leases.
func (d *Dispatcher) forget(i *instance) {
	d.forgotten = append(d.forgotten, i.id)
	delete(d.byID, i.id)
	last := len(d.instances) - 1
	moved := d.instances[last]
	d.instances[i.place], moved.place = moved, i.place
	d.instances[last] = nil
	d.instances = d.instances[:last]
	d.queues[i.queue].forget(i)
}
