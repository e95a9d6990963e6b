package edge

import (
	"errors"
	"os"
	"time"
)

// ErrGone is why a request ends whose caller has left.
var ErrGone = errors.New("the caller has left")

// Departure is told once, from another goroutine, why the request it stands for has to end. It must not block.
type Departure interface{ Leave(cause error) }

// Arm names who is to be told when the caller leaves; it is told at once if the caller has left already. It is called when the request
// has been read: what the caller sends from then on is for later.
func (c *Conn) Arm(d Departure) {
	c.mu.Lock()
	left := c.left
	c.armed, c.told = d, left
	c.mu.Unlock()
	if left {
		d.Leave(ErrGone)
		return
	}
	if !c.polled {
		c.lookAhead()
	}
}

// Hold names the request that is handled before all of it has been read, for Visit. Disarm ends it.
func (c *Conn) Hold(d Departure) {
	c.mu.Lock()
	c.held = d
	c.mu.Unlock()
}

// Visit calls f, which must not block, with whom Hold has named, if that is anybody.
func (c *Conn) Visit(f func(Departure)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		f(c.held)
	}
}

// Disarm ends Arm and Hold: when it returns, nobody is being told any more.
func (c *Conn) Disarm() {
	c.mu.Lock()
	c.armed, c.held = nil, nil
	c.mu.Unlock()
}

// departed is told of each sign of it: who half-closes a connection and then drops it gives two.
func (c *Conn) departed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	c.leave(ErrGone)
}

// Cancel ends the connection's request with a cause; a connection without one is closed.
func (c *Conn) Cancel(cause error) {
	c.mu.Lock()
	armed := c.leave(cause)
	c.mu.Unlock()
	if !armed {
		c.abort()
	}
}

// leave tells whom Arm has named, once, and is false where that is nobody. It is called with mu.
func (c *Conn) leave(cause error) bool {
	if c.armed != nil && !c.told {
		c.told = true
		c.armed.Leave(cause)
	}
	return c.armed != nil
}

// Tell calls f, which must not block, with whom Arm has named, and is false where that is nobody.
func (c *Conn) Tell(f func(Departure)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed == nil {
		return false
	}
	f(c.armed)
	return true
}

// peek is one background read, one byte ahead.
type peek struct {
	done chan struct{} // closed when n and err stand
	b    [1]byte
	n    int
	err  error
}

// lookAhead starts a background read. One that an earlier request has left behind goes on serving: with pipelined data in
// its hand it cannot see further, as in net/http.
func (c *Conn) lookAhead() {
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
	c.all.loops.Go(func() {
		p.n, p.err = c.Conn.Read(p.b[:])
		close(p.done)
		if p.n == 0 && !os.IsTimeout(p.err) {
			c.departed()
		}
	})
}
