package router

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// attempt is one try on an engine, from the wait for a lease to the engine's end. Each try is a fresh value, so that nothing that one engine
// has said or done is taken for the next one's.
type attempt struct {
	r    *Router
	in   *intake
	line *line

	number int    // 0 = the first, 1 = the one retry
	avoid  string // the instance that failed the one before
	waiter *activator.Waiter
	lease  *activator.Lease
	model  *model // as the lease's instance has it; nil until there is one
	tried

	// The engine's answer.
	out   []byte // events for the caller that it has not got yet
	usage []byte // the usage chunk
	said  openai.Usage
	done  []byte // [DONE]
	whole spool
	raw   bool // the body is too large to be held whole, and is relayed
}

// tried is what of an attempt decides who pays, and what its record tells.
type tried struct {
	instance   string
	gpus       int
	price      fleet.NanoUSD // of one GPU for one hour
	dispatched time.Time     // zero = nothing was sent
	paidFrom   time.Time     // its dispatch, or the moment from which its engine had proven itself; zero = it has not. Known at the attempt's end
	answered   bool          // with a 2xx
	firstAt    time.Time     // when the first byte of the answer's body came; zero = none has
	lastAt     time.Time     // when its last byte came, of an attempt that has ended
	ended      bool          // the engine has said all
	endedAt    time.Time
	lost       bool // it has failed, and another engine was to be asked
	died       bool // its engine was lost
}

// renew makes the attempt a fresh one. Memory is kept.
func (a *attempt) renew(number int, avoid string) {
	a.whole.restart()
	*a = attempt{
		r: a.r, in: a.in, line: a.line, number: number, avoid: avoid,
		out: a.out[:0], usage: a.usage[:0], done: a.done[:0], whole: a.whole,
	}
}

// forget drops everything of the request. Memory is kept for the next one, unless it has grown large.
func (a *attempt) forget() {
	a.out, a.usage, a.done = slim(a.out, answerFree), slim(a.usage, answerFree), slim(a.done, answerFree)
	a.drop()
	a.renew(0, "")
}

// granted gives the attempt the instance that it is made on.
func (a *attempt) granted(l *activator.Lease) {
	a.waiter, a.lease = nil, l
	a.model = a.r.current(a.in.model, l.Model)
	a.instance, a.gpus, a.price = l.Instance, l.GPUs, a.r.offer.Load().price
}

// seePaidFrom notes from when on the attempt is paid for, as far as that is known by now.
func (a *attempt) seePaidFrom() {
	if a.lease == nil || a.dispatched.IsZero() {
		return
	}
	if at, proven := a.lease.ProvenAt(); proven {
		a.paidFrom = a.dispatched
		if at.After(a.dispatched) {
			a.paidFrom = at
		}
	}
}

// leaveQueue gives up the attempt's place in the queue, where it has one.
func (a *attempt) leaveQueue() {
	if a.waiter != nil {
		a.waiter.Leave()
		a.waiter = nil
	}
}

// request to the engine, written anew: nothing of the caller's framing or headers is in it.
func (a *attempt) request() *upstream.Request {
	salt := ""
	if a.model.salted {
		salt = a.r.salt(a.in.grant.Org)
	}
	t := &a.model.Timeouts
	a.line.send = upstream.Request{
		Method:      "POST",
		Addr:        a.lease.Addr,
		Path:        a.in.asked().enginePath,
		ContentType: "application/json",
		Header:      a.in.traceLines(a.instance),
		Body:        a.in.fields.Rewrite(a.in.body.B, &a.model.engine, salt),
		FirstByte:   t.FirstByte,
		Idle:        t.Idle,
		Total:       t.Total,
		Sent:        a,
	}
	return &a.line.send
}
