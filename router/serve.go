package router

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// lastWords is how long requests that were cancelled at the end of the drain may take to say so.
const lastWords = 2 * time.Second

// Serve answers requests on ln until ctx is done. Then it stops accepting, has the activator answer whoever waits, lets live
// requests end within the drain timeout, and cancels the rest. It returns when the last connection is
// closed; nil after a shutdown. It is called once.
func (r *Router) Serve(ctx context.Context, ln net.Listener) error {
	broken, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error {
		err := r.app.Listener(r.conns.Listen(r.accepting.begin(ctx, ln), ln))
		if err == nil && r.handed.Load() {
			return nil // another process accepts
		}
		cancel()
		if err != nil {
			return fmt.Errorf("serving the public API: %w", err)
		}
		return nil
	})
	following, unfollow := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		r.followLost(following)
		return nil
	})
	g.Go(func() error {
		r.followRights(following)
		return nil
	})
	<-broken.Done()
	r.drain()
	unfollow()
	r.adopted.Wait()
	r.conns.Stop()
	r.asking.Wait()
	r.engines.Close()
	return g.Wait()
}

// drain ends all connections. fasthttp's own shutdown comes last, when there are none: it would close some of which a request has just been read.
func (r *Router) drain() {
	began := time.Now()
	end := began.Add(r.c.DrainTimeout)
	if r.handed.Load() {
		r.settle(began.Add(min(lastAsk, r.c.DrainTimeout)))
	}
	r.draining.Store(true)
	r.leaving.Store(true)
	r.c.Activator.Drain()
	r.accepting.end()
	r.conns.Retire(nil)
	if !r.settle(end) {
		r.c.Log.Warn("cancelling the requests that outlasted the drain", "connections", r.conns.Count())
		r.conns.Each(func(c *edge.Conn) { c.Cancel(errDrained) })
		r.await(lastWords)
		r.conns.Each(func(c *edge.Conn) { c.Cut() })
		r.await(time.Hour) // a closed connection ends its goroutine
	}
	_ = r.app.Shutdown()
}

// lastAsk is how long callers with TLS may take to send the request whose answer tells them to go to the other process.
const lastAsk = 2 * time.Second

const drainLook = 5 * time.Millisecond

// settle waits until all connections have ended, and reports whether they have before that moment.
func (r *Router) settle(end time.Time) bool {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for r.conns.Count() > 0 {
		if !time.Now().Before(end) {
			return false
		}
		<-tick.C
	}
	return true
}

// await waits until all connections have ended, or for d.
func (r *Router) await(d time.Duration) {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for end := time.Now().Add(d); r.conns.Count() > 0 && time.Now().Before(end); {
		<-tick.C
		r.conns.Each(func(c *edge.Conn) { c.CloseIdle() })
	}
}

// accepting is a listener that is accepted from. It is safe for concurrent use.
type accepting struct {
	mu     sync.Mutex // guards the fields below
	cancel context.CancelFunc
	ln     net.Listener
	ended  bool
}

// begin gives a context that ends with the accepting.
func (a *accepting) begin(ctx context.Context, ln net.Listener) context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, a.cancel = context.WithCancel(ctx)
	a.ln = ln
	if a.ended {
		a.close()
	}
	return ctx
}

func (a *accepting) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.ln != nil {
		a.close()
	}
}

func (a *accepting) close() {
	a.cancel()
	_ = a.ln.Close()
}
