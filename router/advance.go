package router

import (
	"errors"
	"io"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
)

// advance moves the exchange on until the engine's answer has begun (then stage is stageRelaying), a keep-alive is due, or
// it has failed. The handler calls it before the commit, the reader behind it.
func (x *exchange) advance() (due bool, f *failure) {
	for {
		if e := x.exit.Load(); e != nil && !x.underway && !x.wholeDespite(e) {
			return false, x.left(e)
		}
		switch x.stage {
		case stageAdmit:
			f = x.acquire()
		case stageWaiting:
			due, f = x.await()
		case stageAsking:
			due, f = x.consult()
		default:
			return false, nil
		}
		if due || f != nil {
			return due, f
		}
	}
}

// left is the failure of a request that was ended from another goroutine.
func (x *exchange) left(e *exit) *failure {
	x.attempt.leaveQueue()
	if e.cause == errClientGone {
		return &failure{code: codeClientGone, cause: e.cause}
	}
	if f := rightsFailure(e.cause); f != nil {
		return f
	}
	if f := budgetFailure(e.cause); f != nil {
		return f
	}
	return engineFailure(e.cause)
}

func (x *exchange) acquire() *failure {
	in := &x.intake
	if f := x.forbidden(); f != nil { // it was uploaded for long, or an engine has failed it meanwhile
		return f
	}
	if f := x.maySpend(); f != nil {
		return f
	}
	in.charge.Join()
	var asked time.Time
	if in.trace != nil {
		asked = time.Now() // before anything can begin because of it
	}
	lease, waiter, err := x.r.c.Activator.Acquire(activator.Ask{
		Model:    in.model.ID,
		Org:      in.grant.Org,
		Request:  in.request,
		Affinity: in.wish.affinity,
		MaxWait:  x.maxWait(),
		OnlyHot:  in.wish.onlyHot,
		Retry:    x.attempt.number > 0,
		Avoid:    x.attempt.avoid,
	})
	switch {
	case err != nil:
		return x.unadmitted(err)
	case waiter != nil:
		x.attempt.waiter, x.stage = waiter, stageWaiting
		x.waits(asked)
		if in.conn != nil {
			in.conn.Shed()
		}
	default:
		return x.granted(lease)
	}
	return nil
}

// waits notes from when on the request waits for a lease.
func (x *exchange) waits(asked time.Time) {
	in := &x.intake
	if in.waitsSince = time.Now(); in.trace != nil {
		in.waitsSince = asked
		in.trace.Waits(in.model.ID, asked)
	}
}

// maxWait gives what is left of the longest wait: a retry does not begin it anew, but may find an instance that is ready.
func (x *exchange) maxWait() time.Duration {
	limit := x.intake.model.Queue.MaxWait
	if w := x.intake.wish.maxWait; w > 0 && (limit == 0 || w < limit) {
		limit = w
	}
	if x.attempt.number == 0 || limit == 0 {
		return limit
	}
	return max(limit-x.response.timings.queued-x.response.timings.activating, time.Second)
}

func (x *exchange) await() (due bool, f *failure) {
	select {
	case <-x.attempt.waiter.Ready():
		lease, err := x.attempt.waiter.Answer()
		x.attempt.waiter = nil
		if err != nil {
			return false, x.unadmitted(err)
		}
		return false, x.granted(lease)
	case <-x.gone: // advance sees why
	case <-x.response.beat.due():
		return true, nil
	}
	return false, nil
}

// granted goes on with a lease. Whose rights have ended just before is not sent to an engine; who is, is ended only by a cut.
func (x *exchange) granted(l *activator.Lease) *failure {
	x.intake.charge.Run()
	x.attempt.granted(l)
	x.response.timings.add(l)
	if x.intake.waitsSince = (time.Time{}); x.intake.trace != nil {
		x.intake.trace.Granted(l.Instance, l.Queued, l.Activating)
	}
	x.running.Store(true)
	x.stage = stageAsking
	if f := x.forbidden(); f != nil {
		return f
	}
	if m := x.attempt.model; m != x.intake.model {
		if f := m.refuses(&x.intake.fields); f != nil { // another config of its model may let less through, and other engines take other fields
			return f
		}
	}
	return x.spend()
}

// unadmitted is the failure of a request that got no lease. One that asked only for what is hot, and whose hot engine
// failed, is told of the engine.
func (x *exchange) unadmitted(err error) *failure {
	if x.attempt.number > 0 && errors.Is(err, activator.ErrNotHot) {
		return failf(codeEngineError, "The engine failed, and no other one is hot.").because(err)
	}
	return admissionFailure(err, x.intake.model.ID)
}

// consult asks the engine. Where keep-alives are wanted, another goroutine waits for the answer, so that this one can write
// them; it ends with the engine's first event.
func (x *exchange) consult() (due bool, f *failure) {
	if !x.response.beating {
		return false, x.judge(x.attempt.ask())
	}
	if !x.underway {
		x.underway = true
		if x.asked == nil {
			x.asked = make(chan error, 1)
		}
		x.r.asking.Go(func() { x.asked <- x.attempt.askSafely() })
	}
	select {
	case err := <-x.asked:
		x.underway = false
		return false, x.judge(err)
	case <-x.response.beat.due():
		return true, nil
	}
}

// judge decides what the end of ask means: the answer has begun, another engine is asked (nil, in stageAdmit), or a failure.
func (x *exchange) judge(err error) *failure {
	if err == nil {
		x.stage = stageRelaying
		x.intake.dropBody()
		return nil
	}
	if e := x.exit.Load(); e != nil {
		return x.left(e)
	}
	f, again := x.attempt.verdict(err)
	if !again {
		f.hopeless = f.hopeless || x.former.died && engineDied(err)
		return f
	}
	x.retry(f)
	return nil
}

// retry gives up the engine that has failed the first attempt, for another one.
func (x *exchange) retry(f *failure) {
	a := &x.attempt
	x.r.c.Log.Warn("engine failed before its first byte, asking another", "model", x.intake.model.ID, "instance", a.instance,
		"request", x.intake.request, "reason", f.cause)
	x.line.call.Close()
	if errors.Is(f.cause, errInstanceLost) {
		x.line.call.Reset() // of its abort; one because of exit is seen by advance
	}
	a.lease.Release(verdictOn(f.ending()))
	x.intake.charge.Unspend()
	a.lost, a.died = true, engineDied(f.cause)
	a.attempted(time.Now(), f.code.name)
	x.former = a.tried
	a.renew(1, a.instance)
	x.running.Store(false)
	x.stage = stageAdmit
}

// verdict maps the end of ask to a failure and says whether another engine may be asked instead.
func (a *attempt) verdict(err error) (f *failure, again bool) {
	first := a.number == 0
	var answer *answerError
	if errors.As(err, &answer) {
		if answer.unclear {
			a.clear(answer)
		}
		return answer.failure(), first && !answer.callers
	}
	f = engineFailure(err)
	return f, first && f.ending() == endEngine && a.firstAt.IsZero()
}

// engineDied reports whether an engine was lost while it was asked. A request that has cost two of them is not to be sent again.
func engineDied(err error) bool {
	return errors.Is(err, errInstanceLost) || errors.Is(err, io.ErrUnexpectedEOF)
}
