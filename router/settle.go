package router

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// seal fixes the billed time of a complete answer and appends its record to the ledger. Only then may the answer's last
// part go out.
func (x *exchange) seal(u openai.Usage) *failure {
	x.record.PromptTokens, x.record.CompletionTokens, x.record.TokensUnknown = u.PromptTokens, u.CompletionTokens, !u.Known
	if err := x.settle(endWhole); err != nil {
		return failf(codeOverloaded, "The usage of this request cannot be recorded.").because(err)
	}
	x.stage = stageSealed
	x.intake.model.metrics.answered(200)
	return nil
}

// receipt is what the caller is told of a sealed record.
func (x *exchange) receipt() openai.Receipt {
	r := &x.record
	return openai.Receipt{
		Start: string(r.Start), Queue: r.Queue, Activate: r.Activate, TTFT: r.TTFT,
		Wake: r.Wake, Upstream: r.Upstream, Billed: r.Billed, CostUSD: r.Cost.String(),
	}
}

// settleFailure ends an exchange that has failed.
func (x *exchange) settleFailure(f *failure) {
	if f.code == codeEngineError || f.code == codeUpstreamTimeout {
		x.r.c.Log.Warn("engine failed a request", "request", x.intake.request, "model", x.intake.model.ID,
			"instance", x.response.timings.instance, "reason", f.cause)
	}
	if err := x.settle(f.ending()); err != nil {
		x.r.c.Log.Error("cannot append a usage record", "request", x.intake.request, "model", x.intake.model.ID, "reason", err)
	}
}

// crashed ends an exchange after a panic of ours: nobody pays, and the lease is not lost.
func (x *exchange) crashed(p any) {
	x.r.c.Log.Error("a request panicked", "request", x.intake.request, "reason", p, "stack", string(debug.Stack()))
	x.attempt.leaveQueue()
	x.settleFailure(failf(codeOverloaded, "The server failed at this request."))
	x.intake.charge.Settle()
	x.room.Release()
	x.stage, x.response.ready, x.response.last = stageFailed, nil, errCut
	x.failed = codeOverloaded
}

// settle gives the lease back and appends the record of a request that was dispatched. The first call counts.
func (x *exchange) settle(e ending) error {
	if x.settled {
		return nil
	}
	x.settled = true
	defer x.intake.charge.Leave()
	at := x.endedAt(e)
	x.over = at
	if lease := x.attempt.lease; lease != nil {
		if e != endWhole {
			x.line.call.Close() // the engine stops before its slot is given on
		}
		lease.Release(verdictOn(e))
	}
	x.attempt.lastAt = x.line.call.LastByte()
	x.attempt.seePaidFrom()
	x.observe(at)
	if x.attempt.lease != nil {
		x.attempt.attempted(at, e.failure())
	}
	sent := x.sent()
	if sent.dispatched.IsZero() {
		x.intake.charge.Unspend()
		return nil
	}
	x.fill(sent, e, at)
	err := x.room.Append(&x.record)
	if err != nil {
		x.intake.charge.Unspend()
	}
	return err
}

// sent is what the record tells of: the last attempt that was sent to an engine.
func (x *exchange) sent() *tried {
	if x.attempt.dispatched.IsZero() {
		return &x.former
	}
	return &x.attempt.tried
}

// endedAt is the moment at which the engine's work for this request was over.
func (x *exchange) endedAt(e ending) time.Time {
	if e == endWhole {
		return x.attempt.endedAt
	}
	if e := x.exit.Load(); e != nil {
		return e.at
	}
	return time.Now()
}

// verdictOn says what an ending tells of the engine. Callers' errors and departures tell nothing, nor do limits of a request's whole time and size;
// silence is suspicious.
func verdictOn(e ending) activator.Outcome {
	switch e {
	case endWhole:
		return activator.Succeeded
	case endEngine, endIdle, endFirstByte:
		return activator.EngineFailed
	}
	return activator.Neutral
}

func (x *exchange) fill(sent *tried, e ending, at time.Time) {
	r, in := &x.record, &x.intake
	r.RequestID = in.request
	if !in.named { // then it is like no other, and saves the ledger a second ID
		r.ID = in.request
	}
	r.Org, r.TokenID = in.grant.Org, in.grant.TokenID
	r.Model = in.model.ID
	r.Instance, r.GPUs, r.Price = sent.instance, sent.gpus, sent.price
	r.Start = x.response.timings.start
	r.ReceivedAt, r.DispatchedAt = in.received, sent.dispatched
	r.Queue, r.Activate = x.response.timings.queued, x.response.timings.activating
	if !sent.firstAt.IsZero() {
		r.TTFT = max(sent.firstAt.Sub(r.DispatchedAt), 0)
	}
	if !sent.lost {
		r.Upstream = max(at.Sub(r.DispatchedAt), 0)
	}
	b := x.budgeted(sent, whoPays(sent, e, at))
	r.Status, r.Billed, r.Wake = b.status, b.billed, b.wake
	r.TokensUnknown = r.TokensUnknown || e != endWhole // an engine says it last
}

// observe feeds the metrics of requests that had a lease, and the debug log.
func (x *exchange) observe(ended time.Time) {
	in, a := &x.intake, &x.attempt
	if in.model == nil {
		return
	}
	if a.lease != nil {
		in.model.metrics.took(ended.Sub(in.received))
	}
	if !a.firstAt.IsZero() {
		in.model.metrics.firstToken(x.response.timings.start, a.firstAt.Sub(in.received))
	}
	if log := x.r.c.Log; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("request ended", "request", in.request, "model", in.model.ID, "org", in.grant.Org, "instance", x.response.timings.instance,
			"start", x.response.timings.start, "took", ended.Sub(in.received))
	}
}
