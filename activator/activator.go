package activator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
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
	Learn     func(fleet.Learned) // called by Run after each activation, one at a time, outside of all locks; nil = nothing is kept
	Log       *slog.Logger        // nil = discard
	Term      uint64              // this planner's life, larger than any before; 0 = milliseconds of the clock
	Seed      uint64              // of the jitter of back-offs; 0 = random
	IdleCost  float64             // what idle GPU time in a pool's slots counts, 0 to 1: they are held anyway
}

// Activator hands out leases on instances and sees to it that instances exist. All methods may be called from any
// goroutine at any time, before, during and after Run.
type Activator struct {
	cfg    Config
	log    *slog.Logger
	epoch  time.Time     // 0 on the machines' clocks
	kick   chan struct{} // wakes the loop
	lesson chan struct{} // wakes the learner

	mu         sync.Mutex // guards both machines and what follows
	dispatcher *Dispatcher
	planner    *Planner
	report     Report                    // used again and again
	breakers   map[string]*breaker       // instance ID -> its breaker
	breakersAt time.Duration             // when the first open one must be asked
	acts       []fleet.Act               // for the loop to perform
	due        time.Duration             // when the planner or a breaker must be looked at; 0 = at once
	timed      bool                      // due is set
	armed      time.Duration             // when the loop wakes by itself
	watching   []context.CancelCauseFunc // by observer: ends the watch under way
	learned    []fleet.Learned           // for the learner to hand on
	notices    board
	metrics    instruments
}

// New checks the config. It starts nothing.
func New(cfg Config) (*Activator, error) {
	if cfg.Backend == nil || cfg.Policy == nil {
		return nil, errors.New("activator: Backend and Policy are required")
	}
	seen := make(map[string]bool)
	for _, m := range cfg.Models {
		if m.ID == "" || seen[m.ID] {
			return nil, fmt.Errorf("activator: model %q has no ID of its own", m.ID)
		}
		seen[m.ID] = true
	}
	now := time.Now()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Term == 0 {
		cfg.Term = uint64(now.UnixMilli())
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	a := &Activator{
		cfg: cfg, log: cfg.Log, epoch: now, kick: make(chan struct{}, 1), lesson: make(chan struct{}, 1), breakers: make(map[string]*breaker), breakersAt: never, armed: never,
		dispatcher: NewDispatcher(DispatcherConfig{ID: "self", Incarnation: cfg.Term, Models: cfg.Models}),
		planner: NewPlanner(PlannerConfig{
			Policy: cfg.Policy, Models: cfg.Models, Pools: cfg.Pools, Learned: cfg.Learned, Term: cfg.Term, Epoch: now, Seed: cfg.Seed, IdleCost: cfg.IdleCost,
		}),
	}
	a.notices.fresh = make(chan struct{})
	a.metrics.init(a)
	return a, nil
}

// never is later than every moment.
const never = time.Duration(1<<63 - 1)

// Acquire asks for a lease. Where an instance is ready and nobody is before, it grants at once; else it gives a place in the
// queue; else an error (a *Refusal, or ErrUnknownModel). Exactly one of the three is not nil.
func (a *Activator) Acquire(ask Ask) (*Lease, *Waiter, error) {
	l := &Lease{owner: a}
	a.mu.Lock()
	now := a.now()
	if a.dispatcher.Take(now, &ask, l) {
		a.bind(l)
		a.finish(now)
		a.metrics.queued(l.Model.ID, 0)
		return l, nil, nil
	}
	w := &Waiter{owner: a, ready: make(chan struct{})}
	err := a.dispatcher.Enqueue(now, &ask, w)
	a.finish(now)
	switch {
	case err != nil:
		return nil, nil, err
	case a.answeredAtOnce(w):
		l, err := w.Answer()
		return l, nil, err
	default:
		return nil, w, nil
	}
}

func (a *Activator) answeredAtOnce(w *Waiter) bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// release ends a lease. The breaker hears of it first, so that a slot which an engine's failure has freed is granted to nobody.
func (a *Activator) release(l *Lease, o Outcome) {
	a.mu.Lock()
	now := a.now()
	if !l.grant.released {
		a.judge(now, l, o)
		a.dispatcher.Release(now, l)
	}
	a.finish(now)
}

// Drain prepares for shutdown: whoever waits, or asks from now on, is answered with ErrShuttingDown, and nothing is started any more.
func (a *Activator) Drain() {
	a.mu.Lock()
	now := a.now()
	a.planner.Close()
	a.dispatcher.Close(now)
	a.finish(now)
}

// Hold keeps the model hot for d (0 = its idle_after), starting it if need be.
func (a *Activator) Hold(model string, d time.Duration) error {
	a.mu.Lock()
	now := a.now()
	if m := a.planner.byModel[model]; m != nil && d <= 0 {
		d = m.IdleAfter
	}
	err := a.planner.Hold(now, model, d)
	if err != nil {
		err = fmt.Errorf("holding %s: %w", model, err)
	}
	a.exchange(now)
	a.finish(now)
	return err
}

// StopModel ends a hold and takes the model's instances away: those that serve finish first. The next request may start it again.
func (a *Activator) StopModel(model string) error {
	a.mu.Lock()
	now := a.now()
	a.exchange(now)
	err := a.planner.StopModel(now, model)
	if err != nil {
		err = fmt.Errorf("stopping %s: %w", model, err)
	}
	a.exchange(now)
	a.finish(now)
	return err
}

// TunePool replaces the limits of the pool of that name, at once: parked instances that are over a new limit are stopped, the cheapest to lose
// first, and slots are added and given back. Nobody awake is moved. Engines that run keep the GPU memory that they were launched with, so as many are parked beside
// one as it left room for.
func (a *Activator) TunePool(pool fleet.Pool) error {
	a.mu.Lock()
	now := a.now()
	err := a.planner.Tune(now, pool.Name, pool)
	if err != nil {
		err = fmt.Errorf("tuning pool %s: %w", pool.Name, err)
	}
	a.exchange(now)
	a.finish(now)
	return err
}

// ModelState gives the state of one model: cold, starting, parked or hot; "" for an unknown one. It is cheap.
func (a *Activator) ModelState(id string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.planner.byModel[id]; m != nil {
		return m.state()
	}
	return ""
}

// Metrics gives the activator's own metrics.
func (a *Activator) Metrics() *metrics.Set { return a.metrics.set }
