package activator

import (
	"context"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Backend carries out the planner's acts. Do returns when the act is accepted, not when it is finished, and does nothing
// for an act that it has seen before. A back end refuses a launch of an instance that it was once told to stop. An
// accepted stop of an instance that it does not know is no error. Do is called from many goroutines at once, but never
// twice at a time for one instance.
type Backend interface {
	Do(context.Context, fleet.Act) error
}

// Observer tells what one source knows. Watch blocks until ctx is done or the source is lost (then it is called again,
// with a back-off), and owns no goroutine that outlives it. The callback may be called from any goroutine and does not keep what
// it is given.
type Observer interface {
	Watch(context.Context, func(fleet.Observation)) error
}

// Policy wishes how many instances of a model should be hot. It is called by the planner, under its lock: both methods must
// be quick and must not call the activator.
type Policy interface {
	Observe(fleet.Event)                                    // the only place that changes its state
	Decide(now time.Time, v *fleet.ModelView) fleet.Desired // a pure read, asked as often as wanted; v is not kept
}
