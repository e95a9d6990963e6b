package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// queue is one model in a dispatcher: who waits for it, and the seats there are.
//
// Each org with waiters has a line, and the lines stand in a ring: the line at turn is served one waiter, then the next
// line has its turn. A new line enters last, so an org's first request waits for at most one of each other org.
type queue struct {
	model   *fleet.Model
	seats   []*seat
	lines   map[string]*line // org -> its line; only those with waiters
	turn    *line
	retries line
	waiting int // in lines; retries are beside the queue's bounds
	onlyHot int // waiters that leave when the model cools
	told    int // waiters in the last report

	inflight  int
	idleSince time.Duration
	arrivals  uint64
	finished  uint64
	service   time.Duration
	changed   uint64 // the report that will tell of the last change

	outlook   fleet.Outlook
	known     bool          // its ETA is an estimate
	outlookAt time.Duration // when it came
}

// line is the FIFO of one org.
type line struct {
	org        string
	head, tail *Waiter
	n          int
	prev, next *line
}

// place is the dispatcher's side of a Waiter.
type place struct {
	ask        Ask
	queue      *queue
	line       *line
	prev, next *Waiter
	since      time.Duration
	deadline   time.Duration // 0 = none
	avoidUntil time.Duration // 0 = over
	timer      int           // position in the heap, -1 = none
	answered   bool          // or left
	lease      *Lease
	err        error
}

func newQueue(m *fleet.Model) *queue {
	return &queue{model: m, lines: make(map[string]*line)}
}

func (q *queue) waiters() int { return q.waiting + q.retries.n }

func (q *queue) waitingOf(org string) int {
	if l := q.lines[org]; l != nil {
		return l.n
	}
	return 0
}

// hot reports whether some instance takes requests, though it may be full.
func (q *queue) hot() bool { return q.hotBeside("") }

// hotBeside is hot, but for the named instance.
func (q *queue) hotBeside(instance string) bool {
	for _, s := range q.seats {
		if s.slots > 0 && s.breaker != BreakerOpen && s.id != instance {
			return true
		}
	}
	return false
}

func (q *queue) join(w *Waiter) {
	if w.place.ask.OnlyHot {
		q.onlyHot++
	}
	if w.place.ask.Retry {
		q.retries.push(w)
		return
	}
	q.waiting++
	l := q.lines[w.place.ask.Org]
	if l == nil {
		l = &line{org: w.place.ask.Org}
		q.lines[l.org] = l
		q.enter(l)
	}
	l.push(w)
}

// leave takes the waiter out; when it was the one whose turn it was and it got its lease, the turn passes on.
func (q *queue) leave(w *Waiter, sound bool) {
	l := w.place.line
	l.remove(w)
	if w.place.ask.OnlyHot {
		q.onlyHot--
	}
	if l == &q.retries {
		return
	}
	q.waiting--
	if q.turn == l && w.place.lease != nil && sound {
		q.turn = l.next
	}
	if l.n == 0 {
		q.exit(l)
		delete(q.lines, l.org)
	}
}

// enter puts a line last in the ring: just before the one whose turn it is.
func (q *queue) enter(l *line) {
	if q.turn == nil {
		l.prev, l.next = l, l
		q.turn = l
		return
	}
	l.prev, l.next = q.turn.prev, q.turn
	l.prev.next, l.next.prev = l, l
}

func (q *queue) exit(l *line) {
	if l.next == l {
		q.turn = nil
		return
	}
	if q.turn == l {
		q.turn = l.next
	}
	l.prev.next, l.next.prev = l.next, l.prev
}

// first gives the waiter who would be served next, nil = none.
func (q *queue) first() *Waiter {
	if q.retries.head != nil {
		return q.retries.head
	}
	if q.turn != nil {
		return q.turn.head
	}
	return nil
}

// each calls f for every waiter; f may take that one out.
func (q *queue) each(f func(*Waiter)) {
	lines := []*line{&q.retries}
	for l, n := q.turn, len(q.lines); n > 0; l, n = l.next, n-1 {
		lines = append(lines, l)
	}
	for _, l := range lines {
		for w := l.head; w != nil; {
			next := w.place.next
			f(w)
			w = next
		}
	}
}

// oldest gives the moment since which the first has waited. Only heads of lines can be the oldest.
func (q *queue) oldest() (since time.Duration, ok bool) {
	if w := q.retries.head; w != nil {
		since, ok = w.place.since, true
	}
	for l, n := q.turn, len(q.lines); n > 0; l, n = l.next, n-1 {
		if w := l.head; !ok || w.place.since < since {
			since, ok = w.place.since, true
		}
	}
	return since, ok
}

// serve learns what one request took.
func (q *queue) serve(took time.Duration) {
	if q.service == 0 {
		q.service = took
	}
	q.service += (took - q.service) / 8
}

// rest notes the moment at which the last request is gone.
func (q *queue) rest(now time.Duration) {
	if q.inflight == 0 && q.waiters() == 0 {
		q.idleSince = now
	}
}

func (l *line) push(w *Waiter) {
	w.place.line, w.place.prev, w.place.next = l, l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.place.next = w
	}
	l.tail = w
	l.n++
}

func (l *line) remove(w *Waiter) {
	p := &w.place
	if p.prev == nil {
		l.head = p.next
	} else {
		p.prev.place.next = p.next
	}
	if p.next == nil {
		l.tail = p.prev
	} else {
		p.next.place.prev = p.prev
	}
	p.prev, p.next = nil, nil
	l.n--
}
