package router

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// prefetched is how much of a body fasthttp has read before a handler runs.
	prefetched = 8 << 10
	// progressSpan and progressPatience bound a slow upload: so many bytes within so much time, again and again. fasthttp's
	// ReadTimeout is one deadline for head and body together, which would cut a steady upload of a large body.
	progressSpan     = 64 << 10
	progressPatience = 10 * time.Second
	discardLimit     = 64 << 20
	discardPatience  = 10 * time.Second
)

// body is a request body in memory of the router's own. Its bytes are valid until free.
type body struct {
	b     []byte
	mem   *buffer // that b lies in
	taken int64   // from the budget
}

// budget bounds the bytes of all request bodies that are held at once.
type budget struct{ left atomic.Int64 }

func newBudget(n int64) *budget {
	b := &budget{}
	b.left.Store(n)
	return b
}

func (b *budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

func (b *budget) give(n int64) { b.left.Add(n) }

var errBudgetSpent = errors.New("the budget for request bodies is spent")

// readBody reads the request's body within the limit and the budget. fasthttp enforces no limit on a streamed body, and its
// own ways to read one keep the buffer for ever or gunzip without bound.
func (r *Router) readBody(ctx *fasthttp.RequestCtx, c *conn, b *body) *failure {
	length := ctx.Request.Header.ContentLength()
	if int64(length) > int64(r.c.BodyLimit) {
		return failf(codeRequestTooLarge, "The request body has %d bytes; the limit is %d.", length, r.c.BodyLimit)
	}
	stream := ctx.Request.BodyStream()
	if stream == nil {
		return nil
	}
	in := upload{r: r, from: stream, conn: c, body: b, length: length}
	err := in.read()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errBudgetSpent):
		return failf(codeOverloaded, "The server holds as many request bodies as it can. Please retry.").after(time.Second)
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return failf(codeRequestTooLarge, "The request body is larger than the limit of %d bytes.", r.c.BodyLimit)
	case isTimeout(err):
		return failf(codeRequestTimeout, "The request body arrived too slowly.").closing()
	}
	return failf(codeInvalidRequest, "The request body ended early or is framed badly.").closing()
}

// upload reads one body.
type upload struct {
	r      *Router
	from   io.Reader
	conn   *conn
	body   *body
	length int // -1 = not known

	room   int // bytes that the body may have before it has to grow
	marked int // bytes read when the deadline was last set
}

func (in *upload) read() error {
	size := in.length
	if size < 0 {
		size = smallestBuffer
	}
	if err := in.grow(size); err != nil {
		return err
	}
	if in.length < 0 || in.length > prefetched {
		in.expectProgress()
	}
	for n := 0; ; {
		if n == in.room {
			if in.length >= 0 {
				return nil
			}
			if err := in.grow(4 * n); err != nil {
				return err
			}
		}
		got, err := in.from.Read(in.body.b[n:in.room])
		n += got
		in.body.b = in.body.b[:n]
		if err == io.EOF {
			if n < in.length {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		if n-in.marked >= progressSpan {
			in.marked = n
			in.expectProgress()
		}
	}
}

func (in *upload) expectProgress() {
	_ = in.conn.SetReadDeadline(time.Now().Add(progressPatience))
}

// grow moves the body to memory for size bytes. One byte above the limit tells a body that is too large.
func (in *upload) grow(size int) error {
	limit := int(in.r.c.BodyLimit)
	if in.length < 0 {
		if len(in.body.b) > limit {
			return fasthttp.ErrBodyTooLarge
		}
		size = min(size, limit+1)
	}
	if !in.r.bodies.take(int64(size)) {
		return errBudgetSpent
	}
	mem, err := acquireBuffer(size)
	if err != nil {
		in.r.bodies.give(int64(size))
		return errBudgetSpent
	}
	n := copy(mem.b, in.body.b)
	in.r.free(in.body)
	*in.body = body{b: mem.b[:n], mem: mem, taken: int64(size)}
	in.room = size
	return nil
}

// replace makes b the body. What it counted in the budget goes on to count: what it is replaced by says the same.
func (o *body) replace(b []byte) {
	releaseBuffer(o.mem)
	o.b, o.mem = b, nil
}

// free gives the body's memory back. It may be called again.
func (r *Router) free(b *body) {
	releaseBuffer(b.mem)
	r.bodies.give(b.taken)
	*b = body{}
}

// discard reads what is left of a refused request's body, within bounds, and reports whether the connection is at the start
// of the next request. A caller that is answered while it still sends sees a reset instead of the answer.
func discard(ctx *fasthttp.RequestCtx, c *conn) bool {
	stream := ctx.Request.BodyStream()
	if stream == nil {
		return true
	}
	if ctx.Request.Header.ContentLength() > discardLimit {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(discardPatience))
	n, err := io.Copy(io.Discard, io.LimitReader(stream, discardLimit))
	return err == nil && n < discardLimit
}

func isTimeout(err error) bool {
	var timeout net.Error
	return os.IsTimeout(err) || errors.As(err, &timeout) && timeout.Timeout()
}
