package dispatch

import "time"

// Waiter is one request that waits for a lease. It gets exactly one answer, and keeps its place until then or until Leave.
type Waiter struct {
	Value any // the owner's; the dispatcher does not look at it

	ask        Ask
	queue      int // of its model, among the dispatcher's
	line       *line
	prev, next *Waiter
	since      time.Duration
	deadline   time.Duration // 0 = none
	avoidUntil time.Duration // 0 = over
	timer      int           // position in the heap, -1 = none
	done       bool          // answered, or it has left
	granted    bool
	lease      *Lease // to be granted
	err        error
}

// Answer gives the lease, or the *Refusal; neither while there is no answer.
func (w *Waiter) Answer() (*Lease, error) {
	if w.granted {
		return w.lease, nil
	}
	return nil, w.err
}

// Model gives the ID of the model that is waited for.
func (w *Waiter) Model() string { return w.ask.Model }

// enter begins to wait.
func (w *Waiter) enter(now time.Duration, ask *Ask, l *Lease) {
	*w = Waiter{Value: w.Value, ask: *ask, since: now, timer: -1, lease: l}
}

// wakeAt gives the moment at which the waiter must be looked at: its deadline, or the end of its avoidance. 0 = never.
func (w *Waiter) wakeAt() time.Duration {
	if w.avoidUntil > 0 && (w.deadline == 0 || w.avoidUntil < w.deadline) {
		return w.avoidUntil
	}
	return w.deadline
}

// line is the FIFO of one org, or of the retries.
type line struct {
	org        string
	head, tail *Waiter
	n          int
	prev, next *line
}

func (l *line) push(w *Waiter) {
	w.line, w.prev, w.next = l, l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.n++
}

func (l *line) remove(w *Waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.n--
}
