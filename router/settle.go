package router

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// noteDispatch keeps when and to whom the request was sent. A later attempt replaces an earlier one, which is no record.
func (x *exchange) noteDispatch() {
	if at := x.call.Dispatched(); !at.IsZero() && x.lease != nil {
		x.record.DispatchedAt, x.record.Instance, x.record.GPUs = at, x.lease.Instance, x.lease.GPUs
		x.lost = false
	}
}

// seal fixes the billed time of a complete answer and appends its record to the ledger. Only then may the answer's last
// part go out.
func (x *exchange) seal(u openai.Usage) *failure {
	x.record.PromptTokens, x.record.CompletionTokens = u.PromptTokens, u.CompletionTokens
	if err := x.settle(ledger.Complete, nil); err != nil {
		return failf(codeOverloaded, "The usage of this request cannot be recorded.").because(err)
	}
	x.stage = stageSealed
	x.model.metrics.answered(200)
	return nil
}

// receipt is what the caller is told of a sealed record.
func (x *exchange) receipt() openai.Receipt {
	r := &x.record
	return openai.Receipt{
		Start: string(r.Start), Queue: r.Queue, Activate: r.Activate, TTFT: r.TTFT,
		Upstream: r.Upstream, Billed: r.Billed, CostUSD: r.Cost.String(),
	}
}

// settleFailure ends an exchange that has failed. Who pays is the ledger's to say by the outcome.
func (x *exchange) settleFailure(f *failure) {
	outcome := ledger.EngineError
	switch {
	case x.lost: // the attempt that was sent has failed, whatever ended the wait for the next
	case f.code == codeClientGone:
		outcome = ledger.ClientGone
	case f.code == codeUpstreamTimeout && (x.answered() || errors.Is(f.cause, upstream.ErrDeadline)):
		// An engine says nothing of a whole answer before it has all of it, so that the total may strike before a 2xx.
		outcome = ledger.TimedOut
	}
	if f.code == codeEngineError || f.code == codeUpstreamTimeout {
		x.r.c.Log.Warn("engine failed a request", "request", x.request, "model", x.model.ID, "instance", x.timings.instance, "reason", f.cause)
	}
	if err := x.settle(outcome, f); err != nil {
		x.r.c.Log.Error("cannot append a usage record", "request", x.request, "model", x.model.ID, "reason", err)
	}
}

// crashed ends an exchange after a panic of ours: nobody pays, and the lease is not lost.
func (x *exchange) crashed(p any) {
	x.r.c.Log.Error("a request panicked", "request", x.request, "reason", p, "stack", string(debug.Stack()))
	if x.waiter != nil {
		x.waiter.Leave()
		x.waiter = nil
	}
	x.settleFailure(failf(codeOverloaded, "The server failed at this request."))
	x.stage, x.ready, x.last = stageFailed, nil, errCut
}

// answered reports whether the engine has sent a 2xx: without one nobody pays, unless our total limit ended it.
func (x *exchange) answered() bool { return x.call.Status()/100 == 2 }

// settle gives the lease back and appends the record of a request that was dispatched. The first call counts.
func (x *exchange) settle(o ledger.Outcome, f *failure) error {
	if x.settled {
		return nil
	}
	x.settled = true
	ended := x.end(o)
	if x.lease != nil {
		if o != ledger.Complete {
			x.call.Close() // the engine stops before its slot is given on
		}
		x.lease.Release(verdictOn(o, f))
	}
	x.observe(ended)
	if x.record.DispatchedAt.IsZero() {
		return nil
	}
	x.fill(o, ended)
	return x.r.c.Ledger.Append(&x.record)
}

// end is the moment at which the engine's work for this request was over.
func (x *exchange) end(o ledger.Outcome) time.Time {
	if o == ledger.Complete {
		return x.endedAt
	}
	if e := x.exit.Load(); e != nil {
		return e.at
	}
	return time.Now()
}

// verdictOn says what an outcome tells of the engine. Callers' errors and departures tell nothing.
func verdictOn(o ledger.Outcome, f *failure) activator.Outcome {
	switch {
	case o == ledger.Complete:
		return activator.Succeeded
	case f != nil && (f.code == codeEngineError || f.code == codeUpstreamTimeout):
		return activator.EngineFailed
	}
	return activator.Neutral
}

func (x *exchange) fill(o ledger.Outcome, ended time.Time) {
	r := &x.record
	r.RequestID = x.request
	if !x.named { // then it is like no other, and saves the ledger a second ID
		r.ID = x.request
	}
	r.Org, r.TokenID = x.grant.Org, x.grant.TokenID
	r.Model = x.model.ID
	r.Start = x.timings.start
	r.ReceivedAt = x.received
	r.Queue, r.Activate = x.timings.queued, x.timings.activating
	r.Status = o
	if !x.firstAt.IsZero() {
		r.TTFT = max(x.firstAt.Sub(r.DispatchedAt), 0)
	}
	if !x.lost {
		r.Upstream = max(ended.Sub(r.DispatchedAt), 0)
	}
	r.Billed = ledger.Billed(o, r.DispatchedAt, ended)
}

// observe feeds the metrics of requests that had a lease, and the debug log.
func (x *exchange) observe(ended time.Time) {
	if x.model == nil {
		return
	}
	if x.lease != nil {
		x.model.metrics.took(ended.Sub(x.received))
	}
	if !x.firstAt.IsZero() {
		x.model.metrics.firstToken(x.timings.start, x.firstAt.Sub(x.received))
	}
	if log := x.r.c.Log; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("request ended", "request", x.request, "model", x.model.ID, "org", x.grant.Org, "instance", x.timings.instance,
			"start", x.timings.start, "took", ended.Sub(x.received))
	}
}
