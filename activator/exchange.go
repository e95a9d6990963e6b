package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// never is later than every moment.
const never = time.Duration(1<<63 - 1)

// now gives the machines' clock.
func (a *Activator) now() time.Duration { return time.Since(a.epoch) }

// exchange hands reports and tables over until both machines are quiet. It is called with planning held, and takes leasing only for as long as a
// message needs. The planner decides by a report that is as fresh as the step; what requests do meanwhile it learns as from
// a dispatcher that is far away: an instance that got a lease after the report is drained, never cut.
func (a *Activator) exchange() {
	if a.planner == nil {
		return
	}
	for range exchangesMost {
		now := a.takeReport()
		if a.planner.Hear(now, &a.report) {
			a.heard = a.report.Seq
		}
		a.planner.Step(now)
		if !a.handTables(sortMail(a, a.planner.TakeTables())) {
			break
		}
	}
}

// exchangesMost bounds the messages of one step; what is left then goes on at the next.
const exchangesMost = 32

// takeReport takes the dispatcher's report, and first tells it which one was heard.
func (a *Activator) takeReport() time.Duration {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	now := a.now()
	a.dispatcher.Heard(a.heard)
	a.dispatcher.Report(now, &a.report)
	return now
}

// handTables gives the dispatcher its tables, answers those for whom they bring something, and is true where it has to report again.
func (a *Activator) handTables(tables []*protocol.Table) bool {
	if len(tables) == 0 {
		return false
	}
	a.leasing.Lock()
	now := a.now()
	for _, t := range tables {
		a.dispatcher.Receive(now, t)
	}
	again := a.dispatcher.ReportDue(now)
	e := a.takeLeasingEffects()
	a.leasing.Unlock()
	a.performLeasing(e)
	return again
}

// finishLeasing ends a step of the dispatcher: it sees to it that the loop wakes in time, unlocks, and performs the effects.
func (a *Activator) finishLeasing(now time.Duration) {
	if a.follows && dispatch.Urgent(a.dispatcher) {
		poke(a.reporting)
	}
	if a.nextLeasing(now) < a.armed {
		a.armed = 0
		poke(a.kick)
	}
	e := a.takeLeasingEffects()
	a.leasing.Unlock()
	a.performLeasing(e)
}

// nextLeasing gives the moment at which the loop must look at the dispatcher; 0 = at once.
func (a *Activator) nextLeasing(now time.Duration) time.Duration {
	next := a.breakers.askAt
	if a.follows { // who sends reports away has a clock of its own
		if at, ok := dispatch.NextTick(a.dispatcher); ok {
			next = min(next, at)
		}
		return next
	}
	if a.dispatcher.ReportDue(now) || len(a.breakers.condemned) > 0 {
		return 0
	}
	if at, ok := a.dispatcher.Next(); ok {
		next = min(next, at)
	}
	return next
}

// finishPlanning ends a step of the planner: it sees to it that the loop wakes in time, unlocks, and performs the effects.
func (a *Activator) finishPlanning() {
	a.due = never
	if a.planner == nil {
		a.planning.Unlock()
		return
	}
	if at, ok := a.planner.Next(a.now()); ok {
		a.due = at
	}
	asks, askAt := a.watches.askAgain(a.now(), a.planner.Unsure())
	a.due = min(a.due, askAt)
	acts := a.planner.TakeActs()
	a.acts.add(acts)
	e := a.takePlanningEffects()
	if a.settlePlanning(&e) || len(acts) > 0 {
		poke(a.kick)
	}
	a.planning.Unlock()
	for _, ask := range asks {
		ask()
	}
	a.performPlanning(e)
}

// settlePlanning tells the dispatcher's side what a step of the planner means for it, and is true where the loop must wake sooner.
func (a *Activator) settlePlanning(e *planningEffects) bool {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	for k := range e.notices {
		if begunAnew(&e.notices[k]) {
			a.breakers.forget(e.notices[k].Instance)
		}
	}
	if min(a.due, a.nextLeasing(a.now())) >= a.armed {
		return false
	}
	a.armed = 0
	return true
}

// poke wakes the goroutine that waits on a channel of one place.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
