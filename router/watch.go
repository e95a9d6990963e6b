package router

import (
	"log/slog"
	"sync"
	"syscall"
)

// watch knows every accepted connection and notices when the caller at its other end leaves. fasthttp cannot: nobody reads
// a connection while its request is handled (valyala/fasthttp#468, #874, #965).
//
// On Linux one goroutine waits in epoll for EPOLLRDHUP, for which each connection is registered once; nothing is read, so
// pipelined data never wakes it. Elsewhere, and for connections that are no sockets, a goroutine per held request reads one
// byte ahead, as net/http does. A half-closed connection counts as left in both.
type watch struct {
	log   *slog.Logger
	loops sync.WaitGroup // the goroutine in epoll, and those that read ahead
	once  sync.Once

	mu    sync.Mutex // guards the fields below
	poll  *poller    // nil where the platform has none, and before the first socket
	conns map[uint64]*conn
	next  uint64
}

func newWatch(log *slog.Logger) *watch { return &watch{log: log, conns: make(map[uint64]*conn)} }

// stop ends the watch and waits for its goroutines. All connections are closed before.
func (w *watch) stop() {
	w.mu.Lock()
	p := w.poll
	w.mu.Unlock()
	if p != nil {
		p.stop()
	}
	w.loops.Wait()
}

func (w *watch) adopt(c *conn) {
	if _, socket := c.Conn.(syscall.Conn); socket {
		w.once.Do(w.open)
	}
	w.mu.Lock()
	w.next++
	c.id = w.next
	w.conns[c.id] = c
	p := w.poll
	w.mu.Unlock()
	c.polled = p != nil && p.add(c.Conn, c.id)
}

// open starts watching sockets; the first one accepted brings it about, because a goroutine in epoll would stop the virtual
// time of tests, which have none.
func (w *watch) open() {
	p, err := newPoller()
	if err != nil {
		w.log.Warn("watching for departures by reading ahead", "reason", err)
	}
	if p == nil {
		return
	}
	w.mu.Lock()
	w.poll = p
	w.mu.Unlock()
	w.loops.Go(func() { p.run(w.departed) })
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

func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
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
