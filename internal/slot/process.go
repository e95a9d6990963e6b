package slot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// process is one engine process that runs.
type process struct {
	slot    *Slot
	i       *instance
	child   *child
	addr    string
	control *engine.Control
	output  <-chan struct{} // gets something when the engine has written something
	offers  bool            // it was launched with what it takes to be parked

	exited chan exit // how it ended, once
	steps  chan step // what has been done

	// Of run alone:
	ready       bool               // it has been ready before
	order       int                // number of the last park or resume
	stopLooking context.CancelFunc // ends the watch over the engine's health
}

// step is how something ended that takes time: a start (kind launch), a park, a resume, the return of the memory on the way to
// that (kind returned), or the watch over the engine's health (kind "").
type step struct {
	kind    fleet.ActKind
	order   int // that it belongs to; later steps of an earlier order say nothing any more
	err     error
	parks   bool         // of a start
	refused *atomic.Bool // of returned memory: the first token was refused
}

// returned is the kind of the step between the memory's return and the first token.
const returned fleet.ActKind = "returned"

// run follows the process to its end.
func (e *process) run(ctx context.Context, out *engineLog, port *port) ending {
	var wg sync.WaitGroup
	defer wg.Wait()
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	look, stopLooking := context.WithCancel(context.WithoutCancel(ctx)) // goes on while a hanging engine is stopped
	defer stopLooking()
	e.stopLooking = stopLooking
	began := time.Now()
	wg.Go(func() { e.exited <- e.slot.lookForOOM(e.child.wait()) })
	do := func(kind fleet.ActKind) {
		order := e.order
		wg.Go(func() { e.report(work, e.perform(work, kind, order)) })
	}
	do(fleet.ActLaunch)
	var token <-chan time.Time
	var refused *atomic.Bool
	for {
		select {
		case how := <-e.exited:
			return e.died(ctx, how, time.Since(began), out, port)
		case kind := <-e.i.orders:
			e.order++
			token = nil
			do(kind)
		case <-token:
			token = nil
			if !refused.Load() {
				e.slot.markResumed(e.i)
			}
		case done := <-e.steps:
			switch {
			case done.order != e.order && done.order > 0:
				continue
			case done.kind == returned:
				token, refused = time.After(e.slot.cfg.FirstToken), done.refused
				continue
			case done.kind == fleet.ActLaunch && done.err == nil:
				wg.Go(func() { e.report(look, step{err: e.watchHealth(look)}) })
			}
			if why := e.apply(done); why != "" && work.Err() == nil {
				end := failedStep(why, done.err, out)
				e.slot.markFailed(e.i, end)
				e.stop(0)
				return end
			}
		case <-e.i.quit:
			cancel()
			e.stop(e.grace())
			return ending{}
		case <-ctx.Done():
			e.stop(e.grace() - e.finishRequests())
			return ending{}
		}
	}
}

func (e *process) report(ctx context.Context, s step) {
	select {
	case e.steps <- s:
	case <-ctx.Done():
	}
}

// perform does what takes time.
func (e *process) perform(ctx context.Context, kind fleet.ActKind, order int) step {
	s := step{kind: kind, order: order}
	switch kind {
	case fleet.ActLaunch:
		s.err = engine.Starting{Model: e.i.model, Addr: e.addr, Phase: e.tellPhase, Output: e.output}.Await(ctx)
		s.parks = s.err == nil && e.offered(ctx)
	case fleet.ActPark:
		s.err = e.within(ctx, func(ctx context.Context) error { return e.park(ctx, order) })
	case fleet.ActResume:
		before, mark, calm := e.readHost()
		s.err = e.within(ctx, func(ctx context.Context) error { return e.resume(ctx, order) })
		if s.err == nil && calm {
			e.seeCopy(before, mark)
		}
	}
	return s
}

func (e *process) tellPhase(p fleet.Phase) { e.slot.markPhase(e.i, p) }

// offered asks whether the engine can be parked.
func (e *process) offered(ctx context.Context) bool {
	if !e.offers || e.i.GPUs == 0 {
		return false
	}
	err := e.control.Offered(ctx)
	if err != nil {
		e.slot.cfg.Log.Info("engine cannot be parked", "model", e.i.model.ID, "instance", e.i.ID, "reason", err)
	}
	return err == nil
}

// apply notes how something ended, and says why the engine is no use if it is none.
func (e *process) apply(s step) (why string) {
	switch {
	case s.kind == fleet.ActLaunch && s.err == nil:
		e.ready = true
		e.slot.markReady(e.i, e.addr, s.parks)
	case s.kind == fleet.ActPark && s.err == nil:
		e.slot.markParked(e.i, ending{})
	case s.kind == fleet.ActResume && s.err == nil:
		e.slot.markGenerated(e.i)
	case s.kind == fleet.ActLaunch:
		return s.err.Error()
	case s.kind == fleet.ActPark:
		return "parking failed: " + s.err.Error()
	case s.kind == fleet.ActResume && errors.Is(s.err, engine.ErrOutOfMemory) && !errors.Is(s.err, engine.ErrLost):
		e.slot.markParked(e.i, ending{failure: "resuming failed: " + s.err.Error(), cause: fleet.CauseMemory, short: true})
	case s.kind == fleet.ActResume:
		return "resuming failed: " + s.err.Error()
	case s.err != nil:
		return s.err.Error()
	}
	return ""
}

// died judges the end of a process that nobody has ended.
func (e *process) died(ctx context.Context, how exit, after time.Duration, out *engineLog, port *port) ending {
	if endWanted(ctx, e.i) {
		return ending{}
	}
	port.release()
	end := ending{short: out.mentionsOutOfMemory()}
	end.cause = e.causeOf(how, end.short, out)
	end.failure = e.exitReason(how, after, out)
	if !e.ready {
		end.clash = taken(e.addr) || out.mentionsPortClash()
		end.noSleepMode = e.offers && out.lacksSleepMode()
	}
	return end
}

// shortGrace is the grace of an engine that serves nobody: one that loads, where trtllm-serve has no handler for SIGTERM, or one that is
// parked, for whose bed another may wait.
const shortGrace = 2 * time.Second

func (e *process) grace() time.Duration {
	if e.ready && !e.slot.isParked(e.i) {
		return e.slot.cfg.Grace
	}
	return min(e.slot.cfg.Grace, shortGrace)
}

// finishRequests waits as long as the engine says that it serves requests, and as there is grace: engines may cut theirs at SIGTERM. One that does
// not say is told to end at once, and finishes them by itself, as far as it can. It gives how long that took.
func (e *process) finishRequests() time.Duration {
	began := time.Now()
	most := e.grace() - shortGrace
	load := engine.NewLoad(e.i.Spec.Kind, e.addr)
	for e.ready && e.serves(load, most-time.Since(began)) {
		select {
		case how := <-e.exited:
			e.exited <- how // for who stops it
			return time.Since(began)
		case <-e.i.quit: // ordered by who knows that nobody waits for an answer
			return time.Since(began)
		case <-time.After(finishEvery):
		}
	}
	return time.Since(began)
}

// finishEvery is how often an engine is asked whether it has finished its requests.
const finishEvery = 200 * time.Millisecond

func (e *process) serves(load *engine.Load, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), min(within, countWithin))
	defer cancel()
	return load.Running(ctx) > 0
}

// stop ends the process and its group: it returns when the process is no more.
func (e *process) stop(grace time.Duration) {
	if grace > 0 {
		e.child.terminate()
		if e.endsWithin(grace) {
			return
		}
	}
	e.child.kill()
	<-e.exited
}

// endsWithin waits for the end of a process that was told to end, as long as the grace, or until it is known to hang: one that did not answer any
// more before it was told drains nothing, and holds its GPUs for nobody.
func (e *process) endsWithin(grace time.Duration) bool {
	if !e.slot.isUnresponsive(e.i) {
		e.stopLooking() // who drains need not answer
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	log := e.slot.cfg.Log.With("model", e.i.model.ID, "instance", e.i.ID)
	for {
		select {
		case <-e.exited:
			return true
		case s := <-e.steps:
			if errors.Is(s.err, engine.ErrHangs) && !errors.Is(s.err, syscall.ECONNREFUSED) {
				log.Warn("engine hangs, and does not end: killing it", "reason", s.err)
				return false
			}
		case <-t.C:
			log.Warn("engine did not end in time, killing it", "grace", grace)
			return false
		}
	}
}

// exitReason says why an engine ended that nobody had asked to.
func (e *process) exitReason(how exit, after time.Duration, out *engineLog) string {
	when := "before it was ready"
	if e.ready {
		when = e.slot.activity(e.i)
	}
	return fmt.Sprintf("engine ended %s, after %s: %s%s", when, after.Round(time.Millisecond), how.words(), out.lastLines())
}

// activity says what an engine that has been ready is at.
func (s *Slot) activity(i *instance) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch i.State {
	case fleet.Asleep:
		return "while it was parked"
	case fleet.Parking:
		return "while it was being parked"
	case fleet.Resuming:
		return "while it was being resumed"
	}
	return "while it was serving"
}
