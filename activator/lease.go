package activator

import "github.com/pilotlight-io/pilotlight/activator/dispatch"

// Ask is one request for a lease.
type Ask = dispatch.Ask

// Outcome says how a lease ended, for the instance's circuit breaker.
type Outcome int

// The outcomes. A client's own error or departure says nothing about the engine: it is Neutral.
const (
	Neutral Outcome = iota
	Succeeded
	EngineFailed
)

// Lease is the right to one of an instance's request slots, from its grant until Release.
type Lease struct {
	dispatch.Lease
	owner *Activator
	done  func(success bool) // tells the breaker's generation under which the lease was granted; nil = none
}

// Release gives the slot back. The first call counts, later ones do nothing. It may be called from any goroutine.
func (l *Lease) Release(o Outcome) { l.owner.release(l, o) }
