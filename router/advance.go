package router

import (
	"errors"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// advance moves the exchange on until the engine's answer has begun (then stage is stageRelaying), a keep-alive is due, or
// it has failed. The handler calls it before the commit, the reader behind it.
func (x *exchange) advance() (due bool, f *failure) {
	for {
		if e := x.exit.Load(); e != nil && !x.underway {
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
	if x.waiter != nil {
		x.waiter.Leave()
		x.waiter = nil
	}
	if e.cause == errClientGone {
		return &failure{code: codeClientGone, cause: e.cause}
	}
	return engineFailure(e.cause)
}

func (x *exchange) acquire() *failure {
	lease, waiter, err := x.r.c.Activator.Acquire(activator.Ask{
		Model:    x.model.ID,
		Org:      x.grant.Org,
		Affinity: x.wish.affinity,
		MaxWait:  x.maxWait(),
		OnlyHot:  x.wish.onlyHot,
		Retry:    x.attempt > 0,
		Avoid:    x.avoid,
	})
	switch {
	case err != nil:
		return x.unadmitted(err)
	case waiter != nil:
		x.waiter, x.stage = waiter, stageWaiting
	default:
		x.granted(lease)
	}
	return nil
}

// maxWait gives what is left of the longest wait: a retry does not begin it anew, but may find an instance that is ready.
func (x *exchange) maxWait() time.Duration {
	limit := x.model.Queue.MaxWait
	if w := x.wish.maxWait; w > 0 && (limit == 0 || w < limit) {
		limit = w
	}
	if x.attempt == 0 || limit == 0 {
		return limit
	}
	return max(limit-x.timings.queued-x.timings.activating, time.Second)
}

func (x *exchange) await() (due bool, f *failure) {
	select {
	case <-x.waiter.Ready():
		lease, err := x.waiter.Answer()
		x.waiter = nil
		if err != nil {
			return false, x.unadmitted(err)
		}
		x.granted(lease)
	case <-x.gone: // advance sees why
	case <-x.beat.due():
		return true, nil
	}
	return false, nil
}

func (x *exchange) granted(l *activator.Lease) {
	x.lease, x.stage = l, stageAsking
	x.model = x.r.current(x.model, l.Model)
	x.timings.add(l)
}

// unadmitted is the failure of a request that got no lease. One that asked only for what is hot, and whose hot engine
// failed, is told of the engine.
func (x *exchange) unadmitted(err error) *failure {
	if x.attempt > 0 && errors.Is(err, activator.ErrNotHot) {
		return failf(codeEngineError, "The engine failed, and no other one is hot.").because(err)
	}
	return admissionFailure(err, x.model.ID)
}

// consult asks the engine. Where keep-alives are wanted, another goroutine waits for the answer, so that this one can write
// them; it ends with the engine's first event.
func (x *exchange) consult() (due bool, f *failure) {
	if !x.beating {
		return false, x.judge(x.ask())
	}
	if !x.underway {
		x.underway = true
		if x.asked == nil {
			x.asked = make(chan error, 1)
		}
		x.r.asking.Go(func() { x.asked <- x.askSafely() })
	}
	select {
	case err := <-x.asked:
		x.underway = false
		return false, x.judge(err)
	case <-x.beat.due():
		return true, nil
	}
}

// judge decides what the end of ask means: the answer has begun, another engine is asked (nil, in stageAdmit), or a failure.
func (x *exchange) judge(err error) *failure {
	x.noteDispatch()
	if err == nil {
		x.stage = stageRelaying
		x.r.free(&x.body)
		return nil
	}
	if e := x.exit.Load(); e != nil {
		return x.left(e)
	}
	f, again := x.verdict(err)
	if !again {
		return f
	}
	x.r.c.Log.Warn("engine failed before its first byte, asking another", "model", x.model.ID, "instance", x.lease.Instance,
		"request", x.request, "reason", err)
	x.call.Close()
	if errors.Is(err, errInstanceLost) {
		x.call.Reset() // of its abort; one because of exit is seen by advance
	}
	x.lease.Release(verdictOn(ledger.EngineError, f))
	x.avoid, x.lease = x.lease.Instance, nil
	x.attempt++
	x.lost = true
	x.stage = stageAdmit
	return nil
}

// verdict maps the end of ask to a failure and says whether another engine may be asked instead.
func (x *exchange) verdict(err error) (f *failure, again bool) {
	first := x.attempt == 0
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.failure(), first && !answer.callers
	}
	f = engineFailure(err)
	return f, first && f.code == codeEngineError && x.firstAt.IsZero()
}

// keepaliveNote makes the next keep-alive and arms the one after it.
func (x *exchange) keepaliveNote() []byte {
	x.beat.in(x.r.c.StreamHeartbeat)
	if x.keepalive() == keepChunk {
		x.note = openai.AppendEmptyChunk(x.note[:0], &openai.Head{
			ID: x.chunkID(), Model: x.model.ID, Endpoint: string(x.endpoint.name), Created: x.received.Unix(),
		})
		return x.note
	}
	o := fleet.Outlook{Answer: fleet.Serving, Phase: fleet.PhaseReady}
	if x.waiter != nil {
		o = x.waiter.Outlook()
	}
	x.note = append(append(x.note[:0], ": pilotlight state="...), o.Answer...)
	if o.Phase != "" {
		x.note = append(append(x.note, " phase="...), o.Phase...)
	}
	if o.ETA > 0 {
		x.note = append(x.note, " eta_s="...)
		x.note = strconv.AppendInt(x.note, int64((o.ETA+time.Second-1)/time.Second), 10)
	}
	x.note = append(x.note, "\n\n"...)
	return x.note
}

func (x *exchange) chunkID() string {
	if x.endpoint.name == fleet.EndpointCompletions {
		return "cmpl-" + x.request
	}
	return "chatcmpl-" + x.request
}

// request to the engine, written anew: nothing of the caller's framing or headers is in it.
func (x *exchange) engineRequest() *upstream.Request {
	salt := ""
	if x.model.salted {
		salt = x.r.salt(x.grant.Org)
	}
	x.record.Price = x.r.offer.Load().price
	t := &x.model.Timeouts
	x.send = upstream.Request{
		Method:      "POST",
		Addr:        x.lease.Addr,
		Path:        x.endpoint.enginePath,
		ContentType: "application/json",
		Body:        x.fields.Rewrite(x.body.b, &x.model.engine, salt),
		FirstByte:   t.FirstByte,
		Idle:        t.Idle,
		Total:       t.Total,
	}
	return &x.send
}
