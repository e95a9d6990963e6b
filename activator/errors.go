package activator

import (
	"errors"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ErrUnknownPool is TunePool's.
var ErrUnknownPool = plan.ErrUnknownPool

// ErrFollows is what an activator says that is asked for what a planner decides, while another server has the planner.
var ErrFollows = errors.New("another server decides")

// Why a request was refused. Acquire and Waiter.Answer wrap them in a *Refusal, ErrUnknownModel excepted.
var (
	ErrUnknownModel      = dispatch.ErrUnknownModel
	ErrQueueFull         = dispatch.ErrQueueFull
	ErrOrgQueueFull      = dispatch.ErrOrgQueueFull
	ErrNotHot            = dispatch.ErrNotHot
	ErrNoCapacity        = dispatch.ErrNoCapacity
	ErrActivationFailed  = dispatch.ErrActivationFailed
	ErrActivationTimeout = dispatch.ErrActivationTimeout
	ErrEnded             = dispatch.ErrEnded
	ErrShuttingDown      = dispatch.ErrShuttingDown
)

// Refusal is the one answer of a request that gets no lease.
type Refusal = dispatch.Refusal

// operatorError gives the planner's refusal of an operator's word in the words of this package.
func operatorError(err error) error {
	var never *plan.NeverFits
	switch {
	case errors.Is(err, plan.ErrUnknownModel):
		return ErrUnknownModel
	case errors.As(err, &never):
		return &Refusal{Err: ErrNoCapacity, Outlook: fleet.Outlook{Answer: fleet.NeverFits, Reason: never.Reason}}
	default:
		return err
	}
}
