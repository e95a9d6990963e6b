package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// grant is the dispatcher's side of a Lease.
type grant struct {
	seat     *seat
	at       time.Duration
	released bool
}

// dispatch grants leases to those who wait while instances have room: retries first, then the orgs in turn.
func (d *Dispatcher) dispatch(now time.Duration, q *queue) {
	for w := q.retries.head; w != nil; {
		next := w.place.next // a retry that avoids the only instance with room holds up nobody
		d.answer(now, w)
		w = next
	}
	for q.turn != nil && d.answer(now, q.turn.head) {
	}
}

// answer grants the waiter a lease if there is one for it.
func (d *Dispatcher) answer(now time.Duration, w *Waiter) bool {
	p := &w.place
	s := d.pick(now, p.queue, &p.ask, p.avoidUntil)
	if s == nil {
		return false
	}
	p.lease = &Lease{}
	p.answered = true
	d.grant(now, s, p.since, p.lease)
	d.remove(now, w)
	d.answered = append(d.answered, w)
	return true
}

// grant takes a slot of the seat for one who has waited since then.
func (d *Dispatcher) grant(now time.Duration, s *seat, since time.Duration, l *Lease) {
	q := s.queue
	s.leases++
	q.inflight++
	d.touch(q)
	l.Instance, l.Addr, l.Model, l.Start = s.id, s.addr, q.model, fleet.Hot
	l.grant = grant{seat: s, at: now}
	if s.breaker == BreakerHalfOpen {
		s.trial = l
	}
	l.Queued = now - since
	if since < s.readyAt {
		l.Start = s.from
		l.Activating = min(now, s.readyAt) - max(since, s.began)
		l.Queued -= l.Activating
	}
}

// pick chooses the seat for an ask: with an affinity key the highest by rendezvous hash that has room, else the least
// loaded; spare instances only when no other has room. Nil = none has room.
func (d *Dispatcher) pick(now time.Duration, q *queue, ask *Ask, avoidUntil time.Duration) *seat {
	if !d.forever && now >= d.expiry && !d.unsound.expiry {
		return nil // the planner may have given these slots to another
	}
	avoid := ""
	if ask.Retry && ask.Avoid != "" && (avoidUntil > now || q.hotBeside(ask.Avoid)) {
		avoid = ask.Avoid
	}
	var best *seat
	for _, s := range q.seats {
		if s.room(d) && (avoid == "" || s.id != avoid) && (best == nil || s.before(best, ask.Affinity)) {
			best = s
		}
	}
	return best
}

// refuse gives the waiter its error.
func (d *Dispatcher) refuse(now time.Duration, w *Waiter, err error) {
	w.place.answered = true
	w.place.err = d.refusal(now, w.place.queue, err)
	d.remove(now, w)
	d.answered = append(d.answered, w)
}

// remove takes the waiter out of its queue.
func (d *Dispatcher) remove(now time.Duration, w *Waiter) {
	q := w.place.queue
	q.leave(w, !d.unsound.unfair)
	d.timers.drop(w)
	q.rest(now)
	d.touch(q)
}

// settle tells those who wait for a model what its latest outlook means for them.
func (d *Dispatcher) settle(now time.Duration, q *queue) {
	d.dispatch(now, q)
	if q.hot() || q.waiters() == 0 {
		return
	}
	if err := q.verdict(); err != nil && !d.unsound.deaf {
		for w := q.first(); w != nil; w = q.first() {
			d.refuse(now, w, err)
		}
		return
	}
	if q.onlyHot > 0 {
		q.each(func(w *Waiter) {
			if w.place.ask.OnlyHot {
				d.refuse(now, w, ErrNotHot)
			}
		})
	}
}
