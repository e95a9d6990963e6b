package router

import (
	"sync"
)

// watch knows every accepted connection and notices when the caller at its other end leaves. fasthttp cannot: nobody reads
// a connection while its request is handled (valyala/fasthttp#468, #874, #965).
//
// On Linux one goroutine waits in epoll for EPOLLRDHUP, for which each connection is registered once; nothing is read, so
// pipelined data never wakes it. Elsewhere, and for connections that are no sockets, a goroutine per held request reads one
// byte ahead, as net/http does. A half-closed connection counts as left in both.
type watch struct {
	peeks sync.WaitGroup
	poll  *poller // nil where the platform has none, and before open

	mu    sync.Mutex // guards the fields below
	conns map[uint64]*conn
	next  uint64
}

func newWatch() *watch { return &watch{conns: make(map[uint64]*conn)} }

// open prepares run.
func (w *watch) open() (err error) {
	w.poll, err = newPoller()
	return err
}

// run delivers departures until stop.
func (w *watch) run() {
	if w.poll != nil {
		w.poll.run(w.departed)
	}
}

// stop ends run and waits for the background reads, which end with their connections.
func (w *watch) stop() {
	if w.poll != nil {
		w.poll.stop()
	}
	w.peeks.Wait()
}

func (w *watch) adopt(c *conn) {
	w.mu.Lock()
	w.next++
	c.id = w.next
	w.conns[c.id] = c
	w.mu.Unlock()
	c.polled = w.poll != nil && w.poll.add(c.Conn, c.id)
}

// forget drops a closed connection. The kernel has dropped its registration with the descriptor.
func (w *watch) forget(c *conn) {
	w.mu.Lock()
	delete(w.conns, c.id)
	w.mu.Unlock()
}

func (w *watch) departed(id uint64) {
	w.mu.Lock()
	c := w.conns[id]
	w.mu.Unlock()
	if c != nil {
		c.departed()
	}
}

// each calls f for every connection that is open now, without the lock.
func (w *watch) each(f func(*conn)) {
	w.mu.Lock()
	conns := make([]*conn, 0, len(w.conns))
	for _, c := range w.conns {
		conns = append(conns, c)
	}
	w.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}
