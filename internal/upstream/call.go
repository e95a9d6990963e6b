package upstream

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Call is one exchange. The zero value is ready. Its methods belong to one goroutine, except Abort.
//
//	zero ── Do ── Next … ── Close ─┬─ Do …      the next attempt of the same request
//	                               └─ Reset ── Do …      another request
//
// Whoever swaps the connection out of own owns it: Close, to pool or close it, or Abort, to close it. So a late Abort
// never closes a connection that has gone back to the pool and on to somebody else.
type Call struct {
	cause   atomic.Pointer[error]              // of the abort
	own     atomic.Pointer[conn]               // the connection in use
	dialing atomic.Pointer[context.CancelFunc] // ends the dial under way

	client *Client
	conn   *conn // what own held; may have been closed by Abort
	err    error // of the last Do or Next; sticky until the next Do

	now        time.Time // when Do was called; later where that took long
	idle       time.Duration
	deadline   time.Time
	limit      time.Time // until then a read may wait; zero = for ever
	by         time.Time // until then the Next under way waits, which is no limit; zero = it waits for the limit
	still      bool      // the last Next ended with ErrNotYet
	heard      time.Time // when the last byte came
	dispatched time.Time
	begun      bool // a byte of the body has come
	answered   bool // a byte of the answer has come
	broken     bool // the request was not sent whole

	head
	body
	contentType []byte // backs head.contentType
	vectors     net.Buffers
	vectorBase  [][]byte
}

// Do sends the request and returns when the head of the answer has been read; whatever its status, that is no error. A
// pooled connection over which the request cannot be sent whole is replaced by a fresh one, once.
func (c *Client) Do(call *Call, r *Request) error {
	if call.own.Load() != nil {
		return errInUse
	}
	call.begin(c, r, time.Now())
	call.err = c.attempts(call, r)
	return call.err
}

func (c *Client) attempts(call *Call, r *Request) error {
	if err := r.check(); err != nil {
		return err
	}
	for fresh := false; ; fresh = true {
		if cause := call.aborted(); cause != nil {
			return cause
		}
		k, reused, err := c.connect(call, r, fresh)
		if err != nil {
			return err
		}
		err = call.exchange(k, r)
		if err == nil || !reused || !call.broken || call.answered || expired(err) || call.aborted() != nil {
			return err // one that was sent whole may have been carried out
		}
		call.now, call.dispatched = time.Now(), time.Time{}
	}
}

func (c *Call) begin(client *Client, r *Request, now time.Time) {
	c.client, c.conn, c.err = client, nil, nil
	c.now, c.idle, c.deadline, c.limit, c.dispatched = now, r.Idle, time.Time{}, time.Time{}, time.Time{}
	c.by, c.still, c.heard = time.Time{}, false, time.Time{}
	if r.Total > 0 {
		c.deadline = now.Add(r.Total)
	}
	c.begun, c.answered, c.broken = false, false, false
	c.head, c.body = head{}, body{}
}

// exchange sends the request over k and reads the head of the answer. After an error k is closed.
func (c *Call) exchange(k *conn, r *Request) error {
	c.conn = k
	c.own.Store(k)
	err := c.aborted() // stored first, asked then: an Abort either finds k or is found here
	if err == nil {
		err = c.send(r)
	}
	if err == nil {
		err = c.readHead(r.method())
	}
	if err != nil {
		c.drop()
	}
	return err
}

// drop closes the connection, unless Abort has done so.
func (c *Call) drop() {
	if k := c.own.Swap(nil); k != nil {
		c.client.end(k)
	}
}

// Status of the answer, valid after Do.
func (c *Call) Status() int { return c.status }

// ContentType of the answer as it came, valid until the next Do.
func (c *Call) ContentType() []byte { return c.contentType }

// ContentLength of the answer, -1 if it was not said.
func (c *Call) ContentLength() int64 { return c.length }

// Encoded reports whether the body is compressed, which no request here asks for.
func (c *Call) Encoded() bool { return c.encoded }

// Dispatched is the moment just before the first byte of the request was written, on the connection that counted; zero if
// none was made.
func (c *Call) Dispatched() time.Time { return c.dispatched }

// LastByte is the moment at which the last byte of the answer came, as it was read; zero if none has.
func (c *Call) LastByte() time.Time { return c.heard }

// Abort ends the exchange at once and closes its connection; Do and Next return cause. It may be called from any
// goroutine at any moment, also before Do and after Close. It is idempotent: the first cause stays, until Reset.
func (c *Call) Abort(cause error) {
	if !c.cause.CompareAndSwap(nil, &cause) {
		return
	}
	if cancel := c.dialing.Load(); cancel != nil {
		(*cancel)()
	}
	c.drop()
}

// aborted gives the cause of an abort, or nil.
func (c *Call) aborted() error {
	if cause := c.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Close ends the exchange. The connection is pooled if the answer was read to its clean end and nothing came after it,
// else closed. Idempotent. Do may be called again after it: an abort in between is not lost.
func (c *Call) Close() {
	k := c.own.Swap(nil)
	if k == nil {
		return
	}
	c.conn = nil
	if c.err != nil && c.err != io.EOF || !c.done || !c.reusable || k.r < k.w {
		c.client.end(k)
		return
	}
	k.shrink()
	k.since = c.heard // as its engine counts
	c.client.keep(k)
}

// Reset makes a closed Call ready for another request. Nobody may call Abort for the old request any more.
func (c *Call) Reset() {
	c.drop()
	c.cause.Store(nil)
	c.conn, c.client, c.err = nil, nil, nil
}
