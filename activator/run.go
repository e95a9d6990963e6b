package activator

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Run adopts what the observers see, watches them, performs the planner's acts and keeps its timers. It blocks until ctx is
// done and the last effect has returned; whoever still waits is then answered with ErrShuttingDown. Instances are left as they are.
func (a *Activator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if a.cfg.Server == "" { // else Lead watches
		for _, w := range a.watches {
			g.Go(func() error {
				w.run(ctx)
				return nil
			})
		}
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
		wait, due := a.wake()
		for _, p := range due {
			g.Go(func() error {
				p.run(ctx, a)
				return nil
			})
		}
		a.startWorkers(ctx, g)
		timer.Reset(wait)
	}
}

// wake steps what is due, and gives how long nothing will be due, and the probes that are to be sent.
func (a *Activator) wake() (wait time.Duration, probes []*probe) {
	due, condemned, probes := a.tickLeasing()
	a.planning.Lock()
	for _, instance := range condemned {
		if a.planner != nil {
			a.planner.Condemn(a.now(), instance)
		}
	}
	if due || len(condemned) > 0 || a.now() >= a.due {
		a.exchange()
		a.finishPlanning()
	} else {
		a.planning.Unlock()
	}
	return a.arm(), probes
}

// tickLeasing does what is due in the dispatcher and the breakers. It reports whether the dispatcher has a report, the instances that
// the planner is to replace, and the probes that are to be sent.
func (a *Activator) tickLeasing() (due bool, condemned []string, probes []*probe) {
	a.leasing.Lock()
	a.armed = 0 // nobody need wake us: we are awake
	now := a.now()
	a.dispatcher.Tick(now)
	probes = a.breakers.due(now)
	if !a.follows {
		due, condemned = a.dispatcher.ReportDue(now), take(&a.breakers.condemned)
	}
	a.finishLeasing(now)
	return due, condemned, probes
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
	ctx, done := inTenure(ctx, a)
	defer done()
	err := a.cfg.Backend.Do(ctx, act)
	if ctx.Err() != nil {
		return // cut short by our own end: it says nothing about the instance
	}
	if err != nil {
		a.log.Warn("act refused", "act", string(act.Kind), "model", act.Model, "instance", act.Instance, "reason", err)
	}
	a.planning.Lock()
	if a.planner != nil {
		a.planner.Accepted(a.now(), &act, err)
	}
	a.exchange()
	a.finishPlanning()
}

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
