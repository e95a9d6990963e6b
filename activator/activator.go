package activator

import (
	"context"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Config is what an Activator needs. Backend and Policy are required.
type Config struct {
	Backend   Backend
	Observers []Observer
	Policy    Policy
	Models    []*fleet.Model
	Pools     []fleet.Pool
	Learned   []fleet.Learned     // what activations took in earlier lives
	Learn     func(fleet.Learned) // called after each activation, outside of all locks; nil = nothing is kept
	Log       *slog.Logger        // nil = discard
	Term      uint64              // this planner's life, larger than any before; 0 = milliseconds of the clock
	Seed      uint64              // of the jitter of back-offs; 0 = random
}

// Activator hands out leases on instances and sees to it that instances exist. All methods may be called from any
// goroutine at any time, before, during and after Run.
type Activator struct{}

type (
	grant struct{}
	place struct{}
)

// New checks the config. It starts nothing.
func New(cfg Config) (*Activator, error) { panic("unfinished") }

// Run adopts what the observers see, watches them, performs the planner's acts and keeps its timers. It blocks until ctx is
// done and the last effect has returned; whoever still waits is then answered with ErrShuttingDown. Instances are left as they are.
func (a *Activator) Run(ctx context.Context) error { panic("unfinished") }

// Acquire asks for a lease. Where an instance is ready and nobody is before, it grants at once; else it gives a place in the
// queue; else an error (a *Refusal, or ErrUnknownModel). Exactly one of the three is not nil.
func (a *Activator) Acquire(ask Ask) (*Lease, *Waiter, error) { panic("unfinished") }

func (a *Activator) release(l *Lease, o Outcome) { panic("unfinished") }

// Drain prepares for shutdown: whoever waits, or asks from now on, is answered with ErrShuttingDown, and nothing is started any more.
func (a *Activator) Drain() { panic("unfinished") }

// Hold keeps the model hot for d (0 = its idle_after), starting it if need be.
func (a *Activator) Hold(model string, d time.Duration) error { panic("unfinished") }

// StopModel ends a hold and takes the model's instances away: those that serve finish first. The next request may start it again.
func (a *Activator) StopModel(model string) error { panic("unfinished") }

// ModelState gives the state of one model: cold, starting, parked or hot; "" for an unknown one. It is cheap.
func (a *Activator) ModelState(id string) string { panic("unfinished") }

// Snapshot gives the whole fleet at this moment.
func (a *Activator) Snapshot() *fleet.Snapshot { panic("unfinished") }

// Explain says what the policy wishes for the model now, what the planner would do about it, and why, without doing it.
func (a *Activator) Explain(model string) (fleet.Explanation, error) { panic("unfinished") }

// Follow calls f for every notice after the given ID, first those that are remembered, then new ones as they come. It blocks
// until ctx is done (and returns its cause) or f returns an error (and returns that). MaxUint64 = only new ones.
func (a *Activator) Follow(ctx context.Context, after uint64, f func(fleet.Notice) error) error {
	panic("unfinished")
}

// Metrics gives the activator's own metrics.
func (a *Activator) Metrics() *metrics.Set { panic("unfinished") }
