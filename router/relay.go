package router

import (
	"errors"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// errCut makes fasthttp close the connection without the chunk that would make a stream look complete.
var errCut = errors.New("the answer was cut short")

// inlineLimit is the size up to which a whole answer is copied into fasthttp's own buffer, which keeps its size for the
// connection's life.
const inlineLimit = 16 << 10

// commitStream makes the exchange the response's body: fasthttp reads from it after the handler, in the same goroutine.
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
	if x.raw {
		x.ready = x.whole.bytes()[:x.whole.n-1]
		x.hold, x.held = x.whole.bytes()[x.whole.n-1], true
		x.note = x.timings.writeTo(ctx, x.note)
		h.SetContentType("application/json")
		ctx.SetBodyStream(x, int(x.call.ContentLength()))
		return nil
	}
	if f := x.seal(openai.BodyUsage(x.whole.bytes())); f != nil {
		return f
	}
	x.timings.upstream = x.record.Upstream
	x.note = x.timings.writeTo(ctx, x.note)
	x.note = appendMillis(x.note[:0], x.record.Billed)
	h.SetCanonical(headerBilled, x.note)
	x.note = appendUSD(x.note[:0], x.record.Cost)
	h.SetCanonical(headerCost, x.note)
	h.SetContentType("application/json")
	if x.whole.n <= inlineLimit {
		ctx.Response.AppendBody(x.whole.bytes())
		x.retire()
		return nil
	}
	x.ready = x.whole.bytes()
	ctx.SetBodyStream(x, x.whole.n)
	return nil
}

// Read gives fasthttp the next bytes of the response. It waits only for the engine, never to gather more.
func (x *exchange) Read(b []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.crashed(p)
			n, err = 0, errCut
		}
	}()
	for len(x.ready) == 0 {
		switch x.stage {
		case stageRelaying:
			x.relay()
		case stageSealed:
			x.drain()
			return 0, io.EOF
		case stageFailed:
			return 0, x.last
		default:
			x.resume()
		}
	}
	n = copy(b, x.ready)
	x.ready = x.ready[n:]
	return n, nil
}

// resume goes on with what a keep-alive has interrupted.
func (x *exchange) resume() {
	due, f := x.advance()
	switch {
	case f != nil:
		x.fail(f, io.EOF)
	case due:
		x.ready = x.keepaliveNote()
	default:
		x.firstOut()
	}
}

// firstOut makes the engine's first events ready. Behind a comment, another one says what the headers no longer could.
func (x *exchange) firstOut() {
	x.beat.stop()
	if x.committed && x.keepalive() == keepComment {
		x.note = append(append(x.note[:0], ": pilotlight start="...), x.timings.start...)
		x.note = append(append(x.note, " instance="...), x.timings.instance...)
		x.note = strconv.AppendInt(append(x.note, " queue_ms="...), x.timings.queued.Milliseconds(), 10)
		x.note = strconv.AppendInt(append(x.note, " activate_ms="...), x.timings.activating.Milliseconds(), 10)
		x.note = append(x.note, "\n\n"...)
		x.out = append(x.note, x.out...)
		x.note = nil
	}
	if x.ended {
		x.finishStream()
		return
	}
	x.ready = x.out
}

// relay moves the engine's next bytes to ready.
func (x *exchange) relay() {
	if x.raw {
		x.relayRaw()
		return
	}
	x.out = x.out[:0]
	switch err := x.pull(); {
	case err != nil:
		x.cut(err)
	case x.ended:
		x.finishStream()
	default:
		x.ready = x.out
	}
}

// finishStream seals the record, then lets the end of the stream go: the usage event for those who asked, and [DONE].
func (x *exchange) finishStream() {
	usage := x.scan.Usage()
	if f := x.seal(usage); f != nil {
		x.fail(f, errCut)
		return
	}
	if x.fields.IncludeUsage {
		receipt := x.receipt()
		if len(x.usage) > 0 {
			x.out = openai.AppendUsageEvent(x.out, x.usage, &receipt)
		} else {
			head := openai.Head{ID: x.chunkID(), Model: x.model.ID, Endpoint: string(x.endpoint.name), Created: x.received.Unix()}
			x.out = openai.AppendUsageChunk(x.out, &head, usage, &receipt)
		}
	}
	x.out = append(x.out, x.done...)
	x.ready = x.out
}

func (x *exchange) relayRaw() {
	switch err := x.pullRaw(); {
	case err != nil:
		x.cut(err)
		x.ready = nil // an event has no place in a JSON body
	case x.ended:
		if f := x.seal(openai.Usage{}); f != nil {
			x.last, x.stage = errCut, stageFailed
			return
		}
		x.out = append(x.out, x.hold)
		x.ready = x.out
	default:
		x.ready = x.out
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
	if x.model != nil {
		x.model.metrics.answered(f.code.status)
	}
	x.stage, x.last = stageFailed, end
	if f.code == codeClientGone {
		x.ready, x.last = nil, errClientGone
		return
	}
	x.out = append(x.out, f.wire().Event()...)
	x.ready = x.out
}

// drain reads the end of the engine's answer behind [DONE], so that its connection can serve again.
func (x *exchange) drain() {
	for x.fields.Stream {
		if _, err := x.call.Next(0); err != nil {
			return
		}
	}
}

// Close ends the exchange: fasthttp calls it once, at the response's end or when the caller cannot be written to.
func (x *exchange) Close() error {
	if x.underway {
		x.call.Abort(errClientGone)
		<-x.asked
		x.underway = false
		x.noteDispatch()
	}
	if x.stage != stageSealed && x.stage != stageFailed {
		if x.waiter != nil {
			x.waiter.Leave()
			x.waiter = nil
		}
		x.settle(ledger.ClientGone, &failure{code: codeClientGone})
		x.model.metrics.answered(statusClientGone)
	}
	x.retire()
	return nil
}
