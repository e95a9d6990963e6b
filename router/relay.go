package router

import (
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// errCut makes fasthttp close the connection without the chunk that would make a stream look complete.
var errCut = errors.New("the answer was cut short")

// inlineLimit is the size up to which a whole answer is copied into fasthttp's own buffer, which keeps its size for the
// connection's life.
const inlineLimit = 16 << 10

// commitStream makes the exchange the response's body: fasthttp has it write itself after the handler, in the same goroutine.
func (x *exchange) commitStream(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetContentType("text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx in front would collect events
	ctx.SetBodyStream(x, -1)
}

// commitWhole answers with a complete body, its bill in the headers.
func (x *exchange) commitWhole(ctx *fasthttp.RequestCtx) *failure {
	h := &ctx.Response.Header
	s, whole := &x.response, &x.attempt.whole
	if x.attempt.raw && x.intake.translation != nil { // which needs all of it; the engine has done nothing wrong
		return failf(codeOverloaded, "There is no memory for an answer of this size; ask for a stream.")
	}
	if x.attempt.raw {
		s.ready = whole.bytes()[:whole.n-1]
		s.hold, s.held = whole.bytes()[whole.n-1], true
		s.note = s.timings.writeTo(ctx, s.note)
		x.tellLeft(ctx)
		h.SetContentType("application/json")
		ctx.SetBodyStream(x, int(x.line.call.ContentLength()))
		return nil
	}
	body := whole.bytes()
	if t := x.intake.translation; t != nil {
		var f *failure
		if body, f = t.whole(body); f != nil {
			return f
		}
	}
	if f := x.seal(x.attempt.said); f != nil {
		return f
	}
	s.timings.upstream = x.record.Upstream
	s.note = s.timings.writeTo(ctx, s.note)
	s.note = appendMillis(s.note[:0], x.record.Billed)
	h.SetCanonical(headerBilled, s.note)
	s.note = appendUSD(s.note[:0], x.record.Cost)
	h.SetCanonical(headerCost, s.note)
	x.tellLeft(ctx)
	h.SetContentType("application/json")
	if len(body) <= inlineLimit {
		ctx.Response.AppendBody(body)
		x.written = int64(len(body))
		x.retire()
		return nil
	}
	s.ready = body
	ctx.SetBodyStream(x, len(body))
	return nil
}

// resume goes on with what a keep-alive has interrupted.
func (x *exchange) resume() {
	due, f := x.advance()
	switch {
	case f != nil:
		x.fail(f, io.EOF)
	case due:
		x.keepAlive()
	default:
		x.firstOut()
	}
}

// firstOut makes the engine's first events ready. Behind a comment, another one says what the headers no longer could.
func (x *exchange) firstOut() {
	a, s := &x.attempt, &x.response
	s.beat.stop()
	if s.committed && x.intake.keepalive() == keepComment {
		a.out = append(s.started(), a.out...)
	}
	if a.ended {
		x.finishStream()
		return
	}
	x.say()
}

// say makes what the engine has said ready, in the caller's words.
func (x *exchange) say() {
	a, t := &x.attempt, x.intake.translation
	if t == nil {
		x.response.ready, x.response.saidAt = a.out, x.line.call.LastByte()
		return
	}
	words, err := t.words(a.out)
	a.out = a.out[:0]
	if err != nil {
		x.cut(err)
		return
	}
	if x.response.ready = words; len(words) > 0 {
		x.response.saidAt = x.line.call.LastByte()
	}
}

// relay moves the engine's next bytes to ready.
func (x *exchange) relay() {
	a := &x.attempt
	if a.raw {
		x.relayRaw()
		return
	}
	a.out = slim(a.out, 4*answerFree)
	due := x.response.due(&x.intake)
	switch err := a.pull(due); {
	case errors.Is(err, upstream.ErrNotYet):
		x.keepAlive()
	case err != nil:
		x.cut(err)
	case a.ended:
		x.finishStream()
	case len(a.out) > 0:
		x.say()
	case !due.IsZero() && !time.Now().Before(due): // it has said something, but nothing for the caller
		x.keepAlive()
	}
}

// keepAlive makes a keep-alive ready, and arms the next one where the caller waits for the engine's first event.
func (x *exchange) keepAlive() {
	s := &x.response
	if x.stage != stageRelaying {
		s.beat.in(x.r.c.StreamHeartbeat)
	}
	s.saidAt = time.Now()
	s.ready = s.keepalive(&x.intake, &x.attempt)
}

// finishStream seals the record, then lets the end of the stream go: the usage event for those who asked, and [DONE].
func (x *exchange) finishStream() {
	a := &x.attempt
	if t := x.intake.translation; t != nil {
		words, err := t.end(a.out, a.usage)
		a.out = a.out[:0]
		if err != nil {
			x.cut(err)
			return
		}
		if f := x.seal(a.said); f != nil {
			x.fail(f, errCut)
			return
		}
		x.response.ready = words
		return
	}
	if f := x.seal(a.said); f != nil {
		x.fail(f, errCut)
		return
	}
	if x.intake.fields.IncludeUsage && x.intake.native() == nil {
		receipt := x.receipt()
		if len(a.usage) > 0 {
			a.out = openai.AppendUsageEvent(a.out, a.usage, &receipt)
		} else {
			a.out = openai.AppendUsageChunk(a.out, x.intake.head(), a.said, &receipt)
		}
	}
	a.out = append(a.out, a.done...)
	x.response.ready = a.out
}

func (x *exchange) relayRaw() {
	a, s := &x.attempt, &x.response
	a.drop() // what was collected has been sent
	switch err := a.pullRaw(s); {
	case err != nil:
		x.cut(err)
		s.ready = nil // an event has no place in a JSON body
	case a.ended:
		if f := x.seal(openai.Usage{}); f != nil {
			s.last, x.stage = errCut, stageFailed
			return
		}
		a.out = append(a.out, s.hold)
		s.ready = a.out
	default:
		s.ready = a.out
	}
}

// cut ends a stream that the engine, a time limit or a departure has cut short, after its last whole event.
func (x *exchange) cut(err error) {
	var answer *answerError
	switch e := x.exit.Load(); {
	case e != nil:
		x.fail(x.left(e), errCut)
	case errors.As(err, &answer):
		x.fail(answer.failure(), errCut)
	default:
		x.fail(engineFailure(err), errCut)
	}
}

// fail ends a committed response with an error event. Before any of the engine's data its end is a clean one, so that no
// client's transport drops the event; after it, the connection is cut, so that the stream never looks complete.
func (x *exchange) fail(f *failure, end error) {
	x.settleFailure(f)
	x.failed = f.code
	if x.intake.model != nil {
		x.intake.model.metrics.answered(f.code.status)
	}
	s := &x.response
	x.stage, s.last = stageFailed, end
	if f.code == codeClientGone {
		s.ready, s.last = nil, errClientGone
		return
	}
	if t := x.intake.translation; t != nil {
		s.ready = t.failed(x.attempt.out, f)
		return
	}
	if d := x.intake.native(); d != nil {
		x.attempt.out = d.AppendEvent(x.attempt.out, f.wire(), x.intake.request)
	} else {
		x.attempt.out = append(x.attempt.out, f.wire().Event()...)
	}
	s.ready = x.attempt.out
}
