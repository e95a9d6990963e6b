package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Outcome says how a lease ended, for the instance's circuit breaker.
type Outcome int

// The outcomes. A client's own error or departure says nothing about the engine: it is Neutral.
const (
	Neutral Outcome = iota
	Succeeded
	EngineFailed
)

// Lease is the right to one of an instance's request slots, from its grant until Release. Its fields are not written after
// the grant.
type Lease struct {
	Instance   string
	Addr       string // host:port of the engine
	Model      *fleet.Model
	Start      fleet.Tier    // hot, or the tier from which the instance was activated while this request waited
	Queued     time.Duration // its wait, less Activating
	Activating time.Duration // the part of its wait in which the instance that serves it was being activated

	owner *Activator
	grant grant
	done  func(success bool) // tells the breaker's generation under which the lease was granted; nil = none
}

// Release gives the slot back. The first call counts, later ones do nothing. It may be called from any goroutine.
func (l *Lease) Release(o Outcome) { l.owner.release(l, o) }
