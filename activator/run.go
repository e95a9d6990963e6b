package activator

import (
	"context"
	"errors"
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
	a.planning.Lock()
	a.watching = make([]context.CancelCauseFunc, len(a.cfg.Observers))
	a.planning.Unlock()
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

// loop wakes the machines when something is due, and starts workers for the acts.
func (a *Activator) loop(ctx context.Context, g *errgroup.Group) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			a.startWorkers(ctx, g) // for acts that were ordered before
			return
		case <-a.kick:
		case <-timer.C:
		}
		wait := a.wake()
		a.startWorkers(ctx, g)
		timer.Reset(wait)
	}
}

// wake steps what is due, and gives how long nothing will be due.
func (a *Activator) wake() time.Duration {
	due, condemned := a.tickLeasing()
	a.planning.Lock()
	for _, instance := range condemned {
		a.planner.Condemn(a.now(), instance)
	}
	if due || len(condemned) > 0 || a.now() >= a.due {
		a.exchange()
		a.finishPlanning()
	} else {
		a.planning.Unlock()
	}
	return a.arm()
}

// tickLeasing does what is due in the dispatcher and the breakers. It reports whether the dispatcher has a report, and the instances that
// the planner is to replace.
func (a *Activator) tickLeasing() (due bool, condemned []string) {
	a.leasing.Lock()
	a.armed = 0 // nobody need wake us: we are awake
	now := a.now()
	a.dispatcher.Tick(now)
	a.askBreakers(now)
	due, condemned = a.dispatcher.ReportDue(now), take(&a.breakers.condemned)
	a.finishLeasing(now)
	return due, condemned
}

// arm notes when the loop will wake by itself, and gives how long that is.
func (a *Activator) arm() time.Duration {
	a.planning.Lock()
	defer a.planning.Unlock()
	a.leasing.Lock()
	defer a.leasing.Unlock()
	now := a.now()
	a.armed = min(a.due, a.nextLeasing(now))
	if a.armed == never {
		return never
	}
	return max(a.armed-now, 0)
}

// startWorkers starts as many as there is work for and may be.
func (a *Activator) startWorkers(ctx context.Context, g *errgroup.Group) {
	for range a.acts.hire() {
		g.Go(func() error {
			for act, ok := a.acts.next(); ok; act, ok = a.acts.next() {
				a.do(ctx, act)
			}
			return nil
		})
	}
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
	a.planning.Lock()
	a.planner.Accepted(a.now(), &act, err)
	a.exchange()
	var again []context.CancelCauseFunc
	if a.planner.Unsure() {
		again = slices.Clone(a.watching)
	}
	a.finishPlanning()
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
		a.planning.Lock()
		learned := take(&a.learned)
		a.planning.Unlock()
		for _, l := range learned {
			if a.cfg.Learn != nil {
				a.cfg.Learn(l)
			}
		}
	}
}

// watch follows one observer, again and again when it is lost. What it said last stays true meanwhile.
func (a *Activator) watch(ctx context.Context, n int) {
	delay := watchAgainFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := a.watchOnce(ctx, n)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAskAgain) || time.Since(began) > watchAgainLongest {
			delay = watchAgainFirst
		}
		a.log.Debug("observer is watched again", "reason", err, "in", delay)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, watchAgainLongest)
	}
}

// watchOnce follows one observer until it is lost, or must be asked again.
func (a *Activator) watchOnce(ctx context.Context, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.planning.Lock()
	a.watching[n] = cancel
	a.planning.Unlock()
	var name atomic.Pointer[string]
	err := a.cfg.Observers[n].Watch(ctx, func(o fleet.Observation) {
		name.CompareAndSwap(nil, &o.Source)
		a.observe(o)
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil {
		err = errWatchEnded
	}
	if name := name.Load(); name != nil {
		a.lose(*name, err)
	} else {
		a.log.Warn("observer lost before it said anything", "reason", err)
	}
	return err
}

var errWatchEnded = errors.New("it has ended")

// observe takes an observation; whoever can be served because of it has been told when observe returns.
func (a *Activator) observe(o fleet.Observation) {
	if o.Lost != nil {
		a.lose(o.Source, o.Lost)
		return
	}
	a.planning.Lock()
	before := a.reached(&o)
	a.planner.Observe(a.now(), &o)
	a.exchange()
	a.finishPlanning()
	if before.Lost != "" {
		a.log.Info("source is back", "source", o.Source, "after", time.Since(before.Since))
	}
}
