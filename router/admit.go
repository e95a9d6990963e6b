package router

import (
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// complete handles the POST of one endpoint.
func (r *Router) complete(e *endpoint) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if f := checkQuery(ctx, e.query); f != nil {
			r.refuse(ctx, f, r.unknown)
			return
		}
		x := r.begin(ctx, e)
		defer func() {
			if p := recover(); p != nil {
				x.crashed(p)
				x.tell()
				x.intake.conn.Disarm() // and the exchange is not pooled: what state it is in is not known
				panic(p)
			}
		}()
		f := x.admit(ctx)
		if e := x.exit.Load(); e != nil { // it was ended while its body was read
			f = x.left(e).closing()
		}
		if f == nil {
			f = x.answer(ctx)
		}
		if f != nil {
			x.refuse(ctx, f)
		}
	}
}

// admit checks everything that needs no engine, the cheapest first, and ends with the request's body in hand.
func (x *exchange) admit(ctx *fasthttp.RequestCtx) (f *failure) {
	in := &x.intake
	in.changes = in.r.c.Tenants.Changes()
	if in.grant, f = in.r.preflight(ctx); f != nil {
		return f
	}
	in.conn.Hold(x)
	if f = in.enter(ctx); f != nil {
		return f
	}
	if f = in.read(ctx); f != nil {
		return f
	}
	x.wants.Store(in.model)
	return x.reserve()
}

// reserve takes room for the request's record, before any engine works for it: what could not be recorded is not begun.
func (x *exchange) reserve() *failure {
	var err error
	if x.room, err = x.r.c.Ledger.Reserve(); err != nil {
		return failf(codeOverloaded, "The server has no room to record what this request would use.").because(err)
	}
	return nil
}

// read reads what a caller that may ask wants.
func (in *intake) read(ctx *fasthttp.RequestCtx) (f *failure) {
	if f = in.r.checkHead(ctx); f != nil {
		return f
	}
	if f = in.endpoint.check(ctx); f != nil {
		return f
	}
	if f = in.wish.read(ctx); f != nil {
		return f
	}
	if f = in.readBody(ctx); f != nil {
		return f
	}
	if f = in.inspect(); f != nil {
		return f
	}
	if in.fields.Stream && !ctx.Request.Header.IsHTTP11() {
		return failf(codeHTTPVersion, "Streaming needs HTTP/1.1 or later.")
	}
	return in.permit()
}

// preflight checks the token of a request.
func (r *Router) preflight(ctx *fasthttp.RequestCtx) (*tenant.Grant, *failure) {
	g, f := r.authenticate(ctx)
	if f != nil {
		return nil, f
	}
	return g, mayUse(g, nil)
}

// checkHead checks what the head of a request tells of its body.
func (r *Router) checkHead(ctx *fasthttp.RequestCtx) *failure {
	if f := checkEncoding(ctx); f != nil {
		return f
	}
	if n := ctx.Request.Header.ContentLength(); int64(n) > int64(r.c.BodyLimit) {
		return refusalFailure(edge.TooLarge(n, int(r.c.BodyLimit)))
	}
	return nil
}

// checkEncoding refuses a body that is compressed.
func checkEncoding(ctx *fasthttp.RequestCtx) *failure {
	if e := ctx.Request.Header.PeekCanonical(headerEncoding); len(e) > 0 && string(e) != "identity" {
		return failf(codeUnsupportedEncoding, "Send the request body without a Content-Encoding.")
	}
	return nil
}

func (r *Router) authenticate(ctx *fasthttp.RequestCtx) (*tenant.Grant, *failure) {
	secret := endpointOf(ctx).secret(ctx)
	if len(secret) == 0 {
		return nil, failf(codeInvalidAPIKey, "A token is needed. Send it as \"Authorization: Bearer pl_…\".")
	}
	g, err := r.c.Tenants.Authenticate(unsafe.String(&secret[0], len(secret))) // it keeps nothing of the secret
	if err != nil {
		return nil, tokenFailure(err)
	}
	r.note(ctx, grantKey, g)
	return g, nil
}

func (in *intake) readBody(ctx *fasthttp.RequestCtx) *failure {
	up := edge.Upload{Limit: int(in.r.c.BodyLimit), Charge: &in.charge, Stop: in.gone}
	if refusal := up.Read(ctx, &in.body); refusal != nil {
		return refusalFailure(refusal)
	}
	in.size = int64(len(in.body.B))
	return nil
}

func (in *intake) inspect() *failure {
	if err := openai.Inspect(in.body.B, string(in.endpoint.name), &in.fields); err != nil {
		return requestFailure(err)
	}
	return nil
}

// permit checks what the body asks for against what the model and the token allow.
func (in *intake) permit() *failure {
	m := in.r.offer.Load().models[in.fields.Model]
	if m == nil {
		return failf(codeModelNotFound, "The model %q does not exist.", clip(in.fields.Model)).at("model")
	}
	in.model = m
	if f := mayUse(in.grant, m); f != nil {
		return f
	}
	if !m.Serves(in.endpoint.name) {
		return m.unsupported(in.endpoint)
	}
	if f := in.translate(); f != nil {
		return f
	}
	return m.tooLong(in)
}

// clip keeps a caller's word short enough to be repeated.
func clip(s string) string {
	if len(s) > 256 {
		return s[:256] + "…"
	}
	return s
}

// answer runs the exchange until something can be committed.
func (x *exchange) answer(ctx *fasthttp.RequestCtx) *failure {
	in, s := &x.intake, &x.response
	if in.fields.Stream && in.keepalive() != keepOff {
		s.beating = true
		if in.keepalive() == keepChunk && in.endpoint.dialect == nil {
			in.streamID = in.chunkID()
		}
		s.beat.in(max(x.r.c.StreamHeartbeat-time.Since(in.received), 0))
	}
	in.conn.Arm(x)
	due, f := x.advance()
	switch {
	case f != nil:
		return f
	case due:
		s.committed = true
		x.keepAlive()
		x.tellLeft(ctx)
		x.commitStream(ctx)
		return nil
	case in.fields.Stream:
		x.firstOut()
		s.timings.writeTo(ctx, s.note)
		x.tellLeft(ctx)
		x.commitStream(ctx)
		return nil
	}
	return x.commitWhole(ctx)
}

// refuse answers with a failure and ends the exchange.
func (x *exchange) refuse(ctx *fasthttp.RequestCtx, f *failure) {
	m := x.r.unknown
	if x.intake.model != nil {
		m = x.intake.model.metrics
	}
	x.settleFailure(f)
	if s := &x.response; s.timings.instance != "" {
		s.note = s.timings.writeTo(ctx, s.note)
	}
	x.tellLeft(ctx)
	x.intake.body.Free()
	x.intake.charge.Settle() // reading what is left of the body holds nothing
	x.failed = f.code
	x.r.refuse(ctx, f, m)
	x.written = int64(len(ctx.Response.Body()))
	x.retire()
}

// refuse answers with a failure. What is left of the body is read first, because a caller that is still sending would see
// a reset instead of the answer.
func (r *Router) refuse(ctx *fasthttp.RequestCtx, f *failure, m *modelMetrics) {
	m.answered(f.code.status)
	r.note(ctx, codeKey, f.code)
	if f.code == codeClientGone {
		ctx.SetStatusCode(f.code.status) // for nobody
		ctx.SetConnectionClose()
		return
	}
	f.close = edge.EndRefused(ctx, f.close)
	f.writeTo(ctx)
}
