package router

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/socket"
)

const (
	// writePatience is how long one write to a caller may stall. fasthttp's WriteTimeout is one deadline for a whole response,
	// which would cut every long stream, so it stays off.
	writePatience = 30 * time.Second
	// writePiece keeps a large body from having to leave within one writePatience.
	writePiece = 256 << 10
)

// departure is told once, from another goroutine, why the request it stands for has to end, and of each instance that is lost. It must not block.
type departure interface {
	leave(cause error)
	lose(instance string)
}

// conn is an accepted connection. Its Write re-arms the write deadline when less than half of it is left, so that every byte
// to a slow reader, in a stream or not, is under the same rule. Its read deadline, which fasthttp moves three times a request,
// is moved in truth only to an earlier moment, or once the one in force has passed: moving it costs more than a look at the clock.
type conn struct {
	net.Conn
	sock   *socket.Socket // Conn's, for what is small
	watch  *watch
	id     uint64
	polled bool // the kernel tells of departures; else peek does

	linger atomic.Bool // Close waits for the caller to have read the answer

	writeBy time.Time // only the connection's own goroutine writes
	readBy  time.Time // the read deadline that was set; zero = none. Only the connection's own goroutine reads
	armedBy time.Time // the one in force, never after readBy while a Read waits; zero = none
	peek    *peek     // only the connection's own goroutine uses the pointer

	mu    sync.Mutex // guards the fields below
	left  bool
	armed departure
}

// peek is one background read, one byte ahead.
type peek struct {
	done chan struct{} // closed when n and err stand
	b    [1]byte
	n    int
	err  error
}

func (w *watch) accept(c net.Conn) *conn {
	a := &conn{Conn: c, sock: socket.Of(c), watch: w}
	w.adopt(a)
	return a
}

// arm names who is to be told when the caller leaves; it is told at once if the caller has left already.
func (c *conn) arm(d departure) {
	c.mu.Lock()
	c.armed = d
	left := c.left
	c.mu.Unlock()
	if left {
		d.leave(errClientGone)
		return
	}
	if !c.polled {
		c.lookAhead()
	}
}

// disarm ends arm: when it returns, nobody is being told any more.
func (c *conn) disarm() {
	c.mu.Lock()
	c.armed = nil
	c.mu.Unlock()
}

func (c *conn) departed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	if c.armed != nil {
		c.armed.leave(errClientGone)
	}
}

// cancel ends the connection's request with a cause; a connection without one is closed.
func (c *conn) cancel(cause error) {
	c.mu.Lock()
	armed := c.armed
	if armed != nil {
		armed.leave(cause)
	}
	c.mu.Unlock()
	if armed == nil {
		_ = c.Close()
	}
}

// lose tells the connection's request of an instance that is lost.
func (c *conn) lose(instance string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed != nil {
		c.armed.lose(instance)
	}
}

// lookAhead starts a background read. One that an earlier request has left behind goes on serving: with pipelined data in
// its hand it cannot see further, as in net/http.
func (c *conn) lookAhead() {
	if c.peek != nil {
		select {
		case <-c.peek.done:
			if c.peek.n == 0 {
				c.departed()
			}
		default:
		}
		return
	}
	c.readBy = time.Time{} // the one for the request's own bytes must not look like a departure
	_ = c.armRead()
	p := &peek{done: make(chan struct{})}
	c.peek = p
	c.watch.loops.Go(func() {
		p.n, p.err = c.Conn.Read(p.b[:])
		close(p.done)
		if p.n == 0 && !os.IsTimeout(p.err) {
			c.departed()
		}
	})
}

// SetReadDeadline bounds the next reads. It is the connection's own goroutine's to call.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy = t
	if c.peek != nil {
		return c.armRead() // its read is under way
	}
	return nil
}

// SetDeadline bounds the next reads and writes.
func (c *conn) SetDeadline(t time.Time) error {
	c.readBy, c.writeBy = t, t
	return errors.Join(c.armRead(), c.Conn.SetWriteDeadline(t))
}

func (c *conn) armRead() error {
	c.armedBy = c.readBy
	return c.Conn.SetReadDeadline(c.readBy)
}

// read reads under readBy. A deadline in force that lies before it may stay: where it ends the read, it is put right.
func (c *conn) read(b []byte) (int, error) {
	if c.armedBy.IsZero() && !c.readBy.IsZero() || !c.readBy.IsZero() && c.readBy.Before(c.armedBy) {
		if err := c.armRead(); err != nil {
			return 0, err
		}
	}
	for {
		n, err := c.sock.Read(b)
		early := n == 0 && !c.armedBy.Equal(c.readBy) && isTimeout(err)
		if !early || !c.readBy.IsZero() && !time.Now().Before(c.readBy) {
			return n, err
		}
		if err := c.armRead(); err != nil {
			return 0, err
		}
	}
}

// Read gives what a background read has found before it reads on.
func (c *conn) Read(b []byte) (int, error) {
	p := c.peek
	if p == nil || len(b) == 0 {
		return c.read(b)
	}
	<-p.done // deadlines set meanwhile end the background read too
	c.peek = nil
	return copy(b, p.b[:p.n]), p.err
}

func (c *conn) Write(b []byte) (written int, err error) {
	for {
		if now := time.Now(); c.writeBy.Sub(now) < writePatience/2 {
			c.writeBy = now.Add(writePatience)
			if err := c.Conn.SetWriteDeadline(c.writeBy); err != nil {
				return written, err
			}
		}
		n, err := c.sock.Write(b[:min(len(b), writePiece)])
		written += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return written, err
		}
	}
}

// lingerPatience and lingerLimit bound what is read from a caller behind a last answer.
const (
	lingerPatience = time.Second
	lingerLimit    = 1 << 20
)

// Close closes the connection. After an answer to a request that was not read whole it waits for the caller to have read
// it: closing with unread bytes makes the kernel send a reset, which may overtake the answer.
func (c *conn) Close() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Swap(false) && half.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(lingerPatience))
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Conn, lingerLimit))
	}
	c.watch.forget(c)
	return c.Conn.Close()
}

// connOf gives the connection of a request; nil for none of ours.
func connOf(ctx *fasthttp.RequestCtx) *conn {
	c, _ := ctx.Conn().(*conn)
	return c
}

// closeIdle closes the connection if it has no request that can still say something.
func (c *conn) closeIdle() {
	c.mu.Lock()
	idle := c.armed == nil
	c.mu.Unlock()
	if idle {
		_ = c.Conn.Close()
	}
}
