package edge

import (
	"errors"
	"io"
	"net"
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

// stages of a connection. One that is silent may be closed to make room for another.
const (
	fresh   int32 = iota // no request has come yet
	resting              // the next request has not come yet
	busy                 // a request is handled
	sealed               // it is being closed
)

// stages of an upload.
const (
	uploadNone int32 = iota
	uploadRead
	uploadCut // by Interrupt
)

// Conn is an accepted connection. Its Write re-arms the write deadline when less than half of it is left, so that every byte
// to a slow reader, in a stream or not, is under the same rule. Its read deadline, which fasthttp moves three times a request,
// is moved in truth only to an earlier moment, or once the one in force has passed: moving it costs more than a look at the clock.
type Conn struct {
	net.Conn
	raw    net.Conn       // as it was accepted, below TLS; Conn itself where there is none
	sock   *socket.Socket // Conn's, for what is small
	all    *Connections
	id     uint64
	polled bool // the kernel tells of departures; else peek does
	secure bool // Conn speaks TLS

	stage  atomic.Int32
	upload atomic.Int32 // of a body that is being read
	linger atomic.Bool  // Close waits for the caller to have read the answer

	retired atomic.Bool // it ends between two requests

	line    requestLine // only the connection's own goroutine uses it
	framing framing     // only the connection's own goroutine uses it
	taken   int         // bytes that the request has at least, of one whose body was read whole; 0 = not known. Only the connection's own goroutine uses it
	writeBy time.Time   // only the connection's own goroutine writes
	readBy  time.Time   // the read deadline that was set; zero = none. Only the connection's own goroutine reads
	armedBy time.Time   // the one in force, never after readBy while a Read waits; zero = none
	peek    *peek       // only the connection's own goroutine uses the pointer

	host       *host // guarded by all's mu, as its neighbours are
	prev, next *Conn

	mu    sync.Mutex // guards the fields below
	left  bool
	armed Departure // is told when the caller leaves
	told  bool      // it has been
	held  Departure // of the request that is handled, whether or not it is armed yet
}

func newConn(c net.Conn, all *Connections) *Conn {
	if all.c.TLS == nil {
		return &Conn{Conn: c, raw: c, sock: socket.Of(c), all: all}
	}
	over := secured(c, all.c.TLS)
	return &Conn{Conn: over, raw: c, sock: socket.Of(over), all: all, secure: true}
}

// Of gives the connection of a request; nil for none of ours.
func Of(ctx *fasthttp.RequestCtx) *Conn {
	c, _ := ctx.Conn().(*Conn)
	return c
}

// begin says that a request is handled. It is false where the connection is being closed.
func (c *Conn) begin() bool {
	return c.stage.CompareAndSwap(fresh, busy) || c.stage.CompareAndSwap(resting, busy) || c.stage.Load() == busy
}

// rest says that the answer has been sent.
func (c *Conn) rest() {
	c.line.awaited()
	c.taken, c.framing = 0, framing{}
	c.stage.CompareAndSwap(busy, resting)
}

// seal makes sure that no request begins any more, unless one has begun.
func (c *Conn) seal() bool {
	return c.stage.CompareAndSwap(fresh, sealed) || c.stage.CompareAndSwap(resting, sealed)
}

// SetReadDeadline bounds the next reads. It is the connection's own goroutine's to call.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readBy = t
	if c.peek != nil {
		return c.armRead() // its read is under way
	}
	return nil
}

// SetDeadline bounds the next reads and, without TLS, the next writes.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readBy, c.writeBy = t, t
	if c.secure {
		return c.armRead()
	}
	return errors.Join(c.armRead(), c.Conn.SetWriteDeadline(t))
}

func (c *Conn) armRead() error {
	c.armedBy = c.readBy
	err := c.Conn.SetReadDeadline(c.readBy)
	if c.upload.Load() == uploadCut { // it must not be undone
		c.armedBy = longAgo
		err = c.Conn.SetReadDeadline(longAgo)
	}
	return err
}

var longAgo = time.Unix(1, 0)

// Interrupt ends the reading of a body, from any goroutine: it fails as if it had timed out. Where none is read, it does nothing.
func (c *Conn) Interrupt() {
	if c.upload.CompareAndSwap(uploadRead, uploadCut) {
		_ = c.Conn.SetReadDeadline(longAgo)
	}
}

// endUpload undoes what an interruption has done to the deadlines.
func (c *Conn) endUpload() {
	c.framing.counts = false
	if c.upload.Swap(uploadNone) == uploadCut {
		c.armedBy = longAgo // the next Read sees that it is not the one that was set
	}
}

// read reads under readBy. A deadline in force that lies before it may stay: where it ends the read, it is put right.
func (c *Conn) read(b []byte) (int, error) {
	if c.armedBy.IsZero() && !c.readBy.IsZero() || !c.readBy.IsZero() && c.readBy.Before(c.armedBy) {
		if err := c.armRead(); err != nil {
			return 0, err
		}
	}
	for {
		n, err := c.sock.Read(b)
		early := n == 0 && isTimeout(err) && (!c.armedBy.Equal(c.readBy) || c.all.retirement.Load() != nil)
		if !early || c.retires(b) || c.upload.Load() == uploadCut || !c.readBy.IsZero() && !time.Now().Before(c.readBy) {
			return n, err
		}
		if err := c.armRead(); err != nil {
			return 0, err
		}
	}
}

var errBareLF = errors.New("the request line ends in a bare LF")

// Read gives what a background read has found before it reads on.
func (c *Conn) Read(b []byte) (int, error) {
	if c.line.stage == lineBare {
		return 0, errBareLF
	}
	if c.framing.excessive() {
		return 0, errFraming
	}
	if c.retires(b) {
		if c.peek == nil {
			return c.retire()
		}
		_ = c.Conn.SetReadDeadline(longAgo) // what reads ahead may have found something
	}
	n, err := c.readOn(b)
	if n == 0 && isTimeout(err) && c.retires(b) {
		return c.retire()
	}
	if err != nil && c.secure && c.answerPlain(err) {
		return 0, io.EOF
	}
	c.line.read(b, n)
	c.framing.raw += n
	return n, err
}

func (c *Conn) readOn(b []byte) (int, error) {
	if c.peek == nil || len(b) == 0 {
		return c.read(b)
	}
	return c.readAhead(b)
}

// readAhead gives what the background read finds. Deadlines set meanwhile end it, too.
func (c *Conn) readAhead(b []byte) (int, error) {
	p := c.peek
	<-p.done
	c.peek = nil
	return copy(b, p.b[:p.n]), p.err
}

func (c *Conn) Write(b []byte) (written int, err error) {
	if c.secure {
		return c.Conn.Write(b) // ciphered bounds it
	}
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

// What is read from a caller behind a last answer is bounded by a time in all, a pause, and bytes.
const (
	lingerTime  = 5 * time.Second
	lingerPause = time.Second
	lingerLimit = 64 << 20
)

// Close closes the connection. After an answer to a request that was not read whole it reads on until the caller, who has read the answer, closes:
// closing with unread bytes makes the kernel send a reset, which may overtake the answer. It is the connection's own goroutine's to call.
func (c *Conn) Close() error {
	if c.handOn() {
		return c.raw.Close()
	}
	if c.linger.Swap(false) {
		c.readOut()
	}
	c.all.forget(c)
	return c.Conn.Close()
}

// abort closes the connection at once, from any goroutine.
func (c *Conn) abort() {
	c.all.forget(c)
	c.Cut()
}

// Cut ends the connection's reads and writes at once, from any goroutine: TLS has no last words, for which it would wait. Its own goroutine then
// closes it.
func (c *Conn) Cut() { _ = c.raw.Close() }

func (c *Conn) readOut() {
	if !halfClose(c.Conn) || c.secure && !halfClose(c.raw) {
		return
	}
	b := make([]byte, 16<<10)
	end := time.Now().Add(lingerTime)
	for n := 0; n < lingerLimit; {
		by := time.Now().Add(lingerPause)
		if end.Before(by) {
			by = end
		}
		_ = c.Conn.SetReadDeadline(by)
		read := c.Conn.Read
		if c.peek != nil {
			read = c.readAhead
		}
		m, err := read(b)
		if n += m; err != nil {
			return
		}
	}
}

// halfClose ends what is written to a connection, where it can be ended by itself.
func halfClose(c net.Conn) bool {
	half, ok := c.(interface{ CloseWrite() error })
	return !ok || half.CloseWrite() == nil
}

// Linger makes Close wait until the caller has read the last answer.
func (c *Conn) Linger() { c.linger.Store(true) }

// CloseIdle closes the connection if it has no request that can still say something.
func (c *Conn) CloseIdle() {
	c.mu.Lock()
	idle := c.armed == nil
	c.mu.Unlock()
	if idle {
		c.Cut()
	}
}
