package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
)

// Ask is one request for a lease.
type Ask = dispatch.Ask

// Outcome says how a lease ended, for the instance's circuit breaker.
type Outcome int

// The outcomes. A client's own error or departure says nothing about the engine, nor does a limit that it has exceeded: it is Neutral. That an
// engine has failed a request makes it suspected, and no more: a request of our own must fail, too.
const (
	Neutral Outcome = iota
	Succeeded
	EngineFailed
)

// Lease is the right to one of an instance's request slots, from its grant until Release.
type Lease struct {
	dispatch.Lease
	owner *Activator
	signs *signs // of its engine's life; nil = nobody looks for any
	proof *proof // of its engine; nil = it had proven itself before the grant
}

// Heard notes that the engine has said something. It costs next to nothing, and may be called from any goroutine.
func (l *Lease) Heard() {
	if l.signs != nil {
		l.signs.note()
	}
}

// ProvenAt gives the moment from which the engine is known to have made a token since its start or resume, for anybody: requests pay from then on. It
// is the zero moment where that was so before the grant; false = it is not known yet.
func (l *Lease) ProvenAt() (time.Time, bool) {
	if l.proof == nil {
		return time.Time{}, true
	}
	return l.proof.givenAt()
}

// Prove notes that the engine has made a token, now. Of all who see one, on any lease or beside them, the first counts.
func (l *Lease) Prove() {
	if l.proof != nil {
		l.proof.give(time.Now())
	}
}

// OnProven has f called once, with what ProvenAt gives, when that is known: at once, or from another goroutine, but not after Release has returned.
// f must neither block nor use the activator or the lease.
func (l *Lease) OnProven(f func(at time.Time)) {
	if l.proof == nil {
		f(time.Time{})
		return
	}
	l.proof.tell(l, f)
}

// Release gives the slot back. The first call counts, later ones do nothing. It may be called from any goroutine.
func (l *Lease) Release(o Outcome) { l.owner.release(l, o) }
