package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// now gives the machines' clock.
func (a *Activator) now() time.Duration { return time.Since(a.epoch) }

// exchange hands reports and tables over until both machines are quiet. The planner always decides by a fresh report, so
// what it takes for idle is idle. It is called with the lock held.
func (a *Activator) exchange(now time.Duration) {
	for range exchangesMost {
		a.dispatcher.Report(now, &a.report)
		a.planner.Hear(now, &a.report)
		a.dispatcher.Heard(a.report.Seq)
		a.planner.Settle(now)
		for _, t := range a.planner.TakeTables() {
			a.dispatcher.Receive(now, t)
		}
		if !a.dispatcher.ReportDue(now) {
			break
		}
	}
	a.due, a.timed = a.planner.Next(now)
	a.acts = append(a.acts, a.planner.TakeActs()...)
}

// exchangesMost bounds the messages of one step; what is left then goes on at the next.
const exchangesMost = 32

// finish ends a step: it hands messages over if any are due, sees to it that the loop wakes in time, unlocks, and performs the effects.
func (a *Activator) finish(now time.Duration) {
	if a.dispatcher.ReportDue(now) {
		a.exchange(now)
	}
	if len(a.acts) > 0 || a.next() < a.armed {
		poke(a.kick)
	}
	answered := a.dispatcher.TakeAnswered()
	if len(answered)+len(a.planner.notices)+len(a.planner.learned)+len(a.planner.ended) == 0 {
		a.mu.Unlock()
		return
	}
	e := a.takeEffects(now, answered)
	a.mu.Unlock()
	a.perform(e)
}

// poke wakes the goroutine that waits on a channel of one place.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// next gives the moment at which the loop must wake.
func (a *Activator) next() time.Duration {
	next := never
	if a.timed {
		next = a.due
	}
	if at, ok := a.dispatcher.Next(); ok && at < next {
		next = at
	}
	return min(next, a.breakersAt)
}

// effects is what a step has to tell the world.
type effects struct {
	answered []*dispatch.Waiter
	notices  []fleet.Notice
	ended    []fleet.Activation
}

func (a *Activator) takeEffects(now time.Duration, answered []*dispatch.Waiter) effects {
	e := effects{
		answered: answered, notices: a.planner.TakeNotices(), ended: a.planner.TakeEnded(),
	}
	if learned := a.planner.TakeLearned(); len(learned) > 0 {
		a.learned = append(a.learned, learned...)
		poke(a.lesson)
	}
	for _, w := range e.answered {
		if l, _ := w.Answer(); l != nil {
			l := &w.Value.(*Waiter).lease
			l.owner = a
			a.bind(l)
		}
	}
	for k := range e.notices {
		if to := e.notices[k].To; to == "" || to == fleet.Asleep { // a resumed one begins anew
			delete(a.breakers, e.notices[k].Instance)
		}
	}
	a.notices.post(e.notices)
	return e
}

// perform wakes those who were answered, first of all; then it tells the log and the metrics.
func (a *Activator) perform(e effects) {
	for _, w := range e.answered {
		close(w.Value.(*Waiter).ready)
		if l, _ := w.Answer(); l != nil {
			a.metrics.queued(l.Model.ID, l.Queued+l.Activating)
		}
	}
	for k := range e.notices {
		a.logNotice(&e.notices[k])
	}
	for k := range e.ended {
		a.metrics.activated(&e.ended[k])
	}
}

// logNotice writes one line a transition; phases are talk for debugging.
func (a *Activator) logNotice(n *fleet.Notice) {
	if n.From == n.To {
		a.log.Debug("instance progress", "model", n.Model, "instance", n.Instance, "reason", n.Reason)
		return
	}
	from, to := string(n.From), string(n.To)
	if from == "" {
		from = "none"
	}
	if to == "" {
		to = "gone"
	}
	a.log.Info("instance changed", "model", n.Model, "instance", n.Instance, "from", from, "to", to, "reason", n.Reason, "gpu_seconds", n.GPUSeconds, "waited_seconds", n.Waited.Seconds())
}
