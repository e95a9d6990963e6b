package plan

import (
	"errors"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Policy wishes how many instances of a model should be hot. It is called by the planner: both methods must
// be quick and must not call the activator.
type Policy interface {
	Observe(fleet.Event)                                    // the only place that changes its state
	Decide(now time.Time, v *fleet.ModelView) fleet.Desired // a pure read, asked as often as wanted; v is not kept
}

// Config is what a Planner needs. Policy is required.
type Config struct {
	Policy    Policy
	Models    []*fleet.Model
	Pools     []fleet.Pool
	Learned   []fleet.Learned
	Term      uint64             // this life; larger than any before
	Epoch     time.Time          // the moment that is 0 on this planner's clock
	Seed      uint64             // of the jitter
	IdleCost  float64            // what idle GPU time in a pool's slots counts, 0 to 1: they are held anyway
	Patience  time.Duration      // 0 = 10 s
	Residence time.Duration      // 0 = 60 s
	TTL       time.Duration      // how long a table is good for; 0 = for ever: every dispatcher lives and dies with this process
	Resend    time.Duration      // what is not acknowledged for so long is said again, whole; 0 = never: no table is lost
	Former    *protocol.Handover // what the planner before has left; nil = it did not end in order
	Self      string             // the dispatcher that lives and dies with this process, though others do not; "" = none does
}

const (
	defaultPatience  = 10 * time.Second // a model waits this long before a busy instance is drained for it
	defaultResidence = time.Minute      // and that instance has been hot at least this long
)

// Why an operator's word was refused.
var (
	ErrUnknownModel = errors.New("unknown model")
	ErrUnknownPool  = errors.New("unknown pool")
)

// NeverFits says that no place can hold a model.
type NeverFits struct{ Reason string }

// Error gives the reason.
func (n *NeverFits) Error() string { return "the model never fits: it " + n.Reason }
