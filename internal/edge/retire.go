package edge

import (
	"io"
	"net"
)

// retirement is the end of all connections of a listener, each between two requests.
type retirement struct {
	pass func(net.Conn) bool // nil = they are closed
}

// Retire ends connections between two requests: those that rest now, and each other when its answer is sent. None is ended of which anything was read that is not
// answered: what its caller sends at that moment is answered, or has not been read.
//
// Each is given to pass, from its own goroutine, which may hand its socket to another process, and reports whether it has; the caller sees nothing of it. Connections
// with TLS cannot be handed on: with pass they stay. Without pass all are closed.
func (w *Connections) Retire(pass func(net.Conn) bool) {
	w.retirement.Store(&retirement{pass})
	w.Each(func(c *Conn) { c.wake(pass == nil) })
}

// retires reports whether the connection ends here, where b is to be read next: it is between two requests, and nothing of the next has been read.
func (c *Conn) retires(b []byte) bool {
	if c.line.stage != lineAwaited || len(b) != HeadLimit { // else the reader's buffer holds something
		return false
	}
	r := c.all.retirement.Load()
	return r != nil && (r.pass == nil || !c.secure)
}

// wake has a connection that rests see that it retires. One that has just begun to read a request goes on with it.
func (c *Conn) wake(all bool) {
	switch stage := c.stage.Load(); {
	case !all && c.secure: // a handshake would not survive it
	case stage == resting, stage == fresh:
		_ = c.Conn.SetReadDeadline(longAgo)
	}
}

// retire ends reading.
func (c *Conn) retire() (int, error) {
	c.retired.Store(true)
	return 0, io.EOF
}

// handOn gives a retired connection to whoever is to have it.
func (c *Conn) handOn() bool {
	r := c.all.retirement.Load()
	if r == nil || r.pass == nil || c.secure || c.peek != nil || !c.retired.Swap(false) {
		return false
	}
	c.all.forget(c)
	c.all.unwatch(c)
	return r.pass(c.raw)
}

// unwatch ends the watch for a connection's departure: its registration would outlive our descriptor.
func (w *Connections) unwatch(c *Conn) {
	w.mu.Lock()
	p := w.poll
	w.mu.Unlock()
	if c.polled && p != nil {
		p.drop(c.raw)
	}
}
