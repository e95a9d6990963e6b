package probe

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	countEvery  = time.Second // at most so often engines are asked how many requests they serve
	countWithin = 500 * time.Millisecond
	countAtOnce = 64
)

// count tells how many requests those dedicated engines serve that were found ready, or that they count none, as of the moment when asking began; before, where that is
// asked again, which were.
func (p *Prober) count(ctx context.Context, tell func(fleet.Observation), again bool) {
	if again {
		p.tellReady(tell)
	}
	began, ready := time.Now(), p.ready()
	running := make([]int, len(ready))
	var asking errgroup.Group
	asking.SetLimit(countAtOnce)
	for n, t := range ready {
		asking.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, countWithin)
			defer cancel()
			running[n] = t.load.Running(ctx)
			return nil
		})
	}
	_ = asking.Wait() // none gives an error
	if o := p.counted(began, ready, running); len(o.Instances) > 0 {
		tell(o)
	}
	select {
	case <-time.After(countEvery - time.Since(began)):
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.counting = false
	p.mu.Unlock()
	p.nudge()
}

// ready gives the dedicated instances that were found ready.
func (p *Prober) ready() (ready []*target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		if t.state == answered && !t.supervised {
			ready = append(ready, t)
		}
	}
	return ready
}

// tellReady tells of the dedicated instances that were found ready before.
func (p *Prober) tellReady(tell func(fleet.Observation)) {
	p.mu.Lock()
	var known []fleet.Observation
	for _, t := range p.targets {
		if t.state == answered && !t.supervised {
			known = append(known, observation(t.askedAt, t.seen(fleet.PhaseReady)))
		}
	}
	p.mu.Unlock()
	for _, o := range known {
		tell(o)
	}
}

// counted is what was found out of those that are still there and answer.
func (p *Prober) counted(began time.Time, ready []*target, running []int) fleet.Observation {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := fleet.Observation{Source: Source, At: began}
	for n, t := range ready {
		if running[n] == fleet.Unasked || t.state != answered || p.targets[t.instance.ID] != t {
			continue
		}
		s := t.seen(fleet.PhaseReady)
		s.Running = running[n]
		o.Instances = append(o.Instances, s)
	}
	return o
}
