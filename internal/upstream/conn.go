package upstream

import (
	"net"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// bufferSize is what one read takes at most: enough for the head of any engine's answer and for many events, small enough
// for thousands of streams. An engine that fills it is read by burstSize, until a read brings less than half of that: a system call costs as
// much as the events that it brings.
const (
	bufferSize = 8 << 10
	burstSize  = 16 << 10
)

// bursts has buffers for engines that write faster than they are read.
var bursts = sync.Pool{New: func() any { return new([burstSize]byte) }}

// conn is one connection. It has one owner at a time: the pool, or the call in whose own field it stands.
type conn struct {
	nc    net.Conn
	sock  *socket.Socket // nc's, for what is small
	addr  string
	buf   []byte
	small []byte    // the usual buffer, while buf is one of bursts; else nil
	r, w  int       // buf[r:w] was read from the connection and not yet taken
	armed time.Time // the read deadline in force; zero = none
	wrote time.Time // the write deadline in force; zero = none
	since time.Time // idle since
}

func newConn(nc net.Conn, addr string) *conn {
	return &conn{nc: nc, sock: socket.Of(nc), addr: addr, buf: make([]byte, bufferSize)}
}

// usable reports whether an idle connection can serve an exchange: not idle since before oldest, still open, and with
// nothing to read. An engine that has something to say between two exchanges says it about none of ours: taken for the
// next answer, it would be somebody else's.
func (k *conn) usable(oldest time.Time) bool {
	return k.since.After(oldest) && k.sock.Quiet()
}

// armBoth sets the deadline of reads and writes.
func (k *conn) armBoth(t time.Time) {
	_ = k.nc.SetDeadline(t) // fails only if closed, and then so does the next read
	k.armed, k.wrote = t, t
}

// near reports whether the deadlines in force lie before t, but not by more than half of what is left until then: moving one
// costs more than a look at the clock, and who meets an early one puts it right.
func (k *conn) near(t, now time.Time) bool {
	half := now.Add(t.Sub(now) / 2)
	return !t.IsZero() && !k.armed.After(t) && !k.wrote.After(t) && k.armed.After(half) && k.wrote.After(half)
}

// arm sets the deadline of reads.
func (k *conn) arm(t time.Time) {
	if !t.Equal(k.armed) {
		_ = k.nc.SetReadDeadline(t)
		k.armed = t
	}
}

// room makes room to read into.
func (k *conn) room() {
	switch {
	case k.r == k.w:
		k.fit(k.w)
		k.r, k.w = 0, 0
	case k.w == len(k.buf):
		k.w = copy(k.buf, k.buf[k.r:k.w])
		k.r = 0
	}
}

// fit chooses the buffer, now empty, for an engine whose last bytes have filled so much of it.
func (k *conn) fit(filled int) {
	switch {
	case k.small == nil && filled == bufferSize && len(k.buf) == bufferSize:
		k.small, k.buf = k.buf, bursts.Get().(*[burstSize]byte)[:]
	case k.small != nil && filled < burstSize/2:
		k.calm()
	}
}

// calm goes back to the usual buffer.
func (k *conn) calm() {
	bursts.Put((*[burstSize]byte)(k.buf))
	k.buf, k.small = k.small, nil
}

// grow doubles a buffer that is full, up to limit; false if it may not.
func (k *conn) grow(limit int) bool {
	k.room()
	if k.w < len(k.buf) {
		return true
	}
	if len(k.buf) >= limit {
		return false
	}
	larger := make([]byte, min(2*len(k.buf), limit))
	copy(larger, k.buf[:k.w])
	if k.small != nil { // of the bursts' buffers, none may be a part of something larger
		k.calm()
	}
	k.buf = larger
	return true
}

// shrink lets go of a buffer that a burst or an unusually long head has made large.
func (k *conn) shrink() {
	switch {
	case k.small != nil:
		k.calm()
	case len(k.buf) > bufferSize:
		k.buf = make([]byte, bufferSize)
	}
	k.r, k.w = 0, 0
}
