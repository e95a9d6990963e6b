package activator

import (
	"time"

	"github.com/sony/gobreaker"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
)

const (
	tripsAfter = 5                // engine failures in a row
	staysOpen  = 10 * time.Second // before one request may try
	condemned  = 3                // times in a row that it opened: the instance is replaced
)

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

// bind gives a fresh lease the callback of its instance's breaker.
func (a *Activator) bind(l *Lease) {
	b := a.breakers[l.Instance]
	if b == nil {
		b = newBreaker(l.Instance)
		a.breakers[l.Instance] = b
	}
	l.done = b.done
}

// judge tells the breaker how a lease ended.
func (a *Activator) judge(now time.Duration, l *Lease, o Outcome) {
	b := a.breakers[l.Instance]
	if b == nil || o == Neutral || l.done == nil {
		return
	}
	if o == Succeeded && !b.failing && b.state == dispatch.BreakerClosed {
		return // it would change nothing
	}
	b.failing = o == EngineFailed
	l.done(o == Succeeded)
	a.askBreaker(now, b)
}

// askBreakers asks those whose time in the open state is over: a breaker reads the clock only when it is asked.
func (a *Activator) askBreakers(now time.Duration) {
	if now < a.breakersAt {
		return
	}
	a.breakersAt = never
	for _, b := range a.breakers {
		if b.state == dispatch.BreakerOpen && now >= b.askAt {
			a.askBreaker(now, b)
		}
		if b.state == dispatch.BreakerOpen {
			a.breakersAt = min(a.breakersAt, b.askAt)
		}
	}
}

// askBreaker feeds a breaker's state into the machines.
func (a *Activator) askBreaker(now time.Duration, b *breaker) {
	state := breakerState(b.two.State())
	if state == b.state {
		return
	}
	b.state = state
	switch state {
	case dispatch.BreakerOpen:
		b.opened++
		b.askAt = now + staysOpen + time.Millisecond
		a.breakersAt = min(a.breakersAt, b.askAt)
	case dispatch.BreakerClosed:
		b.opened = 0
		b.done, _ = b.two.Allow()
	case dispatch.BreakerHalfOpen:
		b.done, _ = b.two.Allow()
	}
	a.log.Warn("breaker changed", "instance", b.instance, "state", state.String())
	a.dispatcher.SetBreaker(now, b.instance, state)
	if b.opened >= condemned {
		a.planner.Condemn(now, b.instance)
		a.exchange(now)
	}
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
