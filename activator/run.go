package activator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	watchAgainFirst   = 100 * time.Millisecond
	watchAgainLongest = 10 * time.Second
)

// Run adopts what the observers see, watches them, performs the planner's acts and keeps its timers. It blocks until ctx is
// done and the last effect has returned; whoever still waits is then answered with ErrShuttingDown. Instances are left as they are.
func (a *Activator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	a.mu.Lock()
	a.watching = make([]context.CancelCauseFunc, len(a.cfg.Observers))
	a.mu.Unlock()
	for n := range a.cfg.Observers {
		g.Go(func() error {
			a.watch(ctx, n)
			return nil
		})
	}
	g.Go(func() error {
		a.loop(ctx, g)
		return nil
	})
	g.Go(func() error {
		a.learn(ctx)
		return nil
	})
	err := g.Wait()
	a.Drain()
	return err
}

// loop wakes the machines when something is due, and starts the acts.
func (a *Activator) loop(ctx context.Context, g *errgroup.Group) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-timer.C:
		}
		acts, wait := a.wake()
		for _, act := range acts {
			g.Go(func() error {
				a.do(ctx, act)
				return nil
			})
		}
		timer.Reset(wait)
	}
}

// wake steps what is due, and gives the acts to perform and how long nothing will be due.
func (a *Activator) wake() ([]fleet.Act, time.Duration) {
	a.mu.Lock()
	now := a.now()
	a.dispatcher.Tick(now)
	a.askBreakers(now)
	if a.timed && now >= a.due {
		a.exchange(now)
	}
	a.armed = 0 // finish need not wake us: we are awake
	if a.dispatcher.ReportDue(now) {
		a.exchange(now)
	}
	acts := take(&a.acts)
	a.armed = a.next()
	wait := a.armed - now
	if a.armed == never {
		wait = never
	}
	a.finish(now)
	return acts, max(wait, 0)
}

// do hands one act to the back end, and its answer to the planner.
func (a *Activator) do(ctx context.Context, act fleet.Act) {
	err := a.cfg.Backend.Do(ctx, act)
	if ctx.Err() != nil {
		return // cut short by our own end: it says nothing about the instance
	}
	if err != nil {
		a.log.Warn("act refused", "act", string(act.Kind), "model", act.Model, "instance", act.Instance, "error", err)
	}
	a.mu.Lock()
	now := a.now()
	a.planner.Accepted(now, &act, err)
	a.exchange(now)
	var again []context.CancelCauseFunc
	if a.planner.Unsure() {
		again = slices.Clone(a.watching)
	}
	a.finish(now)
	for _, cancel := range again {
		if cancel != nil {
			cancel(errAskAgain)
		}
	}
}

// errAskAgain ends a watch so that the next one begins with a fresh complete list.
var errAskAgain = errors.New("asked again for a complete list")

// learn hands on what activations took. It has a goroutine of its own, because a store may be slow, and nobody else may wait for it.
func (a *Activator) learn(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-a.lesson:
		}
		a.mu.Lock()
		learned := take(&a.learned)
		a.mu.Unlock()
		for _, l := range learned {
			if a.cfg.Learn != nil {
				a.cfg.Learn(l)
			}
		}
	}
}

// watch follows one observer, again and again when it is lost. What it said last stays true meanwhile. Of an outage the log has its beginning and
// its end; that it goes on is for whoever looks closely.
func (a *Activator) watch(ctx context.Context, n int) {
	delay := watchAgainFirst
	away := false // it has been lost, and has not spoken since
	for ctx.Err() == nil {
		began := time.Now()
		err := a.watchOnce(ctx, n, func(source string) {
			if away {
				a.log.Info("observer is back", "source", source)
			}
			away = false
		})
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAskAgain) || time.Since(began) > watchAgainLongest {
			delay = watchAgainFirst
		}
		level := slog.LevelWarn
		if errors.Is(err, errAskAgain) || away {
			level = slog.LevelDebug
		}
		a.log.Log(ctx, level, "observer lost", "reason", err, "again_in", delay)
		away = away || !errors.Is(err, errAskAgain)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, watchAgainLongest)
	}
}

// watchOnce follows one observer until it is lost, or must be asked again, and calls spoke at its first word.
func (a *Activator) watchOnce(ctx context.Context, n int, spoke func(source string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.mu.Lock()
	a.watching[n] = cancel
	a.mu.Unlock()
	var name atomic.Pointer[string]
	err := a.cfg.Observers[n].Watch(ctx, func(o fleet.Observation) {
		if name.CompareAndSwap(nil, &o.Source) {
			spoke(o.Source)
		}
		a.observe(o)
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if name := name.Load(); name != nil {
		a.lose(*name)
	}
	return err
}

// lose notes that a source is unreachable.
func (a *Activator) lose(name string) {
	a.mu.Lock()
	now := a.now()
	a.planner.Lost(name)
	a.exchange(now)
	a.finish(now)
}

// observe takes an observation; whoever can be served because of it has been told when observe returns.
func (a *Activator) observe(o fleet.Observation) {
	a.mu.Lock()
	now := a.now()
	a.planner.Observe(now, &o)
	a.exchange(now)
	a.finish(now)
}
