package activator

import (
	"errors"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
)

// ErrUnknownPool is TunePool's.
var ErrUnknownPool = errors.New("unknown pool")

// Why a request was refused. Acquire and Waiter.Answer wrap them in a *Refusal, ErrUnknownModel excepted.
var (
	ErrUnknownModel      = dispatch.ErrUnknownModel
	ErrQueueFull         = dispatch.ErrQueueFull
	ErrOrgQueueFull      = dispatch.ErrOrgQueueFull
	ErrNotHot            = dispatch.ErrNotHot
	ErrNoCapacity        = dispatch.ErrNoCapacity
	ErrActivationFailed  = dispatch.ErrActivationFailed
	ErrActivationTimeout = dispatch.ErrActivationTimeout
	ErrShuttingDown      = dispatch.ErrShuttingDown
)

// Refusal is the one answer of a request that gets no lease.
type Refusal = dispatch.Refusal
