package router

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/dialect"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/telemetry"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// intake is what a caller has sent and what it may: all that is known of a request before an engine is asked. Once it is admitted, nothing of it
// changes but that the body is given back.
type intake struct {
	r        *Router
	conn     *edge.Conn
	endpoint *endpoint
	request  string // its ID
	named    bool   // by its caller
	received time.Time
	changes  uint64 // of tenants, before the grant was found
	grant    *tenant.Grant
	model    *model // nil until it is known
	wish     wish
	fields   openai.Fields // of the body: what callers have asked for, or what it was translated to
	body     edge.Body     // kept until the engine's first byte, for the one retry
	streamID string        // of all chunks where keep-alives are chunks, for a client's accumulator drops those of another; "" = the engine's stays

	path       string           // for those who are told of the request; "" = nobody is
	size       int64            // of the body as it came
	waitsSince time.Time        // it waits for a lease; zero = it does not
	context    traceContext     // of its caller
	trace      *telemetry.Trace // nil = none is made

	charge account.Charge
	holder account.Holder  // the exchange
	gone   <-chan struct{} // the exchange's

	translation *translation // nil = the engine is asked as the caller has asked
}

func (in *intake) begin(ctx *fasthttp.RequestCtx, e *endpoint) {
	in.received = ctx.Time()
	in.conn = edge.Of(ctx)
	in.endpoint = e
	in.request = string(ctx.Response.Header.PeekCanonical(headerRequestID))
	in.named = edge.Visible(ctx.Request.Header.PeekCanonical(headerRequestID))
	if e.requestID != "" {
		ctx.Response.Header.Set(e.requestID, in.request)
	}
	in.context.read(&ctx.Request.Header)
	in.observe(ctx)
}

// observe prepares what is told of the request at its end.
func (in *intake) observe(ctx *fasthttp.RequestCtx) {
	if in.r.c.AccessLog == nil && in.r.c.Tracer == nil {
		return
	}
	in.path = string(ctx.Path())
	in.r.note(ctx, toldKey, true)
	if t := in.r.c.Tracer; t != nil {
		parent, state := in.context.parent()
		in.trace = t.Begin(parent, state, in.received)
	}
}

// traceLines are header lines by which the engine of an attempt finds the trace.
func (in *intake) traceLines(instance string) []byte {
	if in.trace != nil {
		return in.trace.Dispatch(instance)
	}
	return in.context
}

// forget gives the body back and drops all else. The memory of fields is kept for the next request.
func (in *intake) forget() {
	in.dropBody()
	in.conn, in.endpoint, in.request, in.grant, in.model, in.wish, in.streamID = nil, nil, "", nil, nil, wish{}, ""
	in.translation = nil
	in.path, in.size, in.waitsSince, in.context, in.trace = "", 0, time.Time{}, in.context[:0], nil
}

// dropBody gives the body's memory back. It may be called again.
func (in *intake) dropBody() {
	in.body.Free()
	in.charge.Free(account.Request)
}

// keepalive gives the mode: the request's, else the token's, else the config's.
func (in *intake) keepalive() string {
	switch {
	case in.wish.keepalive != "":
		return in.wish.keepalive
	case in.grant.Keepalive != "":
		return in.grant.Keepalive
	}
	return in.r.c.Keepalive
}

// appendChunk appends an event of the engine's, under the stream's ID.
func (in *intake) appendChunk(dst []byte, e *openai.Event) []byte {
	if in.streamID == "" {
		return append(dst, e.Raw...)
	}
	dst = openai.AppendWithID(append(dst, "data: "...), e.Data, in.streamID)
	return append(dst, "\n\n"...)
}

// appendData appends the data of an event of the engine's, under the stream's ID.
func (in *intake) appendData(dst, data []byte) []byte {
	if in.streamID == "" {
		return append(dst, data...)
	}
	return openai.AppendWithID(dst, data, in.streamID)
}

// appendEmpty appends an event that says nothing, of the kind that the caller expects. There is none in Responses before the engine's own first.
func (in *intake) appendEmpty(dst []byte) []byte {
	switch {
	case in.translation != nil:
		return in.translation.stream.AppendKeepalive(dst)
	case in.endpoint.dialect == nil:
		return openai.AppendEmptyChunk(dst, in.head())
	case in.endpoint.pings:
		return append(dst, dialect.Ping...)
	}
	return dst
}

// head is what all chunks of ours in a stream have in common.
func (in *intake) head() *openai.Head {
	return &openai.Head{ID: in.chunkID(), Model: in.model.ID, Endpoint: string(in.endpoint.name), Created: in.received.Unix()}
}

func (in *intake) chunkID() string {
	if in.endpoint.name == fleet.EndpointCompletions {
		return "cmpl-" + in.request
	}
	return "chatcmpl-" + in.request
}
