package activator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	watchAgainFirst   = 100 * time.Millisecond
	watchAgainLongest = 10 * time.Second
	askAgainEvery     = time.Second // a source is asked for a fresh list at most so often
)

// sourcesMost is how many sources an observer may have before those are looked for that are gone.
const sourcesMost = 256

// errAskAgain ends a watch so that the next one begins with a fresh complete list.
var errAskAgain = errors.New("asked again for a complete list")

// watches are those of all observers. What they hold is guarded by the activator's planning.
type watches []*watch

// watch is one observer with its sources.
type watch struct {
	a        *Activator
	planner  *plan.Planner // for whom it watches
	observer Observer
	sources  []string                // that have spoken through it
	spoken   bool                    // the present Watch has told something
	cancel   context.CancelCauseFunc // ends the present Watch
	askedAt  map[string]time.Duration
}

func newWatches(a *Activator, observers []Observer) watches {
	var ws watches
	for _, o := range observers {
		ws = append(ws, &watch{a: a, planner: a.planner, observer: o, askedAt: make(map[string]time.Duration)})
	}
	return ws
}

// run follows the observer, again and again when it is lost. What it said last stays true meanwhile.
func (w *watch) run(ctx context.Context) {
	delay := watchAgainFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		again := errors.Is(err, errAskAgain)
		if again || time.Since(began) > watchAgainLongest {
			delay = watchAgainFirst
		}
		if !again {
			w.lose(err)
		}
		w.a.log.Debug("observer is watched again", "reason", err, "in", delay)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, watchAgainLongest)
	}
}

// once follows the observer until it is lost, or must be asked again.
func (w *watch) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.a.planning.Lock()
	w.cancel, w.spoken = cancel, false
	w.a.planning.Unlock()
	err := w.observer.Watch(ctx, w.observe)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil {
		err = errors.New("it has ended by itself")
	}
	return err
}

// lose notes that all sources of the observer are unreachable.
func (w *watch) lose(why error) {
	a := w.a
	a.planning.Lock()
	if w.planner != a.planner {
		a.planning.Unlock()
		return
	}
	for _, name := range w.sources {
		a.planner.Observe(a.now(), &fleet.Observation{Source: name, Lost: why})
	}
	spoke := len(w.sources) > 0
	a.exchange()
	a.finishPlanning()
	if !spoke {
		a.log.Warn("observer lost before it said anything", "reason", why)
	}
}

// observe takes an observation.
func (w *watch) observe(o fleet.Observation) {
	a := w.a
	a.planning.Lock()
	if w.planner != a.planner { // it was another's
		a.planning.Unlock()
		return
	}
	w.spoken = true
	if !slices.Contains(w.sources, o.Source) {
		w.sources = append(w.sources, o.Source)
	}
	if len(w.sources) > sourcesMost { // those of slots that are gone are known no more
		standing := a.planner.Sources()
		w.sources = slices.DeleteFunc(w.sources, func(name string) bool {
			return !slices.ContainsFunc(standing, func(s fleet.SourceStatus) bool { return s.Name == name })
		})
	}
	a.see(&o)
}

// see hands an observation to the planner, with planning held, which it gives up. Whoever can be served because of it has been told when see returns.
func (a *Activator) see(o *fleet.Observation) {
	a.planner.Observe(a.now(), o)
	a.exchange()
	a.finishPlanning()
}

// askAgain has the sources asked for fresh lists, each at most once in an interval. It gives what is to be called without the lock, and when there is
// more to ask; never = nothing. One that has not told anything since it was asked is left alone: what it is about to tell is fresh.
func (ws watches) askAgain(now time.Duration, sources []string) (asks []func(), next time.Duration) {
	next = never
	for _, name := range sources {
		for _, w := range ws {
			if !slices.Contains(w.sources, name) {
				continue
			}
			if at, asked := w.askedAt[name]; asked && now < at+askAgainEvery {
				next = min(next, at+askAgainEvery)
				continue
			}
			asker, can := w.observer.(Asker)
			switch {
			case can:
				asks = append(asks, func() { asker.AskAgain(name) })
			case w.spoken && w.cancel != nil:
				cancel := w.cancel
				w.cancel = nil
				asks = append(asks, func() { cancel(errAskAgain) })
			default:
				continue
			}
			w.askedAt[name] = now
			next = min(next, now+askAgainEvery)
		}
	}
	return asks, next
}
