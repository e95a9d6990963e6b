package probe

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Source is the name under which the observations go.
const Source = "probe"

// confirmWithin is how long an engine that is missed may take to say that it is healthy.
const confirmWithin = 5 * time.Second

// Config is what probing needs.
type Config struct {
	Models  []*fleet.Model // instances of others are not asked
	Confirm time.Duration  // how long a missed engine may take to say that it is healthy; 0 = 5 s
	Log     *slog.Logger   // nil: discard
}

// Prober asks engines. Its methods are safe for concurrent use, but Watch is for one caller at a time.
type Prober struct {
	cfg    Config
	models map[string]*fleet.Model
	wake   chan struct{} // holds one: a target wants to be asked

	mu      sync.Mutex // guards targets and what they hold
	targets map[string]*target
}

// New makes a prober that has heard of no instance yet.
func New(cfg Config) *Prober {
	if cfg.Confirm == 0 {
		cfg.Confirm = confirmWithin
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Prober{cfg: cfg, models: make(map[string]*fleet.Model), wake: make(chan struct{}, 1), targets: make(map[string]*target)}
	for _, m := range cfg.Models {
		p.models[m.ID] = m
	}
	return p
}

// Watcher is any source of observations.
type Watcher interface {
	Watch(context.Context, func(fleet.Observation)) error
}

// Overheard is a source whose every observation the prober hears too, right after the one whom it is told to.
type Overheard struct {
	prober *Prober
	source Watcher
}

// Over makes the prober hear what the source says. The back end's observations give it addresses, a source of liveness makes it
// ask again.
func (p *Prober) Over(source Watcher) *Overheard { return &Overheard{prober: p, source: source} }

// Watch is the source's own Watch.
func (o *Overheard) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	return o.source.Watch(ctx, func(seen fleet.Observation) {
		tell(seen)
		o.prober.Observe(seen)
	})
}

// Watch asks engines, and tells of each phase, until ctx is done; then it returns nil. It begins with what it has found out
// before. The callback is called from many goroutines, in order for each instance.
func (p *Prober) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.retell(tell)
	for {
		for _, q := range p.due(ctx) {
			asking.Go(func() { p.ask(q, tell) })
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// retell tells of the instances that were found ready before.
func (p *Prober) retell(tell func(fleet.Observation)) {
	p.mu.Lock()
	var known []fleet.Observation
	for _, t := range p.targets {
		if t.state == answered {
			known = append(known, t.found(t.askedAt, fleet.PhaseReady, ""))
		}
	}
	p.mu.Unlock()
	for _, o := range known {
		tell(o)
	}
}

func (p *Prober) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
