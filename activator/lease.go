package activator

import "github.com/pilotlight-io/pilotlight/activator/dispatch"

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
}

// Heard notes that the engine has said something. It costs next to nothing, and may be called from any goroutine.
func (l *Lease) Heard() {
	if l.signs != nil {
		l.signs.note()
	}
}

// Release gives the slot back. The first call counts, later ones do nothing. It may be called from any goroutine.
func (l *Lease) Release(o Outcome) { l.owner.release(l, o) }
