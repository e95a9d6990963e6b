package router

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// stage is where an exchange stands; the package's doc draws the way.
type stage uint8

const (
	stageAdmit    stage = iota // has no lease and no place in a queue
	stageWaiting               // has a waiter
	stageAsking                // has a lease; the engine has not begun to answer
	stageRelaying              // the engine answers
	stageSealed                // the whole answer and its record stand
	stageFailed                // only an error is left to be said
)

// exchange is one request on its way. It is pooled and belongs to its connection's goroutine; while an engine is asked behind
// a keep-alive, the goroutine that asks owns the attempt, and of the line all but what may be aborted.
type exchange struct {
	r        *Router
	intake   intake
	attempt  attempt // the one under way, or the last
	response response
	line     line

	stage   stage
	settled bool
	former  tried // the attempt before this one; it was lost
	record  ledger.Record
	over    time.Time   // the engine's work for it, or its own wait; zero = it is not settled
	failed  *code       // nil = it has not
	written int64       // bytes of the answer's body
	room    ledger.Room // for the record, from the admission on

	asked    chan error // the end of ask, where it runs behind keep-alives; nil until it first does
	underway bool       // ask runs there

	wants   atomic.Pointer[model] // what the caller has asked for, once its body has been read
	running atomic.Bool           // an engine works on it

	exit atomic.Pointer[exit] // why and when somebody else ended the request
	gone chan struct{}        // holds one token once exit is set
}

// line is an exchange's way to engines. It outlives each attempt, because another goroutine may abort it at any moment.
type line struct {
	call upstream.Call
	debt debt
	send upstream.Request
	scan openai.Scanner
}

// exit is the end of a request that came from another goroutine.
type exit struct {
	cause error // errClientGone, errDrained, errReclaimed, a *rightsError or a *account.BudgetError
	at    time.Time
}

func newExchange(r *Router) *exchange {
	x := &exchange{r: r, gone: make(chan struct{}, 1)}
	x.intake.r, x.intake.holder, x.intake.gone = r, x, x.gone
	x.line.scan.Limit = int(r.c.EventLimit)
	x.attempt = attempt{r: r, in: &x.intake, line: &x.line}
	return x
}

// begin takes an exchange for the request in ctx.
func (r *Router) begin(ctx *fasthttp.RequestCtx, e *endpoint) *exchange {
	x := r.idle.Get().(*exchange)
	x.intake.begin(ctx, e)
	return x
}

// Reclaim ends a request without an engine so that its memory is free.
func (x *exchange) Reclaim() { x.Leave(errReclaimed) }

// Leave ends the exchange from another goroutine. The first cause stays.
func (x *exchange) Leave(cause error) { x.leave(cause, time.Now()) }

// leave is Leave of a moment, which may be past.
func (x *exchange) leave(cause error, at time.Time) {
	if !x.exit.CompareAndSwap(nil, &exit{cause: cause, at: at}) {
		return
	}
	x.gone <- struct{}{}
	x.line.call.Abort(cause)
	x.intake.conn.Interrupt()
}

// retire gives everything back. Nothing of the exchange may be used afterwards.
func (x *exchange) retire() {
	x.tell()
	if x.intake.conn != nil {
		x.intake.conn.Disarm()
	}
	x.intake.charge.Settle() // nobody calls Leave any more
	x.room.Release()
	x.line.call.Close()
	x.line.call.Reset()
	x.line.debt.end()
	x.line.scan.Reset()
	x.line.send = upstream.Request{}
	select {
	case <-x.gone:
	default:
	}
	x.exit.Store(nil)
	x.wants.Store(nil)
	x.running.Store(false)
	x.intake.forget()
	x.attempt.forget()
	x.response.forget()
	x.stage, x.settled, x.underway = stageAdmit, false, false
	x.former, x.record = tried{}, ledger.Record{}
	x.over, x.failed, x.written = time.Time{}, nil, 0
	x.r.idle.Put(x)
}

// interfaces of fasthttp's body streams.
var (
	_ io.ReadCloser         = (*exchange)(nil)
	_ fasthttp.BodyWriterTo = (*exchange)(nil)
)
