package whatif

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/simulate"
)

// Ledger is where the requests of the past are read.
type Ledger interface {
	Arrivals(ctx context.Context, from, to time.Time, f func(ledger.Arrival)) error
}

// Setting is a pool as it is set, or would be, with its models.
type Setting struct {
	Pool   fleet.Pool
	Models []*fleet.Model          // of the pool
	GPUs   int                     // of a slot
	Always bool                    // the pool's one slot is the machine, which is always there
	Policy func() activator.Policy // makes one that has learned nothing

	IdleCost float64
}

// Change is one setting that differs between the two.
type Change struct {
	Key  string `json:"key"`
	Now  string `json:"now"`
	Then string `json:"then"`
}

// Question asks for what would have been.
type Question struct {
	Now, Then Setting
	Changes   []Change
}

// Config is what New needs. Ledger, Moves and Price are required.
type Config struct {
	Ledger Ledger
	Moves  func(ctx context.Context) ([]fleet.Learned, error) // what moves between tiers have taken
	Price  func() fleet.NanoUSD                               // of a GPU-hour, now
	Now    func() time.Time                                   // nil = time.Now
	Most   int                                                // arrivals that are simulated; 0 = 500,000
	Limit  time.Duration                                      // of one answer; 0 = 2 minutes
	Queue  int                                                // questions that may wait for the one before; 0 = 4
}

const (
	usualMost  = 500_000
	usualLimit = 2 * time.Minute
	usualQueue = 4
	scored     = 24 * time.Hour // so much of the past is scored
	warmup     = 24 * time.Hour // and so much before it is simulated, so that the policy has learned, and something is parked
	slotStart  = 10 * time.Second
)

// usual is what moves take of which no model of the pool has shown it.
var usual = simulate.Moves{Cold: time.Minute, Wake: 3 * time.Second, Park: 3 * time.Second, Stop: 2 * time.Second}

// Why there is no answer.
var (
	ErrBusy    = errors.New("other what-if questions are being worked on; try again in a minute")
	ErrNothing = errors.New("no request to a model of this pool is recorded of the last day, so there is nothing to simulate")
	ErrTooLong = errors.New("the simulation was given up, because it took too long")
)

// Simulator answers questions, one at a time. It is safe for concurrent use.
type Simulator struct {
	c    Config
	turn chan struct{} // holds one while a question is worked on

	mu      sync.Mutex // guards waiting
	waiting int        // questions, the one that is worked on included
}

// New checks the config. It starts nothing.
func New(c Config) (*Simulator, error) {
	if c.Ledger == nil || c.Moves == nil || c.Price == nil {
		return nil, errors.New("whatif: Ledger, Moves and Price are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Most == 0 {
		c.Most = usualMost
	}
	if c.Limit == 0 {
		c.Limit = usualLimit
	}
	if c.Queue == 0 {
		c.Queue = usualQueue
	}
	return &Simulator{c: c, turn: make(chan struct{}, 1)}, nil
}

// Ask answers a question. It waits for its turn, and ends soon after ctx does.
func (s *Simulator) Ask(ctx context.Context, q *Question) (*Answer, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeoutCause(ctx, s.c.Limit, ErrTooLong)
	defer cancel()
	a, err := s.answer(ctx, q)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return a, err
}

func (s *Simulator) enter(ctx context.Context) (leave func(), err error) {
	s.mu.Lock()
	busy := s.waiting > s.c.Queue
	if !busy {
		s.waiting++
	}
	s.mu.Unlock()
	if busy {
		return nil, ErrBusy
	}
	gone := func() {
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, context.Cause(ctx)
	}
}

func (s *Simulator) answer(ctx context.Context, q *Question) (*Answer, error) {
	until := s.c.Now().UTC()
	models := make(map[string]uint32, len(q.Now.Models))
	for i, m := range q.Now.Models {
		models[m.ID] = uint32(i)
	}
	past, err := record(ctx, s.c.Ledger, models, until.Add(-scored-warmup), until, s.c.Most)
	if err != nil {
		return nil, err
	}
	from := past.scoredFrom(until)
	n, p50, p99 := past.waits(from)
	if n == 0 {
		return nil, ErrNothing
	}
	moves, err := s.c.Moves(ctx)
	if err != nil {
		return nil, err
	}
	a := &Answer{
		Simulated: true, Pool: q.Now.Pool.Name, Began: past.began, From: from, To: until, Requests: n,
		WaitedP50: p50.Microseconds(), WaitedP99: p99.Microseconds(), Changes: q.Changes,
	}
	if a.Now, err = s.simulate(ctx, &q.Now, past, moves, a); err == nil {
		a.Then, err = s.simulate(ctx, &q.Then, past, moves, a)
	}
	if err != nil {
		return nil, err
	}
	a.explain(q, past, moves)
	return a, nil
}

// scoredFrom gives the moment from which is scored. A recording that is younger than a day and a warm-up begins with its first request.
func (r *recording) scoredFrom(until time.Time) time.Time {
	from := until.Add(-scored)
	if len(r.arrivals) == 0 {
		return from
	}
	if first := time.UnixMicro(r.arrivals[0].at).UTC(); first.After(from) {
		r.began, from = first, first
	}
	return from
}

// simulate plays the recording under one setting.
func (s *Simulator) simulate(ctx context.Context, of *Setting, past *recording, moves []fleet.Learned, a *Answer) (Outcome, error) {
	slots := of.Pool.Slots.Min
	if of.Always {
		slots = 1
	}
	r, err := simulate.Replay(ctx, simulate.Site{
		Policy: of.Policy(), Models: of.Models, Pool: of.Pool, GPUs: of.GPUs, Slots: slots, Began: past.began, Warmup: a.From.Sub(past.began),
		Until: a.To.Sub(past.began), Moves: moves, Usual: usual, SlotStart: slotStart, IdleCost: of.IdleCost,
	}, past.play())
	if err != nil {
		return Outcome{}, fmt.Errorf("simulating pool %s: %w", of.Pool.Name, err)
	}
	return outcomeOf(r, s.c.Price()), nil
}
