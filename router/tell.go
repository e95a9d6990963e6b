package router

import (
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/telemetry"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// What a handler leaves with a request for its line in the access log; nothing where there is none.
const (
	grantKey = "pilotlight grant" // *tenant.Grant
	codeKey  = "pilotlight code"  // *code of an error
	toldKey  = "pilotlight told"  // the exchange writes its own line
)

// tell says of an exchange that is over what there is to say, where anybody wants to know.
func (x *exchange) tell() {
	trace, log := x.intake.trace, x.r.c.AccessLog
	if trace == nil && log == nil {
		return
	}
	said := x.story()
	if log != nil {
		log.Add(&said)
	}
	if trace != nil {
		trace.End(&said)
	}
}

// story is all that is told of an exchange that is over.
func (x *exchange) story() telemetry.Request {
	in, rec, s := &x.intake, &x.record, &x.response
	q := telemetry.Request{
		At: in.received, Took: max(x.over.Sub(in.received), 0), ID: in.request, Method: http.MethodPost, Path: in.path, Endpoint: string(in.endpoint.name),
		Stream: in.fields.Stream, Status: http.StatusOK, Instance: s.timings.instance, Start: string(s.timings.start),
		Queue: s.timings.queued, Activate: s.timings.activating, TTFT: rec.TTFT, Upstream: rec.Upstream, Billed: rec.Billed, Outcome: string(rec.Status),
		BytesIn: in.size, BytesOut: x.written,
		PromptTokens: rec.PromptTokens, CompletionTokens: rec.CompletionTokens, TokensKnown: rec.Status != "" && !rec.TokensUnknown,
	}
	if in.grant != nil {
		q.Org, q.TokenID = in.grant.Org, in.grant.TokenID
	}
	if in.model != nil {
		q.Model = in.model.ID
	}
	if x.failed != nil {
		q.Status, q.Code = x.failed.status, x.failed.name
	}
	if !in.waitsSince.IsZero() { // in vain
		q.Queue += max(x.over.Sub(in.waitsSince), 0)
	}
	if q.TraceID = in.context.id(); in.trace != nil {
		q.TraceID = in.trace.ID()
	}
	return q
}

// attempted tells the trace what became of the attempt. failed is a word of the kind of failure, "" = it has not.
func (a *attempt) attempted(ended time.Time, failed string) {
	if a.in.trace != nil {
		a.in.trace.Attempted(telemetry.Attempt{Dispatched: a.dispatched, FirstByte: a.firstAt, Ended: ended, Failed: failed})
	}
}

// logged writes a line for each request that next answers and that is no exchange, whose own is written at its end.
func (r *Router) logged(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if ctx.UserValue(toldKey) == nil {
			r.line(ctx)
		}
	}
}

// line writes the line of a request that has been answered.
func (r *Router) line(ctx *fasthttp.RequestCtx) {
	came, trace := ctx.Time(), traceContext(nil)
	trace.read(&ctx.Request.Header)
	q := telemetry.Request{
		At: came, Took: max(time.Since(came), 0), ID: string(ctx.Response.Header.PeekCanonical(headerRequestID)),
		Method: string(ctx.Method()), Path: string(ctx.Path()), Status: ctx.Response.StatusCode(), TraceID: trace.id(),
	}
	if !ctx.Response.IsBodyStream() {
		q.BytesOut = int64(len(ctx.Response.Body()))
	}
	if c, known := ctx.UserValue(codeKey).(*code); known {
		q.Code = c.name
	}
	if g, known := ctx.UserValue(grantKey).(*tenant.Grant); known {
		q.Org, q.TokenID = g.Org, g.TokenID
	}
	r.c.AccessLog.Add(&q)
}

// note leaves something with a request for its line.
func (r *Router) note(ctx *fasthttp.RequestCtx, key string, value any) {
	if r.c.AccessLog != nil {
		ctx.SetUserValue(key, value)
	}
}
