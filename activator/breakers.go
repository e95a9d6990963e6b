package activator

import (
	"maps"
	"time"

	"github.com/sony/gobreaker"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	tripsAfter = 2                // failed probes in a row
	staysOpen  = 10 * time.Second // before it is probed again
	condemned  = 3                // times in a row that it opened: the instance is replaced
)

// breakers are the circuit breakers of all instances that have had a lease. They belong to the dispatcher's side, under its lock.
//
// What a caller's request came to only raises suspicion: any caller could choose it. A suspected engine is probed at once, that is, sent a request of
// our own, and by what becomes of probes alone a breaker opens, and closes again.
//
//	        suspected: a probe                  two in a row have failed
//	closed ────────────────────► closed, asked ────────────────────────► open ──── 10 s ───► half-open, asked ─┬─ answered ──► closed
//	   ▲                            │                                      ▲                                    └─ failed ────┐
//	   └───────── answered ─────────┘                                      └──────────────────────────────────────────────────┘
type breakers struct {
	dispatcher *dispatch.Dispatcher
	probed     bool // engines are sent requests of our own
	byInstance map[string]*breaker
	watched    map[*breaker]bool // those that a probe is under way to, or due
	tripped    map[string]trip   // instance ID -> state; only those that are not closed
	askAt      time.Duration     // when the first of those watched is due
	condemned  []string          // instances that the planner is to replace
	changes    []breakerChange   // for the log
}

// trip is how a breaker stands, and why.
type trip struct {
	state dispatch.BreakerState
	why   string // what the last probe that failed came to, for operators
}

type breakerChange struct {
	instance string
	state    dispatch.BreakerState
}

func newBreakers(d *dispatch.Dispatcher, probed bool) breakers {
	return breakers{
		dispatcher: d, probed: probed, byInstance: make(map[string]*breaker), watched: make(map[*breaker]bool),
		tripped: make(map[string]trip), askAt: never,
	}
}

// breaker is the circuit breaker of one instance.
type breaker struct {
	instance, addr string
	model          *fleet.Model
	two            *gobreaker.TwoStepCircuitBreaker
	state          dispatch.BreakerState
	opened         int // times in a row
	signs          signs
	proof          *proof // nil = its engine had proven itself before it got a lease

	suspected bool             // since the last probe began
	probing   bool             // a probe is under way
	probeAt   time.Duration    // the next one is not sent before
	why       string           // of the last probe that failed
	answered  time.Duration    // when the last one was; never = none was, since the last that failed
	joined    []chan<- verdict // told what becomes of the next probe
}

// of gives the breaker of an instance, which begins closed.
func (bs *breakers) of(l *dispatch.Lease) *breaker {
	b := bs.byInstance[l.Instance]
	if b == nil {
		b = &breaker{instance: l.Instance, addr: l.Addr, model: l.Model, answered: never}
		if l.Unproven {
			b.proof = &proof{}
		}
		b.two = gobreaker.NewTwoStepCircuitBreaker(gobreaker.Settings{
			Name: l.Instance, MaxRequests: 1, Timeout: staysOpen,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripsAfter },
		})
		bs.byInstance[l.Instance] = b
	}
	return b
}

// lend gives a granted lease what it shares with the others on its engine.
func (bs *breakers) lend(l *Lease) {
	b := bs.of(&l.Lease)
	l.signs, l.proof = &b.signs, b.proof
}

// proofsOf gives the proofs of instances that have one.
func (bs *breakers) proofsOf(instances []string) (proofs []*proof) {
	for _, id := range instances {
		if b := bs.byInstance[id]; b != nil && b.proof != nil {
			proofs = append(proofs, b.proof)
		}
	}
	return proofs
}

// forget drops the breaker of an instance that is gone, or begins anew.
func (bs *breakers) forget(instance string) {
	b := bs.byInstance[instance]
	if b == nil {
		return
	}
	delete(bs.byInstance, instance)
	delete(bs.watched, b)
	delete(bs.tripped, instance)
	b.tell(failed)
}

// judge takes what the end of a lease says of its engine.
func (bs *breakers) judge(now time.Duration, l *Lease, o Outcome) {
	switch o {
	case Succeeded:
		l.Heard()
	case EngineFailed:
		if b := bs.byInstance[l.Instance]; b != nil && bs.probed {
			bs.suspect(now, b)
		}
	}
}

// suspect has the instance probed, as soon as that may be.
func (bs *breakers) suspect(now time.Duration, b *breaker) {
	b.suspected = true
	bs.watch(now, b)
}

func (bs *breakers) watch(now time.Duration, b *breaker) {
	bs.watched[b] = true
	bs.askAt = min(bs.askAt, max(b.probeAt, now))
}

// due begins the probes that are due, and gives them.
func (bs *breakers) due(now time.Duration) (begun []*probe) {
	if now < bs.askAt {
		return nil
	}
	bs.askAt = never
	for b := range bs.watched {
		switch {
		case b.probing:
		case now < b.probeAt:
			bs.askAt = min(bs.askAt, b.probeAt)
		default:
			if p := bs.begin(now, b); p != nil {
				begun = append(begun, p)
			}
		}
	}
	return begun
}

func (bs *breakers) begin(now time.Duration, b *breaker) *probe {
	done, err := b.two.Allow()
	if err != nil { // its clock says that it is too early
		b.probeAt = now + time.Millisecond
		bs.watch(now, b)
		return nil
	}
	b.probing, b.suspected = true, false
	b.signs.ask()
	bs.follow(now, b)
	return &probe{breaker: b, done: done}
}

// finish takes what became of a probe.
func (bs *breakers) finish(now time.Duration, p *probe, v verdict, why string) {
	b := p.breaker
	b.probing = false
	b.signs.asked()
	if bs.byInstance[b.instance] != b {
		return // it was of an engine that is gone
	}
	switch v {
	case answered:
		p.done(true)
		b.opened, b.answered, b.probeAt = 0, now, now+probePause
	case failed:
		p.done(false)
		b.why = why
		b.answered, b.probeAt, b.suspected = never, now+probeAgain, true
	case undecided:
		b.probeAt = now + probePause
		if b.state == dispatch.BreakerHalfOpen {
			p.done(false) // open again, which says nothing
		}
	}
	bs.follow(now, b)
	if v == failed && b.state == dispatch.BreakerOpen {
		if b.opened++; b.opened >= condemned {
			bs.condemned = append(bs.condemned, b.instance)
		}
	}
	if b.suspected || b.state != dispatch.BreakerClosed {
		bs.watch(now, b)
	} else {
		delete(bs.watched, b)
	}
	b.tell(v)
}

// follow tells the dispatcher of a breaker's state, where that has changed.
func (bs *breakers) follow(now time.Duration, b *breaker) {
	state := breakerState(b.two.State())
	if state == b.state {
		return
	}
	b.state = state
	bs.tripped[b.instance] = trip{state, b.why}
	switch state {
	case dispatch.BreakerOpen:
		b.probeAt = now + staysOpen + time.Millisecond
	case dispatch.BreakerClosed:
		delete(bs.tripped, b.instance)
	}
	bs.changes = append(bs.changes, breakerChange{b.instance, state})
	bs.dispatcher.SetBreaker(now, b.instance, state)
}

// join has an instance probed for somebody who waits, unless it is known already what would become of it.
func (bs *breakers) join(now time.Duration, instance string, told chan<- verdict) (known bool, v verdict) {
	b := bs.byInstance[instance]
	switch {
	case b == nil || b.state != dispatch.BreakerClosed:
		return true, failed
	case !bs.probed:
		return true, undecided
	case b.answered != never && now < b.answered+probePause:
		return true, answered
	}
	b.joined = append(b.joined, told)
	if !b.probing {
		bs.suspect(now, b)
	}
	return false, undecided
}

// trippedBreakers gives the state of every breaker that is not closed, by instance.
func (a *Activator) trippedBreakers() map[string]trip {
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
