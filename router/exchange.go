package router

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
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

// exchange is one request on its way. It is pooled and belongs to its connection's goroutine; while it asks behind a
// keep-alive, the goroutine that asks owns the fields below "the engine's answer".
type exchange struct {
	r        *Router
	conn     *conn
	endpoint *endpoint
	request  string // its ID
	named    bool   // by its caller
	received time.Time
	grant    *tenant.Grant
	model    *model // nil until it is known
	wish     wish
	fields   openai.Fields
	body     body // kept until the engine's first byte, for the one retry

	stage     stage
	committed bool // a keep-alive has sent status and headers: failures are events now
	settled   bool
	waiter    *activator.Waiter
	lease     *activator.Lease
	timings   timings
	attempt   int
	avoid     string // the instance that failed the first attempt
	lost      bool   // the record's attempt has failed and no other was sent

	beat     heartbeat
	beating  bool       // keep-alives are wanted
	asked    chan error // the end of ask, where it runs behind keep-alives; nil until it first does
	underway bool       // ask runs there

	exit atomic.Pointer[exit] // why and when somebody else ended the request
	gone chan struct{}        // holds one token once exit is set
	call upstream.Call
	debt debt

	// The engine's answer.
	send    upstream.Request
	scan    openai.Scanner
	whole   spool
	raw     bool // relays a body that is too large to be held
	hold    byte // of a raw relay: the last byte, until the record stands
	held    bool // hold is one
	out     []byte
	usage   []byte // the engine's usage chunk
	done    []byte // the engine's [DONE]
	ended   bool   // the engine has said all
	endedAt time.Time
	firstAt time.Time

	ready  []byte // what Read gives next
	note   []byte // memory for keep-alives and headers
	last   error  // what Read gives after it, in stageFailed
	record ledger.Record
}

// exit is the end of a request that came from another goroutine.
type exit struct {
	cause error // errClientGone or errDrained
	at    time.Time
}

func newExchange(r *Router) *exchange {
	return &exchange{r: r, gone: make(chan struct{}, 1)}
}

// begin takes an exchange for the request in ctx.
func (r *Router) begin(ctx *fasthttp.RequestCtx, e *endpoint) *exchange {
	x := r.idle.Get().(*exchange)
	x.received = ctx.Time()
	x.conn = connOf(ctx)
	x.endpoint = e
	x.request = string(ctx.Response.Header.PeekCanonical(headerRequestID))
	x.named = visible(ctx.Request.Header.PeekCanonical(headerRequestID))
	return x
}

// leave ends the exchange from another goroutine. The first cause stays.
func (x *exchange) leave(cause error) {
	if !x.exit.CompareAndSwap(nil, &exit{cause: cause, at: time.Now()}) {
		return
	}
	x.gone <- struct{}{}
	x.call.Abort(cause)
}

// retire gives everything back. Nothing of the exchange may be used afterwards.
func (x *exchange) retire() {
	x.conn.disarm()
	x.call.Close()
	x.call.Reset()
	x.r.free(&x.body)
	x.whole.free()
	x.beat.stop()
	select {
	case <-x.gone:
	default:
	}
	x.scan.Reset()
	x.forget()
	x.r.idle.Put(x)
}

// forget clears what belonged to the request. Memory is kept for the next one, unless it has grown large.
func (x *exchange) forget() {
	const keep = 64 << 10
	if cap(x.out) > keep {
		x.out = nil
	}
	x.out, x.usage, x.done, x.note = x.out[:0], x.usage[:0], x.done[:0], x.note[:0]
	x.conn, x.endpoint, x.request, x.grant, x.model, x.wish = nil, nil, "", nil, nil, wish{}
	x.stage, x.committed, x.settled = stageAdmit, false, false
	x.waiter, x.lease, x.timings = nil, nil, timings{}
	x.attempt, x.avoid, x.lost = 0, "", false
	x.beating, x.underway = false, false
	x.exit.Store(nil)
	x.debt.end()
	x.send = upstream.Request{}
	x.raw, x.held, x.ended = false, false, false
	x.firstAt, x.endedAt = time.Time{}, time.Time{}
	x.ready, x.last = nil, nil
	x.record = ledger.Record{}
}

// heartbeat is the timer of the next keep-alive. It is made when it is first needed: thousands may wait without one.
type heartbeat struct{ timer *time.Timer }

func (b *heartbeat) in(d time.Duration) {
	if b.timer == nil {
		b.timer = time.NewTimer(d)
		return
	}
	b.timer.Reset(d)
}

func (b *heartbeat) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

func (b *heartbeat) due() <-chan time.Time {
	if b.timer == nil {
		return nil
	}
	return b.timer.C
}

// spool is an answer's body that is being collected.
type spool struct {
	mem  *buffer
	n    int
	lent []byte // all of it, where it came in one piece: the engine's call lends it until it is closed
}

func (s *spool) bytes() []byte {
	if s.lent != nil || s.mem == nil {
		return s.lent
	}
	return s.mem.b[:s.n]
}

// restart forgets what was collected, and keeps the memory.
func (s *spool) restart() { s.n, s.lent = 0, nil }

func (s *spool) borrow(whole []byte) { s.n, s.lent = len(whole), whole }

// reserve makes room for size bytes in all.
func (s *spool) reserve(size int) error {
	if s.mem != nil && len(s.mem.b) >= size {
		return nil
	}
	mem, err := acquireBuffer(size)
	if err != nil {
		return err
	}
	copy(mem.b, s.bytes())
	releaseBuffer(s.mem)
	s.mem = mem
	return nil
}

func (s *spool) append(p []byte) error {
	if need := s.n + len(p); s.mem == nil || need > len(s.mem.b) {
		if err := s.reserve(max(need, 4*s.n)); err != nil {
			return err
		}
	}
	s.n += copy(s.mem.b[s.n:], p)
	return nil
}

func (s *spool) free() {
	releaseBuffer(s.mem)
	*s = spool{}
}

// interface of fasthttp's body streams.
var _ io.ReadCloser = (*exchange)(nil)
