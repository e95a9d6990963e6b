package activator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
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
	Term      uint64              // this planner's life, larger than any before; 0 = milliseconds of the clock. Not with Server
	Seed      uint64              // of the jitter of back-offs; 0 = random
	// Probe sends a request of our own to the engine at addr (host:port), for one token, and returns nil once that has come. It is called where answers
	// to callers are suspicious, from many goroutines, but one at a time for an instance. An error counts against the engine, unless it
	// wraps fleet.ErrUndecided. Nil = none is sent, and nothing ever counts against an engine but what observers say.
	Probe func(ctx context.Context, m *fleet.Model, addr string) error

	// Server names this server among several of one cluster, of which one at a time has a planner: see Servers. A server's name stays over its lives.
	// "" = it is the only one, and has one from the start.
	Server string
	Life   uint64 // of the server, larger than any before of its name; 0 = milliseconds of the clock. Only with Server

	IdleCost float64 // what idle GPU time in a pool's slots counts, 0 to 1: they are held anyway
}

// Activator hands out leases on instances and sees to it that instances exist. All methods may be called from any
// goroutine at any time, before, during and after Run.
//
// Each machine has a lock of its own, so that a request on a hot model never waits for a decision. Whoever needs both takes planning first:
//
//	Acquire, Release, Leave, Outlook ──► leasing ── report due ──► the loop (Run)
//	                                        ▲                         │
//	                                        └── report, tables ── planning ◄── Observe, Accepted, operators, Snapshot
type Activator struct {
	cfg     Config
	log     *slog.Logger
	epoch   time.Time     // 0 on the machines' clocks
	kick    chan struct{} // wakes the loop
	lesson  chan struct{} // wakes the learner
	acts    actQueue
	notices board
	metrics instruments

	published published

	planning sync.Mutex         // guards the planner and what follows
	planner  *plan.Planner      // nil = another server has it, or none
	report   protocol.Report    // used again and again
	heard    uint64             // the last report that the planner has taken
	due      time.Duration      // when the planner must be looked at; never = only after an event
	watches  watches            // one for each observer
	learned  []fleet.Learned    // for the learner to hand on
	tenure   context.Context    // of the planner; nil = for good
	mail     map[string]*outbox // by server: tables for those that listen
	models   []*fleet.Model     // of the config in force
	pools    []fleet.Pool

	leasing    sync.Mutex // guards the dispatcher and what follows
	dispatcher *dispatch.Dispatcher
	breakers   breakers
	armed      time.Duration // when the loop wakes by itself; 0 = it is awake
	follows    bool          // the planner is elsewhere
	reporting  chan struct{} // wakes who sends it reports
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
	if cfg.Server != "" && cfg.Term != 0 {
		return nil, errors.New("activator: a server among several takes its term when it leads")
	}
	now := time.Now()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Term == 0 {
		cfg.Term = uint64(now.UnixMilli())
	}
	if cfg.Life == 0 {
		cfg.Life = cfg.Term
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	a := &Activator{
		cfg: cfg, log: cfg.Log, epoch: now, kick: make(chan struct{}, 1), lesson: make(chan struct{}, 1), due: never, armed: never,
		models: cfg.Models, pools: cfg.Pools, mail: make(map[string]*outbox), reporting: make(chan struct{}, 1), follows: cfg.Server != "",
		dispatcher: dispatch.New(dispatch.Config{ID: cmp.Or(cfg.Server, "self"), Incarnation: cfg.Life, Models: cfg.Models}),
	}
	if !a.follows {
		a.planner = newPlanner(a, &Tenure{Term: cfg.Term, Learned: cfg.Learned})
		a.watches = newWatches(a, cfg.Observers)
	}
	a.breakers = newBreakers(a.dispatcher, cfg.Probe != nil)
	a.notices.fresh = make(chan struct{})
	a.metrics.init(a)
	return a, nil
}

// newPlanner makes a planner of the config in force.
func newPlanner(a *Activator, t *Tenure) *plan.Planner {
	c := plan.Config{
		Policy: a.cfg.Policy, Models: a.models, Pools: a.pools, Learned: t.Learned, Term: t.Term, Former: t.Former, Epoch: a.epoch, Seed: a.cfg.Seed, IdleCost: a.cfg.IdleCost,
	}
	if a.cfg.Server != "" {
		c.Self, c.TTL, c.Resend = a.cfg.Server, tablesLast, resendAfter
	}
	return plan.New(c)
}

// Acquire asks for a lease. Where an instance is ready and nobody is before, it grants at once; else it gives a place in the
// queue; else an error (a *Refusal, or ErrUnknownModel). Exactly one of the three is not nil.
func (a *Activator) Acquire(ask Ask) (*Lease, *Waiter, error) {
	l := &Lease{owner: a}
	a.leasing.Lock()
	now := a.now()
	if a.dispatcher.Acquire(now, &ask, &l.Lease) {
		a.breakers.lend(l)
		a.finishLeasing(now)
		a.metrics.queued(l.Model.ID, 0)
		return l, nil, nil
	}
	w := &Waiter{owner: a, ready: make(chan struct{}), lease: l}
	w.place.Value = w
	err := a.dispatcher.Enqueue(now, &ask, &w.place, &w.lease.Lease)
	a.finishLeasing(now)
	switch {
	case err != nil:
		return nil, nil, err
	case w.answered():
		l, err := w.Answer()
		return l, nil, err
	default:
		return nil, w, nil
	}
}

// release ends a lease.
func (a *Activator) release(l *Lease, o Outcome) {
	if l.proof != nil {
		l.proof.untold(l)
	}
	a.leasing.Lock()
	now := a.now()
	if !l.Released() {
		a.breakers.judge(now, l, o)
		a.dispatcher.Release(now, &l.Lease)
	}
	a.finishLeasing(now)
}

// Drain prepares for shutdown: whoever waits, or asks from now on, is answered with ErrShuttingDown, and nothing is started any more.
func (a *Activator) Drain() {
	a.planning.Lock()
	if a.planner != nil {
		a.planner.Close()
	}
	a.finishPlanning()
	a.leasing.Lock()
	now := a.now()
	a.dispatcher.Close(now)
	a.finishLeasing(now)
}

// Hold keeps the model hot for d (0 = its idle_after), starting it if need be.
func (a *Activator) Hold(model string, d time.Duration) error {
	a.planning.Lock()
	err := following(a)
	if err == nil {
		err = a.planner.Hold(a.now(), model, d)
	}
	if err != nil {
		err = fmt.Errorf("holding %s: %w", model, operatorError(err))
	}
	a.exchange()
	a.finishPlanning()
	return err
}

// StopModel ends a hold and takes the model's instances away: those that serve finish first. The next request may start it again.
func (a *Activator) StopModel(model string) error {
	a.planning.Lock()
	a.exchange()
	err := following(a)
	if err == nil {
		err = a.planner.StopModel(a.now(), model)
	}
	if err != nil {
		err = fmt.Errorf("stopping %s: %w", model, operatorError(err))
	}
	a.exchange()
	a.finishPlanning()
	return err
}

// TunePool replaces the limits of the pool of that name, at once: parked instances that are over a new limit are stopped, the cheapest to lose
// first, and slots are added and given back. Nobody awake is moved. Engines that run keep the GPU memory that they were launched with, so as many are parked beside
// one as it left room for.
func (a *Activator) TunePool(pool fleet.Pool) error {
	a.planning.Lock()
	err := following(a)
	if err == nil {
		err = a.planner.Tune(a.now(), pool.Name, pool)
	}
	if err != nil {
		err = fmt.Errorf("tuning pool %s: %w", pool.Name, err)
	}
	a.exchange()
	a.finishPlanning()
	return err
}

// Configure replaces the models and pools of the config, all of them or, where it refuses, none. Whoever waits keeps the place, also for a model that is
// no longer there; new requests for that are of an unknown model. Instances that would now be launched otherwise (see fleet.Model.LaunchesLike) are
// drained and replaced.
func (a *Activator) Configure(models []*fleet.Model, pools []fleet.Pool) error {
	a.planning.Lock()
	var err error
	if a.planner != nil {
		err = a.planner.Configure(a.now(), models, pools)
	}
	if err == nil {
		a.models, a.pools = models, pools
		a.metrics.configure(models)
		a.leasing.Lock()
		a.dispatcher.SetModels(models)
		a.finishLeasing(a.now())
	} else {
		err = fmt.Errorf("taking another config: %w", err)
	}
	a.exchange()
	a.finishPlanning()
	return err
}

// ModelState gives the state of one model: cold, starting, parked or hot; "" for an unknown one. It is cheap: it looks, and decides nothing.
func (a *Activator) ModelState(id string) string {
	a.planning.Lock()
	defer a.planning.Unlock()
	if a.planner != nil {
		return a.planner.ModelState(id)
	}
	a.leasing.Lock()
	defer a.leasing.Unlock()
	return dispatch.State(a.dispatcher, id)
}

// InstanceState gives the state of one instance; "" where there is none of that ID. It is cheap. Where the planner is another server's, instances are known
// that this one has a share of, or leases on.
func (a *Activator) InstanceState(id string) fleet.State {
	a.planning.Lock()
	defer a.planning.Unlock()
	if a.planner != nil {
		return a.planner.InstanceState(id)
	}
	a.leasing.Lock()
	defer a.leasing.Unlock()
	switch i, held := a.dispatcher.Instance(id); {
	case !held:
		return ""
	case i.Slots == 0:
		return fleet.Draining
	default:
		return fleet.Ready
	}
}

// Metrics gives the activator's own metrics.
func (a *Activator) Metrics() *metrics.Set { return a.metrics.set }
