package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Waiting is one who waits, as operators see it.
type Waiting struct {
	Model, Org, Request string
	Retry               bool          // an engine has failed it; it goes before all others
	Place               int           // in its model's queue, from 1: so many are served before it and with it, if nobody comes or leaves
	Since, Deadline     time.Duration // Deadline 0 = none
}

// Waiters are those of a dispatcher, for operators.
type Waiters struct{ of *Dispatcher }

// WaitersOf gives those of a dispatcher.
func WaitersOf(d *Dispatcher) Waiters { return Waiters{d} }

// List lists who waits, model by model in the order in which they would be served; "" = of every model. At most limit of them are
// listed; all says how many there are.
func (w Waiters) List(model string, limit int) (list []Waiting, all int) {
	for _, q := range w.of.queues {
		if model != "" && q.model.ID != model {
			continue
		}
		all += q.waiters()
		place := 0
		q.inOrder(func(w *Waiter) bool {
			place++
			if len(list) < limit {
				list = append(list, Waiting{w.ask.Model, w.ask.Org, w.ask.Request, w.line == &q.retries, place, w.since, w.deadline})
			}
			return len(list) < limit
		})
	}
	return list, all
}

// First puts those of an organisation next, who else are served in turn with the others; and of them the request of that name, if it is not "".
// It is false where nobody of that name waits.
func (w Waiters) First(model, org, request string) bool {
	q := w.of.byModel[model]
	if q == nil || q.lines[org] == nil {
		return false
	}
	l := q.lines[org]
	if request != "" {
		found := l.find(request)
		if found == nil {
			return false
		}
		l.remove(found)
		l.pushFirst(found)
	}
	q.turn = l
	return true
}

// End ends the wait of a request with ErrEnded, or of all of an organisation for a model: request "" = all. It gives how many.
func (w Waiters) End(now time.Duration, model, org, request string) (ended int) {
	q := w.of.byModel[model]
	if q == nil {
		return 0
	}
	q.forEach(func(one *Waiter) {
		if one.ask.Org == org && (request == "" || one.ask.Request == request) {
			w.of.refuse(now, one, ErrEnded)
			ended++
		}
	})
	return ended
}

// inOrder calls f for those who wait in the order in which they would be served, until f returns false.
func (q *queue) inOrder(f func(*Waiter) bool) {
	for w := q.retries.head; w != nil; w = w.next {
		if !f(w) {
			return
		}
	}
	var heads []*Waiter // the next of each line, in turn
	for l, n := q.turn, len(q.lines); n > 0; l, n = l.next, n-1 {
		heads = append(heads, l.head)
	}
	for left := len(heads); left > 0; {
		left = 0
		for k, w := range heads {
			if w == nil {
				continue
			}
			if !f(w) {
				return
			}
			if heads[k] = w.next; w.next != nil {
				left++
			}
		}
	}
}

func (l *line) find(request string) *Waiter {
	for w := l.head; w != nil; w = w.next {
		if w.ask.Request == request {
			return w
		}
	}
	return nil
}

func (l *line) pushFirst(w *Waiter) {
	w.line, w.prev, w.next = l, nil, l.head
	if l.head == nil {
		l.tail = w
	} else {
		l.head.prev = w
	}
	l.head = w
	l.n++
}

// Asked says who waits, in moments of the wall's clock that at gives.
func (w *Waiting) Asked(at func(time.Duration) time.Time) fleet.Waiting {
	f := fleet.Waiting{Model: w.Model, Org: w.Org, Request: w.Request, Retry: w.Retry, Place: w.Place, Since: at(w.Since)}
	if w.Deadline > 0 {
		f.Until = at(w.Deadline)
	}
	return f
}
