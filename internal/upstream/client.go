package upstream

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Config of a Client.
type Config struct {
	DialTimeout     time.Duration // of one connection, its turn to dial included; 0 = 3 s
	IdleConn        time.Duration // an unused connection is closed after it; 0 = 4 s, since engines close theirs after 5 s
	MaxIdlePerHost  int           // more are closed instead of kept; 0 = 256
	MaxDialsPerHost int           // dials under way at once, so that a herd does not overflow an engine's backlog; 0 = 64
	HeadLimit       int           // of an answer's head, in bytes; 0 = 64 KiB

	// MaxConns says how many connections there may be now, idle ones included; nil = any number. It is asked before each dial, under the client's lock.
	// Where there are as many, idle ones are closed, and else who needs one waits for it, as long as a dial may take; then the error is Exhausted (package
	// socket), as where the process itself has no descriptor left.
	MaxConns func() int

	// Dial makes the connections; nil: TCP. Ctx ends with the dial's time or with an abort.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	if c.DialTimeout == 0 {
		c.DialTimeout = 3 * time.Second
	}
	if c.IdleConn == 0 {
		c.IdleConn = 4 * time.Second
	}
	if c.MaxIdlePerHost == 0 {
		c.MaxIdlePerHost = 256
	}
	if c.MaxDialsPerHost == 0 {
		c.MaxDialsPerHost = 64
	}
	if c.HeadLimit == 0 {
		c.HeadLimit = 64 << 10
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	return c
}

// Client holds the idle connections to engines. It is safe for use by many goroutines. It holds nothing of an engine that
// is not in use and has no idle connection.
type Client struct {
	cfg Config

	open atomic.Int64 // connections, idle ones and dials under way included; changed under mu

	mu      sync.Mutex       // guards what follows
	hosts   map[string]*host // host:port -> what we hold of it
	waiting []chan struct{}  // of those who wait for a connection that there may be; closed when they have it
	sweep   *time.Timer      // closes connections that have been idle too long
	due     bool             // sweep is running
	closed  bool
}

// host is what the client holds of one engine. Guarded by Client.mu.
type host struct {
	idle  []*conn       // the longest idle first
	gate  chan struct{} // a place for each dial under way
	users int           // calls at the gate
}

// New gives a client. It starts nothing.
func New(cfg Config) *Client {
	return &Client{cfg: cfg.withDefaults(), hosts: map[string]*host{}}
}

// Close closes the idle connections. Exchanges under way go on; theirs are closed at their end.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.sweep != nil {
		c.sweep.Stop()
	}
	c.dropAll()
}

func (c *Client) host(addr string) *host {
	h := c.hosts[addr]
	if h == nil {
		h = &host{gate: make(chan struct{}, c.cfg.MaxDialsPerHost)}
		c.hosts[addr] = h
	}
	return h
}

// forget drops a host of which nothing is held: engines come and go, each with a port of its own.
func (c *Client) forget(addr string, h *host) {
	if h.users == 0 && len(h.idle) == 0 {
		delete(c.hosts, addr)
	}
}

// idle takes the connection to addr that was used last, nil if there is none.
func (c *Client) idle(addr string, now time.Time) *conn {
	for {
		k := c.pop(addr)
		if k == nil || k.usable(now.Add(-c.cfg.IdleConn)) {
			return k
		}
		c.end(k)
	}
}

func (c *Client) pop(addr string) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[addr]
	if h == nil || len(h.idle) == 0 {
		return nil
	}
	last := len(h.idle) - 1
	k := h.idle[last]
	h.idle[last] = nil
	h.idle = h.idle[:last]
	// The host stays for its slice's sake: a busy engine would lose and gain it with each request. The sweep forgets it.
	return k
}

// keep takes back a connection that can serve another exchange.
func (c *Client) keep(k *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.host(k.addr)
	if c.closed || len(h.idle) >= c.cfg.MaxIdlePerHost || len(c.waiting) > 0 {
		c.forget(k.addr, h)
		k.nc.Close()
		c.release()
		return
	}
	h.idle = append(h.idle, k)
	c.arm(c.cfg.IdleConn)
}

// arm lets the sweep run after d, if it is not about to run anyway.
func (c *Client) arm(d time.Duration) {
	switch {
	case c.due:
		return
	case c.sweep == nil:
		c.sweep = time.AfterFunc(d, c.sweepIdle)
	default:
		c.sweep.Reset(d)
	}
	c.due = true
}

// sweepIdle closes what has been idle for too long. It is a timer's and not a goroutine's, so that a client needs no Run.
func (c *Client) sweepIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = false
	now := time.Now()
	next := time.Duration(-1)
	for addr, h := range c.hosts {
		n := 0
		for n < len(h.idle) && now.Sub(h.idle[n].since) >= c.cfg.IdleConn {
			n++
		}
		c.drop(h, n)
		if len(h.idle) > 0 {
			if left := c.cfg.IdleConn - now.Sub(h.idle[0].since); next < 0 || left < next {
				next = left
			}
		}
		c.forget(addr, h)
	}
	if next >= 0 && !c.closed {
		c.arm(next)
	}
}
