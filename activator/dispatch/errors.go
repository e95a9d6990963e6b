package dispatch

import (
	"errors"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Why a request was refused. Enqueue and Waiter.Answer wrap them in a *Refusal, ErrUnknownModel excepted.
var (
	ErrUnknownModel      = errors.New("unknown model")
	ErrQueueFull         = errors.New("the model's queue is full")
	ErrOrgQueueFull      = errors.New("the organisation's places in the model's queue are taken")
	ErrNotHot            = errors.New("the model is not hot")
	ErrNoCapacity        = errors.New("no GPUs for the model")
	ErrActivationFailed  = errors.New("the model's engine keeps failing to start")
	ErrActivationTimeout = errors.New("the model was not ready in time")
	ErrEnded             = errors.New("an operator has ended the request")
	ErrShuttingDown      = errors.New("the server is shutting down")
)

// Refusal is the one answer of a request that gets no lease. errors.Is finds the sentinel in it.
type Refusal struct {
	Err        error
	RetryAfter time.Duration // when a retry may help: between 1 s and 120 s in whole seconds; 0 = a retry cannot help
	Outlook    fleet.Outlook // what was known of the model at that moment
}

// Error gives the sentinel's text and, where one is known, the reason for people.
func (r *Refusal) Error() string {
	if r.Outlook.Reason == "" {
		return r.Err.Error()
	}
	return r.Err.Error() + ": " + r.Outlook.Reason
}

// Unwrap gives the sentinel.
func (r *Refusal) Unwrap() error { return r.Err }
