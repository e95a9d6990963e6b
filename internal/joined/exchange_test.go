package joined_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// order is what a caller asks for.
type order struct {
	org, token string
	model      string
	first      time.Duration // from its dispatch until the engine's first byte
	runs       time.Duration // and until its end
	leaves     time.Duration // the caller has left by then; 0 = it stays
	onlyHot    bool
	hasty      bool // it leaves in the moment in which its wait is over
}

// answer is what the caller is told, in a word.
type answer string

const (
	served     answer = "served"
	cutShort   answer = "ended by its budget"
	callerGone answer = "caller gone"
	engineLost answer = "engine error"
	unrecorded answer = "not recorded"
	overLimit  answer = "over a limit"
	overBudget answer = "over a budget"
	noRoom     answer = "no room to record"
	notServed  answer = "refused by the activator"
	serverEnds answer = "shutting down"
)

// woken is more than an engine takes after a resume until it has made a token, for which nobody pays.
const woken = time.Second

// Why a request was ended from outside.
var (
	errServerDied = errors.New("its server died")
	errServerEnds = errors.New("its server ends")
	errCallerGone = errors.New("its caller has left")
)

// exchange is one request at a server: what the router does with one.
type exchange struct {
	l      *life
	o      *order
	charge account.Charge
	room   ledger.Room

	began  time.Time
	jitter *rand.Rand // of its own goroutine

	mu    sync.Mutex // guards what follows
	cause error
	at    time.Time
	gone  chan struct{} // closed once there is a cause
}

func (w *world) newExchange(l *life, o *order) *exchange {
	return &exchange{l: l, o: o, gone: make(chan struct{}), began: time.Now(), jitter: rand.New(rand.NewPCG(uint64(w.Choose(1<<30)), 13))}
}

// turn has those that are woken at once go on one after the other.
func (x *exchange) turn() { time.Sleep(time.Duration(1 + x.jitter.IntN(100_000))) }

// leave ends the exchange, from another goroutine. The first cause counts.
func (x *exchange) leave(cause error) { x.leaveAt(cause, time.Now()) }

func (x *exchange) leaveAt(cause error, at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause == nil {
		x.cause, x.at = cause, at
		close(x.gone)
	}
}

// OutOfBudget ends it because a budget was used up.
func (x *exchange) OutOfBudget(why *account.BudgetError, until time.Time) { x.leaveAt(why, until) }

func (x *exchange) ending() (at time.Time, cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.at, x.cause
}

// requests gives those that a server has.
func (l *life) requests() []*exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*exchange, 0, len(l.open))
	for x := range l.open {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *exchange) int { return a.began.Compare(b.began) })
	return all
}

// come has a request come to a server. A caller gets one answer, unless its server dies.
func (w *world) come(l *life, o order) {
	x := w.newExchange(l, &o)
	w.clients.Go(func() {
		l.mu.Lock()
		l.open[x] = true
		l.mu.Unlock()
		if o.leaves > 0 {
			leaves := time.AfterFunc(o.leaves, func() { x.leave(errCallerGone) })
			defer leaves.Stop()
		}
		got := x.serve()
		l.mu.Lock()
		delete(l.open, x)
		l.mu.Unlock()
		if !l.dead() {
			w.answered(x, got)
		}
	})
}

// serve takes a request through admission, its lease, its engine and its bill, in the router's order.
func (x *exchange) serve() answer {
	l, w := x.l, x.l.w
	if !l.serves.Load() {
		return serverEnds
	}
	claim := w.claim(x.o)
	err := l.accounts.Admit(&x.charge, &claim, nil) // it may have waited until another one left
	x.turn()
	if refusal := (*account.LimitError)(nil); errors.As(err, &refusal) {
		return overLimit
	} else if err != nil {
		w.Broke("%s: admitting: %v", l.name, err)
		return overLimit
	}
	w.admitted(x)
	defer func() {
		x.leaves()
		x.charge.Settle()
		x.room.Release()
	}()
	if x.room, err = l.ledger.Reserve(); err != nil {
		if !errors.Is(err, ledger.ErrNoRoom) && !errors.Is(err, ledger.ErrClosed) {
			w.Broke("%s: reserving: %v", l.name, err)
		}
		return noRoom
	}
	avoid := ""
	for number := 0; ; number++ {
		lease, got := x.acquire(number, avoid)
		if lease == nil {
			return got
		}
		got, again := x.attempt(lease, number)
		if !again {
			return got
		}
		w.Count("a request was asked of a second engine")
		avoid = lease.Instance
	}
}

// leaves has the request count among those at once no more.
func (x *exchange) leaves() {
	x.l.w.left(x)
	x.charge.Leave()
}

func (x *exchange) acquire(number int, avoid string) (*activator.Lease, answer) {
	l, w := x.l, x.l.w
	if err := x.charge.MaySpend(w.rate(x.o.model)); err != nil {
		return nil, w.unspent(l, err)
	}
	x.charge.Join()
	lease, waiter, err := l.activator.Acquire(activator.Ask{
		Model: x.o.model, Org: x.o.org, OnlyHot: x.o.onlyHot, Retry: number > 0, Avoid: avoid,
	})
	if waiter != nil {
		w.Count("a request waited for an engine")
		select {
		case <-waiter.Ready():
			x.turn()
			if x.o.hasty {
				w.Count("a caller left as its wait was over")
				waiter.Leave()
				return nil, callerGone
			}
			lease, err = waiter.Answer()
		case <-x.gone:
			x.turn()
			waiter.Leave()
			_, cause := x.ending()
			return nil, answerOf(cause)
		}
	}
	if err != nil {
		return nil, w.refused(l, err)
	}
	return lease, ""
}

// unspent is the answer of who may spend nothing.
func (w *world) unspent(l *life, err error) answer {
	if used := (*account.BudgetError)(nil); !errors.As(err, &used) {
		w.Broke("%s: spending: %v", l.name, err)
	}
	return overBudget
}

// refused is the answer of who gets no lease.
func (w *world) refused(l *life, err error) answer {
	if errors.Is(err, activator.ErrShuttingDown) {
		if l.serves.Load() {
			w.Broke("%s serves, and says that it shuts down", l.name)
		}
		return serverEnds
	}
	if refusal := (*activator.Refusal)(nil); !errors.As(err, &refusal) {
		w.Broke("%s: acquiring: %v", l.name, err)
	}
	return notServed
}

func answerOf(cause error) answer {
	used := (*account.BudgetError)(nil)
	switch {
	case errors.As(cause, &used):
		return cutShort
	case errors.Is(cause, errCallerGone):
		return callerGone
	default:
		return serverEnds
	}
}

// attempt asks an engine, and settles what became of it; again = another one is to be asked, and nobody has paid.
func (x *exchange) attempt(lease *activator.Lease, number int) (got answer, again bool) {
	l, w := x.l, x.l.w
	x.charge.Run()
	_, proven := lease.ProvenAt()
	if err := x.charge.Spend(w.rate(x.o.model), proven, x); err != nil {
		lease.Release(activator.Neutral)
		return w.unspent(l, err), false
	}
	if !proven {
		lease.OnProven(x.charge.Proven)
	}
	c, err := w.engines.begin(l, lease.Instance)
	if err != nil {
		lease.Release(activator.EngineFailed)
		x.charge.Unspend()
		return engineLost, number == 0
	}
	sent := time.Now()
	x.charge.Dispatched(sent)
	s := &sending{lease: lease, c: c, sent: sent}
	s.status, s.at = x.await(s)
	if s.status == ledger.EngineError && s.first.IsZero() && number == 0 && !l.dead() {
		c.end()
		lease.Release(activator.EngineFailed)
		x.charge.Unspend()
		return engineLost, true
	}
	return x.settle(s), false
}

// sending is a request on an engine.
type sending struct {
	lease  *activator.Lease
	c      *call
	sent   time.Time
	first  time.Time // zero = no byte has come
	status ledger.Outcome
	at     time.Time // its end
}

// await waits for the engine's answer, or whatever ends that.
func (x *exchange) await(s *sending) (ledger.Outcome, time.Time) {
	whole := time.NewTimer(x.o.first)
	defer whole.Stop()
	for {
		select {
		case <-whole.C:
			if !x.l.w.engines.answers(s.c) {
				whole.Reset(time.Second) // it hangs
				continue
			}
			s.lease.Prove()
			if s.first.IsZero() {
				s.first = time.Now()
				whole.Reset(x.o.runs)
				continue
			}
			return ledger.Complete, time.Now()
		case <-s.c.of.lost:
			x.turn()
			return ledger.EngineError, time.Now()
		case <-x.gone:
			x.turn()
			at, cause := x.ending()
			switch answerOf(cause) {
			case cutShort:
				x.l.w.Count("a request was ended by its budget")
				return ledger.BudgetExceeded, at
			case callerGone:
				return ledger.ClientGone, at
			}
			return ledger.EngineError, at // nobody pays for a server that ends
		}
	}
}

// answers reports whether the engine says something.
func (b *engines) answers(c *call) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !c.of.hung
}

// settle gives the lease back and appends the record, as the router does.
func (x *exchange) settle(s *sending) answer {
	l, w := x.l, x.l.w
	defer x.leaves()
	if l.dead() { // its connections close by and by
		time.Sleep(time.Duration(1 + x.jitter.Int64N(int64(closureSeen))))
		s.c.end()
		return serverEnds
	}
	s.c.end()
	switch s.status {
	case ledger.Complete:
		s.lease.Release(activator.Succeeded)
	case ledger.EngineError:
		s.lease.Release(activator.EngineFailed)
	default:
		s.lease.Release(activator.Neutral)
	}
	rate := w.rate(x.o.model)
	r := ledger.Record{
		Org: x.o.org, TokenID: x.o.token, Model: x.o.model, Instance: s.lease.Instance, GPUs: rate.GPUs, Price: rate.Price, ReceivedAt: x.began, DispatchedAt: s.sent, Status: s.status,
		Start: s.lease.Start, RequestID: fmt.Sprintf("%s-%d", l.name, x.began.UnixNano()), TokensUnknown: true,
	}
	if s.status == ledger.EngineError {
		x.charge.Unspend()
	} else {
		from, known := s.lease.ProvenAt()
		switch {
		case !known:
			from = time.Time{}
		case from.Before(s.sent):
			from = s.sent
		}
		r.Billed = ledger.Billed(s.status, from, x.charge.Bill(s.sent, from, s.at))
	}
	if served := s.at.Sub(s.sent); r.Billed > served || s.status == ledger.Complete && served-r.Billed > woken && !w.budgeted(x.o) {
		w.Broke("%s bills %s of %s in which an engine served: %+v", l.name, r.Billed, served, r)
	}
	r.ID = ledger.NewID()
	err := x.room.Append(&r)
	w.appended(x, &r, err)
	if err != nil {
		x.charge.Unspend()
		return unrecorded
	}
	switch s.status {
	case ledger.Complete:
		return served
	case ledger.BudgetExceeded:
		return cutShort
	case ledger.ClientGone:
		return callerGone
	default:
		_, cause := x.ending()
		if cause != nil {
			return answerOf(cause)
		}
		return engineLost
	}
}
