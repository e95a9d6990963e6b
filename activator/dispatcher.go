package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	avoidFor        = 2 * time.Second        // a retry keeps away from the instance that failed it: time enough to see whether it died
	reportEvery     = 100 * time.Millisecond // what is not urgent is reported together
	defaultCapacity = 64                     // of an instance whose model names no max_concurrency
)

// DispatcherConfig is what a Dispatcher needs.
type DispatcherConfig struct {
	ID          string
	Incarnation uint64 // larger than in any earlier life of this ID
	Models      []*fleet.Model
	Heartbeat   time.Duration // a report at least this often; 0 = only when something has changed
}

// Dispatcher is the machine in every server that keeps the queues and grants the leases. It is not safe for concurrent use.
//
//	       Enqueue                    grant                    Release
//	ask ──────────► waiting ───────────────────────► leased ──────────► done
//	 │                │  └─ Leave, deadline, told ─► refused
//	 └─ Take ─────────┴───────────────────────────► leased
type Dispatcher struct {
	cfg    DispatcherConfig
	queues map[string]*queue // model ID -> queue
	order  []*queue
	seats  map[string]*seat // instance ID -> seat
	listed []*seat          // in the order in which they came

	term, seq uint64 // of the last table taken
	heard     uint64 // the last report that the planner is known to have heard
	expiry    time.Duration
	forever   bool // tables do not expire
	closed    bool

	sent     uint64 // number of the last report
	sentAt   time.Duration
	changed  bool // there is something to report
	urgent   bool // there is something to report now
	timers   timers
	answered []*Waiter

	unsound unsound
}

// NewDispatcher makes a dispatcher that holds nothing.
func NewDispatcher(cfg DispatcherConfig) *Dispatcher {
	d := &Dispatcher{cfg: cfg, queues: make(map[string]*queue), seats: make(map[string]*seat), urgent: true}
	for _, m := range cfg.Models {
		q := newQueue(m)
		d.queues[m.ID] = q
		d.order = append(d.order, q)
	}
	return d
}

// Take fills in the lease and is true where the ask can have one at once: an instance has room and nobody is before it.
func (d *Dispatcher) Take(now time.Duration, ask *Ask, l *Lease) bool {
	q := d.queues[ask.Model]
	if q == nil || d.closed || q.waiting > 0 && !ask.Retry {
		return false
	}
	s := d.pick(now, q, ask, now+avoidFor)
	if s == nil {
		return false
	}
	q.arrivals++
	d.grant(now, s, now, l)
	return true
}

// Enqueue gives the ask a place in its model's queue, or refuses it. It may be answered by the time Enqueue returns.
func (d *Dispatcher) Enqueue(now time.Duration, ask *Ask, w *Waiter) error {
	q := d.queues[ask.Model]
	if q == nil {
		return ErrUnknownModel
	}
	if err := d.admit(q, ask); err != nil {
		return d.refusal(now, q, err)
	}
	wait := q.model.Queue.MaxWait
	if ask.MaxWait > 0 && (ask.MaxWait < wait || wait <= 0) {
		wait = ask.MaxWait
	}
	w.place = place{ask: *ask, queue: q, since: now, timer: -1}
	if wait > 0 {
		w.place.deadline = now + wait
	}
	if ask.Retry && ask.Avoid != "" {
		w.place.avoidUntil = now + avoidFor
	}
	first := q.waiters() == 0
	q.join(w)
	q.arrivals++
	d.timers.set(w)
	d.touch(q)
	d.urgent = d.urgent || first || q.waiters() >= 2*q.told
	d.dispatch(now, q)
	return nil
}

// admit says why an ask may not wait, or nil.
func (d *Dispatcher) admit(q *queue, ask *Ask) error {
	limits := &q.model.Queue
	over := 0
	if d.unsound.queueBound {
		over = 1
	}
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
	case limits.Limit > 0 && q.waiting >= limits.Limit+over:
		return ErrQueueFull
	case limits.PerOrg > 0 && q.waitingOf(ask.Org) >= limits.PerOrg:
		return ErrOrgQueueFull
	}
	return nil
}

// Leave frees the waiter's place. It is false where the waiter has been answered before.
func (d *Dispatcher) Leave(now time.Duration, w *Waiter) bool {
	if w.place.answered {
		return false
	}
	w.place.answered = true
	d.remove(now, w)
	return true
}

// Release gives a lease back, once; it is false where that was done before.
func (d *Dispatcher) Release(now time.Duration, l *Lease) bool {
	g := &l.grant
	if g.released {
		return false
	}
	g.released = true
	s, q := g.seat, g.seat.queue
	s.leases--
	if s.trial == l {
		s.trial = nil
	}
	q.inflight--
	q.finished++
	q.serve(now - g.at)
	d.touch(q)
	if s.leases == 0 {
		s.idleSince = now
		if s.slots == 0 {
			d.urgent = true // a draining instance waits for this
			d.drop(s)
		}
	}
	q.rest(now)
	d.dispatch(now, q)
	return true
}

// Breaker says what the circuit breaker of an instance allows: nothing while open, one lease at a time while half-open.
func (d *Dispatcher) Breaker(now time.Duration, instance string, b BreakerState) {
	s := d.seats[instance]
	if s == nil || s.breaker == b {
		return
	}
	s.breaker, s.trial = b, nil
	d.settle(now, s.queue)
}

// Tick answers those whose time is up.
func (d *Dispatcher) Tick(now time.Duration) {
	for {
		w := d.timers.first()
		if w == nil || w.place.wake() > now {
			return
		}
		q := w.place.queue
		if w.place.avoidUntil > 0 && w.place.avoidUntil <= now {
			w.place.avoidUntil = 0
			d.timers.set(w)
			d.dispatch(now, q)
			continue
		}
		d.refuse(now, w, q.lateness())
	}
}

// Close refuses all who wait and all who come.
func (d *Dispatcher) Close(now time.Duration) {
	d.closed = true
	for _, q := range d.order {
		for w := q.first(); w != nil; w = q.first() {
			d.refuse(now, w, ErrShuttingDown)
		}
	}
}

// Next gives the moment at which Tick or Report is due; false = only after an event.
func (d *Dispatcher) Next() (time.Duration, bool) {
	at, ok := time.Duration(0), false
	if w := d.timers.first(); w != nil {
		at, ok = w.place.wake(), true
	}
	every := d.cfg.Heartbeat
	if d.changed {
		every = reportEvery
	}
	if due := d.sentAt + every; every > 0 && (!ok || due < at) {
		at, ok = due, true
	}
	return at, ok
}

// Due reports whether a report should be sent now.
func (d *Dispatcher) Due(now time.Duration) bool {
	return d.urgent || d.changed && now-d.sentAt >= reportEvery || d.cfg.Heartbeat > 0 && now-d.sentAt >= d.cfg.Heartbeat
}

// TakeAnswered gives those who were answered since the last call.
func (d *Dispatcher) TakeAnswered() []*Waiter { return take(&d.answered) }

// Outlook says what can be told to one who waits for the model.
func (d *Dispatcher) Outlook(now time.Duration, model string) fleet.Outlook {
	q := d.queues[model]
	if q == nil {
		return fleet.Outlook{Model: model}
	}
	return q.prospect(now)
}

// touch notes that the model's demand has changed.
func (d *Dispatcher) touch(q *queue) {
	q.changed = d.sent + 1
	d.changed = true
}
