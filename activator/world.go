package activator

import (
	"context"

	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Backend carries out the planner's acts. Do returns when the act is accepted, not when it is finished, and does nothing
// for an act that it has seen before. A back end refuses a launch of an instance that it was once told to stop. An
// accepted stop of an instance that it does not know is no error. Do is called from many goroutines at once, but never
// twice at a time for one instance.
//
// Fence takes the term of a server that begins to act: from its return on, acts of older terms are refused with fleet.ErrFenced. So is the
// term itself, where the back end has heard of a newer one.
type Backend interface {
	Do(context.Context, fleet.Act) error
	Fence(ctx context.Context, term uint64) error
}

// Observer tells what one source knows. Watch blocks until ctx is done or the source is lost (then it is called again,
// with a back-off), and owns no goroutine that outlives it. The callback may be called from any goroutine and does not keep what
// it is given.
type Observer interface {
	Watch(context.Context, func(fleet.Observation)) error
}

// Asker is an Observer that can be asked for a fresh complete list of one of its sources, without a disturbance of others. AskAgain does not
// block. Of an Observer that is none, the whole Watch is ended and begun anew.
type Asker interface {
	AskAgain(source string)
}

// Policy wishes how many instances of a model should be hot.
type Policy = plan.Policy
