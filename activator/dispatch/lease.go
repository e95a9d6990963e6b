package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Lease is the right to one of an instance's request slots, from its grant until Release. Its fields are not written after
// the grant.
type Lease struct {
	Instance   string
	Addr       string // host:port of the engine
	Model      *fleet.Model
	GPUs       int           // that the instance holds, whatever the model's config says by now
	Start      fleet.Tier    // hot, or the tier from which the instance was activated while this request waited
	Queued     time.Duration // its wait, less Activating
	Activating time.Duration // the part of its wait in which the instance that serves it was being activated
	Unproven   bool          // its engine had made no token since it was resumed, as far as was known at the grant

	on       *instance
	at       time.Duration
	released bool
}

// Released reports whether it was given back.
func (l *Lease) Released() bool { return l.released }
