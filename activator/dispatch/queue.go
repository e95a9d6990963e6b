package dispatch

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// queue is one model in a dispatcher: who waits for it, and the instances there are.
//
// Each org with waiters has a line, and the lines stand in a ring: the line at turn is served one waiter, then the next
// line has its turn. A new line enters last, so an org's first request waits for at most one of each other org.
type queue struct {
	model     *fleet.Model
	removed   bool // the config names it no more
	index     int  // among the dispatcher's queues
	instances []*instance
	lines     map[string]*line // org -> its line; only those with waiters
	turn      *line
	retries   line
	waiting   int // in lines; retries are beside the queue's bounds
	onlyHot   int // waiters that leave when the model cools

	inflight  int
	idleSince time.Duration
	arrivals  uint64
	finished  uint64
	service   time.Duration

	changed  uint64 // the report that will tell of the last change
	unheard  bool   // it is in the dispatcher's list of those with changes
	reported int    // waiters in the last report

	outlook      fleet.Outlook
	outlookKnown bool          // its ETA is an estimate
	parked       bool          // an instance is
	outlookAt    time.Duration // when it came
	table        uint64        // the last table that told it
	affected     bool          // by the table that is being taken
}

func newQueue(index int) *queue {
	return &queue{index: index, lines: make(map[string]*line)}
}

func (q *queue) waiters() int { return q.waiting + q.retries.n }

func (q *queue) waitingOf(org string) int {
	if l := q.lines[org]; l != nil {
		return l.n
	}
	return 0
}

// longestWait gives how long an ask may wait; 0 = for ever.
func (q *queue) longestWait(ask *Ask) time.Duration {
	wait := q.model.Queue.MaxWait
	if ask.MaxWait > 0 && (ask.MaxWait < wait || wait <= 0) {
		wait = ask.MaxWait
	}
	return wait
}

// hot reports whether some instance takes requests, though it may be full.
func (q *queue) hot() bool { return q.hotBeside("") }

// hotBeside is hot, but for the named instance.
func (q *queue) hotBeside(instance string) bool {
	for _, i := range q.instances {
		if i.slots > 0 && i.breaker == BreakerClosed && i.id != instance {
			return true
		}
	}
	return false
}

func (q *queue) add(w *Waiter) {
	if w.ask.OnlyHot {
		q.onlyHot++
	}
	if w.ask.Retry {
		q.retries.push(w)
		return
	}
	q.waiting++
	l := q.lines[w.ask.Org]
	if l == nil {
		l = &line{org: w.ask.Org}
		q.lines[l.org] = l
		q.addLine(l)
	}
	l.push(w)
}

// remove takes the waiter out; when it was the one whose turn it was and it got its lease, the turn passes on.
func (q *queue) remove(w *Waiter) {
	l := w.line
	l.remove(w)
	if w.ask.OnlyHot {
		q.onlyHot--
	}
	if l == &q.retries {
		return
	}
	q.waiting--
	if q.turn == l && w.granted {
		q.turn = l.next
	}
	if l.n == 0 {
		q.removeLine(l)
		delete(q.lines, l.org)
	}
}

// addLine puts a line last in the ring: just before the one whose turn it is.
func (q *queue) addLine(l *line) {
	if q.turn == nil {
		l.prev, l.next = l, l
		q.turn = l
		return
	}
	l.prev, l.next = q.turn.prev, q.turn
	l.prev.next, l.next.prev = l, l
}

func (q *queue) removeLine(l *line) {
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

// forEach calls f for every waiter; f may take that one out.
func (q *queue) forEach(f func(*Waiter)) {
	lines := []*line{&q.retries}
	for l, n := q.turn, len(q.lines); n > 0; l, n = l.next, n-1 {
		lines = append(lines, l)
	}
	for _, l := range lines {
		for w := l.head; w != nil; {
			next := w.next
			f(w)
			w = next
		}
	}
}

// oldest gives the moment since which the first has waited. Only heads of lines can be the oldest.
func (q *queue) oldest() (since time.Duration, ok bool) {
	if w := q.retries.head; w != nil {
		since, ok = w.since, true
	}
	for l, n := q.turn, len(q.lines); n > 0; l, n = l.next, n-1 {
		if w := l.head; !ok || w.since < since {
			since, ok = w.since, true
		}
	}
	return since, ok
}

// learnService learns what one request took.
func (q *queue) learnService(took time.Duration) {
	if q.service == 0 {
		q.service = took
	}
	q.service += (took - q.service) / 8
}

// noteIdle notes the moment at which the last request is gone.
func (q *queue) noteIdle(now time.Duration) {
	if q.inflight == 0 && q.waiters() == 0 {
		q.idleSince = now
	}
}

func (q *queue) demand(now time.Duration) protocol.Demand {
	m := protocol.Demand{
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

// forget drops an instance. The others keep their order, which decides between equals.
func (q *queue) forget(i *instance) {
	k := slices.Index(q.instances, i)
	q.instances = slices.Delete(q.instances, k, k+1)
}
