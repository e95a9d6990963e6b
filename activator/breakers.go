package activator

import (
	"maps"
	"time"

	"github.com/sony/gobreaker"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
)

const (
	tripsAfter = 5                // engine failures in a row
	staysOpen  = 10 * time.Second // before one request may try
	condemned  = 3                // times in a row that it opened: the instance is replaced
)

// breakers are the circuit breakers of all instances that have had a lease. They belong to the dispatcher's side, under its lock.
type breakers struct {
	dispatcher *dispatch.Dispatcher
	byInstance map[string]*breaker
	tripped    map[string]dispatch.BreakerState // instance ID -> state; only those that are not closed
	askAt      time.Duration                    // when the first open one must be asked
	condemned  []string                         // instances that the planner is to replace
	changes    []breakerChange                  // for the log
}

type breakerChange struct {
	instance string
	state    dispatch.BreakerState
}

func newBreakers(d *dispatch.Dispatcher) breakers {
	return breakers{dispatcher: d, byInstance: make(map[string]*breaker), tripped: make(map[string]dispatch.BreakerState), askAt: never}
}

// breaker is the circuit breaker of one instance. Its two steps are Allow, asked once in each generation, and the callback that Allow gave, which
// the leases of that generation share: an outcome of an older generation is ignored.
type breaker struct {
	instance string
	two      *gobreaker.TwoStepCircuitBreaker
	state    dispatch.BreakerState
	done     func(success bool)
	failing  bool // a failure since the last success
	opened   int  // times in a row
	askAt    time.Duration
}

func newBreaker(instance string) *breaker {
	b := &breaker{instance: instance, two: gobreaker.NewTwoStepCircuitBreaker(gobreaker.Settings{
		Name: instance, MaxRequests: 1, Timeout: staysOpen,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripsAfter },
	})}
	b.done, _ = b.two.Allow()
	return b
}

// of gives the breaker of an instance, which begins closed.
func (bs *breakers) of(instance string) *breaker {
	b := bs.byInstance[instance]
	if b == nil {
		b = newBreaker(instance)
		bs.byInstance[instance] = b
	}
	return b
}

// forget drops the breaker of an instance that is gone, or begins anew.
func (bs *breakers) forget(instance string) {
	delete(bs.byInstance, instance)
	delete(bs.tripped, instance)
}

// judge tells the breaker how a lease ended.
func (bs *breakers) judge(now time.Duration, l *Lease, o Outcome) {
	b := bs.byInstance[l.Instance]
	if b == nil || o == Neutral || l.done == nil {
		return
	}
	if o == Succeeded && !b.failing && b.state == dispatch.BreakerClosed {
		return // it would change nothing
	}
	b.failing = o == EngineFailed
	l.done(o == Succeeded)
	bs.ask(now, b)
}

// askOpen asks those whose time in the open state is over: a breaker reads the clock only when it is asked.
func (bs *breakers) askOpen(now time.Duration) {
	if now < bs.askAt {
		return
	}
	bs.askAt = never
	for _, b := range bs.byInstance {
		if b.state == dispatch.BreakerOpen && now >= b.askAt {
			bs.ask(now, b)
		}
		if b.state == dispatch.BreakerOpen {
			bs.askAt = min(bs.askAt, b.askAt)
		}
	}
}

// ask tells the dispatcher a breaker's state, and notes an instance that must be replaced.
func (bs *breakers) ask(now time.Duration, b *breaker) {
	state := breakerState(b.two.State())
	if state == b.state {
		return
	}
	b.state = state
	bs.tripped[b.instance] = state
	switch state {
	case dispatch.BreakerOpen:
		b.opened++
		b.askAt = now + staysOpen + time.Millisecond
		bs.askAt = min(bs.askAt, b.askAt)
	case dispatch.BreakerClosed:
		b.opened = 0
		b.done, _ = b.two.Allow()
		delete(bs.tripped, b.instance)
	case dispatch.BreakerHalfOpen:
		b.done, _ = b.two.Allow()
	}
	bs.changes = append(bs.changes, breakerChange{b.instance, state})
	bs.dispatcher.SetBreaker(now, b.instance, state)
	if b.opened >= condemned {
		bs.condemned = append(bs.condemned, b.instance)
	}
}

// trippedBreakers gives the state of every breaker that is not closed, by instance.
func (a *Activator) trippedBreakers() map[string]dispatch.BreakerState {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	return maps.Clone(a.breakers.tripped)
}

func breakerState(s gobreaker.State) dispatch.BreakerState {
	switch s {
	case gobreaker.StateOpen:
		return dispatch.BreakerOpen
	case gobreaker.StateHalfOpen:
		return dispatch.BreakerHalfOpen
	default:
		return dispatch.BreakerClosed
	}
}
