package activator

import (
	"log/slog"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// leasingEffects is what a step of the dispatcher has to tell the world.
type leasingEffects struct {
	answered []*dispatch.Waiter
	proofs   []*proof
	breakers []breakerChange
}

// takeLeasingEffects takes what is to be told. A granted lease learns whose it is here, under the lock, before anyone can see it.
func (a *Activator) takeLeasingEffects() leasingEffects {
	e := leasingEffects{
		answered: a.dispatcher.TakeAnswered(), proofs: a.breakers.proofsOf(a.dispatcher.TakeProven()), breakers: take(&a.breakers.changes),
	}
	forgotten := dispatch.TakeForgotten(a.dispatcher)
	if a.follows { // else the planner says when an engine is gone or parked; here none can be that before its share is
		for _, instance := range forgotten {
			a.breakers.forget(instance)
		}
	}
	for _, w := range e.answered {
		if l, _ := w.Answer(); l != nil {
			lease := w.Value.(*Waiter).lease
			lease.owner = a
			a.breakers.lend(lease)
		}
	}
	return e
}

// performLeasing wakes those who were answered, first of all; then it tells the metrics and the log.
func (a *Activator) performLeasing(e leasingEffects) {
	for _, w := range e.answered {
		l, _ := w.Answer()
		close(w.Value.(*Waiter).ready)
		if l != nil {
			a.metrics.queued(l.Model.ID, l.Queued+l.Activating)
		}
	}
	for _, p := range e.proofs {
		p.give(time.Now())
	}
	for _, b := range e.breakers {
		a.log.Warn("breaker changed", "instance", b.instance, "state", b.state.String())
	}
}

// planningEffects is what a step of the planner has to tell the world.
type planningEffects struct {
	notices []fleet.Notice
	ended   []fleet.Activation
	news    []roster.News
	avoided []plan.Trouble
}

func (a *Activator) takePlanningEffects() planningEffects {
	e := planningEffects{notices: a.planner.TakeNotices(), ended: a.planner.TakeEnded(), news: a.planner.TakeNews(), avoided: a.planner.TakeTroubled()}
	if learned := a.planner.TakeLearned(); len(learned) > 0 {
		a.learned = append(a.learned, learned...)
		poke(a.lesson)
	}
	a.notices.post(e.notices)
	return e
}

// performPlanning tells the log and the metrics.
func (a *Activator) performPlanning(e planningEffects) {
	for k := range e.notices {
		logNotice(a.log, &e.notices[k])
	}
	for k := range e.news {
		logNews(a.log, &e.news[k])
	}
	for k := range e.avoided {
		t := &e.avoided[k]
		a.log.Warn("place is avoided", "place", t.Place, "node", t.Node, "reason", t.Why, "until", t.Until)
		a.metrics.placeFailed(t.Place)
	}
	for k := range e.ended {
		a.metrics.activated(&e.ended[k])
	}
}

// begunAnew reports whether what is known of the instance's engine is no longer true: it is gone, or parked, and a resumed one begins anew.
func begunAnew(n *fleet.Notice) bool { return n.To == "" || n.To == fleet.Asleep }

// logNotice writes one line a transition; phases are talk for debugging.
func logNotice(log *slog.Logger, n *fleet.Notice) {
	if n.From == n.To {
		log.Debug("instance progress", "model", n.Model, "instance", n.Instance, "reason", n.Reason)
		return
	}
	from, to := string(n.From), string(n.To)
	if from == "" {
		from = "none"
	}
	if to == "" {
		to = "gone"
	}
	args := []any{"model", n.Model, "instance", n.Instance, "from", from, "to", to, "reason", n.Reason}
	log.Info("instance changed", append(args, took(n)...)...)
}

// took is what a move has taken, or, called expected, what one that begins probably takes. What is not known, or nothing, is left out.
func took(n *fleet.Notice) (args []any) {
	gpu, waited := "gpu_seconds", "waited_seconds"
	switch n.To {
	case fleet.Starting, fleet.Resuming:
		gpu, waited = "expected_"+gpu, "expected_"+waited
	case fleet.Parking, fleet.Stopping: // whoever has waited for it has done so
		gpu = "expected_" + gpu
	}
	if n.GPUSeconds != 0 {
		args = append(args, gpu, n.GPUSeconds)
	}
	if n.Waited != 0 {
		args = append(args, waited, n.Waited.Seconds())
	}
	return args
}

func take[T any](s *[]T) []T {
	t := *s
	*s = nil
	return t
}
