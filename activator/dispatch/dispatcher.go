package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	avoidFor    = 2 * time.Second        // a retry keeps away from the instance that failed it: time enough to see whether it died
	reportEvery = 100 * time.Millisecond // what is not urgent is reported together
)

// Config is what a Dispatcher needs.
type Config struct {
	ID          string
	Incarnation uint64 // larger than in any earlier life of this ID
	Models      []*fleet.Model
	Heartbeat   time.Duration // a report at least this often; 0 = only when something has changed
}

// Dispatcher keeps the queues of one server and grants the leases. It is not safe for concurrent use.
//
//	       Enqueue                    grant                     Release
//	ask ──────────► waiting ────────────────────────► leased ──────────► done
//	 │                │  └─ Leave, deadline, refusal ► gone
//	 └─ Acquire ──────┴─────────────────────────────► leased
type Dispatcher struct {
	cfg       Config
	byModel   map[string]*queue // model ID -> its queue
	queues    []*queue          // in the order in which they came
	byID      map[string]*instance
	instances []*instance // in no order that means anything

	term, seq    uint64 // of the last table taken
	whole        bool   // a whole table of that term was taken: partial ones may follow
	tables       uint64 // tables taken that said something
	expiry       time.Duration
	neverExpires bool
	closed       bool
	toAnswer     []*queue // while a table is taken: those for which something has changed

	sent      uint64 // number of the last report
	sentAt    time.Duration
	heard     uint64      // the last report that the planner is known to have heard
	followed  uint64      // the same, as Heard says: the next report may follow it as a partial one
	changed   bool        // there is something to report
	urgent    bool        // there is something to report now
	unheard   []*queue    // with changes that the planner is not known to have heard of
	unsettled []*instance // held otherwise than the last report says

	timers    timers
	answered  []*Waiter
	forgotten []string // instances on which nothing is held any more
	proven    []string // instances whose engines have made a token since they were resumed, as tables have said of late
}

// New makes a dispatcher that holds nothing.
func New(cfg Config) *Dispatcher {
	d := &Dispatcher{cfg: cfg, byModel: make(map[string]*queue), byID: make(map[string]*instance), urgent: true}
	d.SetModels(cfg.Models)
	return d
}

// SetModels takes a changed config. A model that it does not name any more takes no new requests; those who wait for it keep their places, and are
// served while it has instances. New limits hold for those who come.
func (d *Dispatcher) SetModels(models []*fleet.Model) {
	for _, q := range d.queues {
		q.removed = true
	}
	for _, m := range models {
		q := d.byModel[m.ID]
		if q == nil {
			q = newQueue(len(d.queues))
			d.byModel[m.ID] = q
			d.queues = append(d.queues, q)
		}
		q.model, q.removed = m, false
	}
}

// Acquire grants the lease and is true where the ask can have one at once: an instance has room and nobody is before it.
func (d *Dispatcher) Acquire(now time.Duration, ask *Ask, l *Lease) bool {
	q := d.byModel[ask.Model]
	if q == nil || d.closed || (q.waiting > 0 || q.removed) && !ask.Retry {
		return false
	}
	i := d.chooseInstance(now, q, ask, now+avoidFor)
	if i == nil {
		return false
	}
	q.arrivals++
	d.grant(now, i, now, l)
	return true
}

// Enqueue gives the ask a place in its model's queue, or refuses it. The lease will be granted in l. It may be answered by the time Enqueue returns.
func (d *Dispatcher) Enqueue(now time.Duration, ask *Ask, w *Waiter, l *Lease) error {
	q := d.byModel[ask.Model]
	if q == nil || q.removed && !ask.Retry {
		return ErrUnknownModel
	}
	if err := d.admit(q, ask); err != nil {
		return q.refusal(now, err)
	}
	w.enter(now, ask, l)
	w.queue = q.index
	if wait := q.longestWait(ask); wait > 0 {
		w.deadline = now + wait
	}
	if ask.Retry && ask.Avoid != "" {
		w.avoidUntil = now + avoidFor
	}
	first := q.waiters() == 0
	q.add(w)
	q.arrivals++
	d.timers.set(w)
	d.markChanged(q)
	d.urgent = d.urgent || first || q.waiters() >= 2*q.reported
	d.grantWaiting(now, q)
	return nil
}

// admit says why an ask may not wait, or nil.
func (d *Dispatcher) admit(q *queue, ask *Ask) error {
	limits := &q.model.Queue
	switch hot := q.hot(); {
	case d.closed:
		return ErrShuttingDown
	case !hot && q.outlook.Answer == fleet.NeverFits:
		return ErrNoCapacity
	case !hot && q.outlook.Answer == fleet.BackingOff:
		return ErrActivationFailed
	case !hot && ask.OnlyHot:
		return ErrNotHot
	case ask.Retry:
		return nil
	case limits.Limit > 0 && q.waiting >= limits.Limit:
		return ErrQueueFull
	case limits.PerOrg > 0 && q.waitingOf(ask.Org) >= limits.PerOrg:
		return ErrOrgQueueFull
	}
	return nil
}

// Leave frees the waiter's place. It is false where the waiter has been answered before.
func (d *Dispatcher) Leave(now time.Duration, w *Waiter) bool {
	if w.done {
		return false
	}
	w.done = true
	d.remove(now, w)
	return true
}

// Release gives a lease back, once; it is false where that was done before.
func (d *Dispatcher) Release(now time.Duration, l *Lease) bool {
	if l.released {
		return false
	}
	l.released = true
	i := l.on
	q := d.queues[i.queue]
	i.leases--
	q.inflight--
	q.finished++
	q.learnService(now - l.at)
	d.markChanged(q)
	d.markHeld(i)
	if i.leases == 0 {
		i.idleSince = now
		if i.slots == 0 {
			d.urgent = true // a draining instance waits for this
			d.forget(i)
		}
	}
	q.noteIdle(now)
	d.grantWaiting(now, q)
	return true
}

// SetBreaker says what the circuit breaker of an instance allows: nothing unless it is closed.
func (d *Dispatcher) SetBreaker(now time.Duration, instance string, b BreakerState) {
	i := d.byID[instance]
	if i == nil || i.breaker == b {
		return
	}
	i.breaker = b
	d.answerByOutlook(now, d.queues[i.queue])
}

// Tick answers those whose time is up.
func (d *Dispatcher) Tick(now time.Duration) {
	for {
		w := d.timers.first()
		if w == nil || w.wakeAt() > now {
			return
		}
		q := d.queues[w.queue]
		if w.avoidUntil > 0 && w.avoidUntil <= now {
			w.avoidUntil = 0
			d.timers.set(w)
			d.grantWaiting(now, q)
			continue
		}
		d.refuse(now, w, q.deadlineError())
	}
}

// Close refuses all who wait and all who come.
func (d *Dispatcher) Close(now time.Duration) {
	d.closed = true
	for _, q := range d.queues {
		for w := q.first(); w != nil; w = q.first() {
			d.refuse(now, w, ErrShuttingDown)
		}
	}
}

// Next gives the moment at which Tick or Report is due; false = only after an event.
func (d *Dispatcher) Next() (time.Duration, bool) {
	at, ok := NextTick(d)
	every := d.cfg.Heartbeat
	if d.changed {
		every = reportEvery
	}
	if due := d.sentAt + every; every > 0 && (!ok || due < at) {
		at, ok = due, true
	}
	return at, ok
}

// NextTick gives the moment at which Tick is due, whatever is to be reported; false = only after an event.
func NextTick(d *Dispatcher) (time.Duration, bool) {
	if w := d.timers.first(); w != nil {
		return w.wakeAt(), true
	}
	return 0, false
}

// Urgent reports whether a report should be sent at once: a first waiter, a doubled queue, a table's acknowledgement, the last lease of a draining
// instance.
func Urgent(d *Dispatcher) bool { return d.urgent }

// ReportDue reports whether a report should be sent now.
func (d *Dispatcher) ReportDue(now time.Duration) bool {
	return d.urgent || d.changed && now-d.sentAt >= reportEvery || d.cfg.Heartbeat > 0 && now-d.sentAt >= d.cfg.Heartbeat
}

// TakeAnswered gives those who were answered since the last call. The slice belongs to the caller.
func (d *Dispatcher) TakeAnswered() []*Waiter {
	answered := d.answered
	d.answered = nil
	return answered
}

// TakeProven gives the instances of which tables have said since the last call that they have made a token, and before that they had not. The slice
// belongs to the caller.
func (d *Dispatcher) TakeProven() []string {
	proven := d.proven
	d.proven = nil
	return proven
}

// TakeForgotten gives the instances on which nothing is held any more since the last call. The slice belongs to the caller.
func TakeForgotten(d *Dispatcher) []string {
	forgotten := d.forgotten
	d.forgotten = nil
	return forgotten
}

// Outlook says what can be told to one who waits for the model.
func (d *Dispatcher) Outlook(now time.Duration, model string) fleet.Outlook {
	q := d.byModel[model]
	if q == nil {
		return fleet.Outlook{Model: model}
	}
	return q.outlookAsOf(now)
}

// Heard notes that the planner has heard reports up to seq, where both live in one process; else tables say so.
func (d *Dispatcher) Heard(seq uint64) {
	d.heard = max(d.heard, seq)
	d.followed = seq
}
