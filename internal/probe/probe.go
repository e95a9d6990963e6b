package probe

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Source is the name under which the observations go.
const Source = "probe"

// confirmWithin is how long an engine that is missed may take to say that it is healthy.
const confirmWithin = 5 * time.Second

// Config is what probing needs.
type Config struct {
	Models  []*fleet.Model    // instances of others are not asked
	Confirm time.Duration     // how long a missed engine may take to say that it is healthy; 0 = 5 s
	Health  engine.HealthRule // by which a dedicated engine hangs; zero = as in a slot
	Log     *slog.Logger      // nil: discard
}

// Prober asks engines. Its methods are safe for concurrent use, but Watch is for one caller at a time.
type Prober struct {
	cfg  Config
	wake chan struct{} // holds one: there is something to ask

	mu       sync.Mutex              // guards all below, and what targets hold
	models   map[string]*fleet.Model // model ID -> model
	targets  map[string]*target      // instance ID -> target
	due      map[string]*target      // those that something is to be asked of
	recount  bool                    // ready ones are to be asked how many requests they serve
	again    bool                    // and before it is told anew which are
	counting bool                    // that is under way
}

// New makes a prober that has heard of no instance yet.
func New(cfg Config) *Prober {
	if cfg.Confirm == 0 {
		cfg.Confirm = confirmWithin
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Prober{cfg: cfg, wake: make(chan struct{}, 1), targets: make(map[string]*target), due: make(map[string]*target)}
	p.Configure(cfg.Models)
	return p
}

// Configure replaces the models. An instance that is known already is asked as before. A model that is no longer there stays known: an engine of it may
// still be on its way, for somebody who waits.
func (p *Prober) Configure(models []*fleet.Model) {
	p.mu.Lock()
	defer p.mu.Unlock()
	byID := maps.Clone(p.models)
	if byID == nil {
		byID = make(map[string]*fleet.Model, len(models))
	}
	for _, m := range models {
		byID[m.ID] = m
	}
	p.models = byID
}

// AskAgain makes the prober, if it is the one that is asked, tell anew which dedicated engines it found ready, and ask them how many requests they
// serve.
func (p *Prober) AskAgain(source string) {
	if source != Source {
		return
	}
	p.mu.Lock()
	p.recount, p.again = true, true
	p.mu.Unlock()
	p.nudge()
}

// Watcher is any source of observations.
type Watcher interface {
	Watch(context.Context, func(fleet.Observation)) error
}

// overheard is a source whose every observation the prober hears too, right after the one whom it is told to.
type overheard struct {
	Watcher
	prober *Prober
}

// askable is a source that can be asked for a fresh list.
type askable interface{ AskAgain(source string) }

// Over makes the prober hear what the source says. The back end's observations give it addresses, a source of liveness makes it
// ask again. What it gives can be asked again if the source can.
func (p *Prober) Over(source Watcher) Watcher {
	o := overheard{source, p}
	if s, ok := source.(askable); ok {
		return struct {
			overheard
			askable
		}{o, s}
	}
	return o
}

// Watch is the source's own Watch.
func (o overheard) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	return o.Watcher.Watch(ctx, func(seen fleet.Observation) {
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
	p.resume()
	p.tellReady(tell)
	for {
		for _, work := range p.takeDue(ctx) {
			asking.Go(func() { work(tell) })
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// resume has everything asked that an earlier Watch had begun.
func (p *Prober) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recount = true
	for id, t := range p.targets {
		p.due[id] = t
	}
}

func (p *Prober) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
