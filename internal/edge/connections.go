package edge

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
)

// Config is what New needs.
type Config struct {
	Listener string       // its name in metrics and logs: public or admin
	Max      int          // connections open at once; 0 = no limit
	Room     func() int   // of Max, which is required then, those that there is room for at the moment; nil = all. It is asked under the lock
	TLS      *tls.Config  // that callers have to speak; nil = none. Its NextProtos must be http/1.1 alone
	Metrics  *metrics.Set // where its metrics are kept
	Log      *slog.Logger // nil = discard
}

// Connections are all that one listener has accepted. They are safe for concurrent use.
//
// They also notice when a caller leaves. fasthttp cannot: nobody reads a connection while its request is handled
// (valyala/fasthttp#468, #874, #965). On Linux one goroutine waits in epoll for EPOLLRDHUP, for which each connection is
// registered once; nothing is read, so pipelined data never wakes it. Elsewhere, and for connections that are no sockets, a
// goroutine per held request reads one byte ahead, as net/http does. A half-closed connection counts as left in both.
type Connections struct {
	c       Config
	evicted *metrics.Counter
	refused *metrics.Counter
	loops   sync.WaitGroup // the goroutine in epoll, and those that read ahead
	once    sync.Once

	retirement atomic.Pointer[retirement] // nil = there is none

	mu    sync.Mutex // guards the fields below
	poll  *poller    // nil where the platform has none, and before the first socket
	open  map[uint64]*Conn
	next  uint64
	hosts hosts
	ebb   ebb
}

// New makes connections that nobody has opened yet. It starts nothing.
func New(c Config) *Connections {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	w := &Connections{c: c, open: make(map[uint64]*Conn), hosts: newHosts(c.Max)}
	c.Metrics.NewGauge(fmt.Sprintf("pilotlight_connections{listener=%q}", c.Listener), func() float64 { return float64(w.Count()) })
	w.evicted = c.Metrics.NewCounter(fmt.Sprintf(`pilotlight_connections_refused_total{listener=%q,reason="silent"}`, c.Listener))
	w.refused = c.Metrics.NewCounter(fmt.Sprintf(`pilotlight_connections_refused_total{listener=%q,reason="full"}`, c.Listener))
	return w
}

// Attach makes a server tell of its connections' states. Its handlers must begin with Guard.
func (w *Connections) Attach(s *fasthttp.Server) {
	s.ConnState = func(c net.Conn, state fasthttp.ConnState) {
		ours, ok := c.(*Conn)
		switch {
		case !ok:
		case state == fasthttp.StateActive:
			ours.line.begun()
		case state == fasthttp.StateIdle:
			ours.rest()
		}
	}
}

// Accept takes an accepted connection in, and in its stead closes one that is silent where there are as many as there may be. Nil = there is no
// room for it, and it is closed.
func (w *Connections) Accept(c net.Conn) *Conn {
	a := newConn(c, w)
	_, isSocket := c.(syscall.Conn)
	if isSocket {
		w.once.Do(w.watch)
	}
	w.mu.Lock()
	if w.c.Room != nil {
		w.hosts.max = max(min(w.c.Max, w.c.Room()), 1)
	}
	silent, ok := w.hosts.admit(a)
	if !ok {
		w.mu.Unlock()
		w.refused.Inc()
		w.turnAway(c)
		return nil
	}
	w.next++
	a.id = w.next
	w.open[a.id] = a
	w.ebb.opened(len(w.open))
	p := w.poll
	w.mu.Unlock()
	if silent != nil {
		w.evicted.Inc()
		silent.abort()
	}
	a.polled = p != nil && p.add(c, a.id)
	return a
}

// watch starts watching sockets; the first one accepted brings it about, because a goroutine in epoll would stop the virtual
// time of tests, which have none.
func (w *Connections) watch() {
	p, err := newPoller()
	if err != nil {
		w.c.Log.Warn("watching for departures by reading ahead", "reason", err)
	}
	if p == nil {
		return
	}
	w.mu.Lock()
	w.poll = p
	w.mu.Unlock()
	w.loops.Go(func() { p.run(w.departed) })
}

// Stop ends the watch and waits for its goroutines. All connections are closed before.
func (w *Connections) Stop() {
	w.mu.Lock()
	p := w.poll
	w.ebb.stop()
	w.mu.Unlock()
	if p != nil {
		p.stop()
	}
	w.loops.Wait()
}

// forget drops a closed connection. The kernel has dropped its registration with the descriptor.
func (w *Connections) forget(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[c.id] == c {
		delete(w.open, c.id)
		w.hosts.forget(c)
		w.ebb.closed(len(w.open))
	}
}

func (w *Connections) departed(id uint64) {
	w.mu.Lock()
	c := w.open[id]
	w.mu.Unlock()
	if c != nil {
		c.departed()
	}
}

// Count is the number of connections that are open now.
func (w *Connections) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}

// Each calls f for every connection that is open now, without the lock.
func (w *Connections) Each(f func(*Conn)) {
	w.mu.Lock()
	conns := make([]*Conn, 0, len(w.open))
	for _, c := range w.open {
		conns = append(conns, c)
	}
	w.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}
