package router

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// lastWords is how long requests that were cancelled at the end of the drain may take to say so.
const lastWords = 2 * time.Second

// Serve answers requests on ln until ctx is done. Then it stops accepting, has the activator answer whoever waits, lets live
// requests end within the drain timeout, and cancels the rest. It returns when the last connection is closed; nil after a
// shutdown. It is called once.
func (r *Router) Serve(ctx context.Context, ln net.Listener) error {
	broken, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error {
		defer cancel()
		if err := r.app.Listener(r.conns.Listen(ctx, ln)); err != nil {
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
	_ = ln.Close() // shutting down closes no listener that the app has not begun to serve
	unfollow()
	r.conns.Stop()
	r.asking.Wait()
	r.engines.Close()
	return g.Wait()
}

// drain ends all connections. fasthttp leaves those that outlast its own shutdown running, so the last steps are ours.
func (r *Router) drain() {
	r.draining.Store(true)
	r.c.Activator.Drain()
	s := r.app.Server()
	patience, cancel := context.WithTimeout(context.Background(), r.c.DrainTimeout)
	defer cancel()
	if s.ShutdownWithContext(patience) == nil {
		return
	}
	r.c.Log.Warn("cancelling the requests that outlasted the drain", "connections", r.conns.Count())
	r.conns.Each(func(c *edge.Conn) { c.Cancel(errDrained) })
	r.await(lastWords)
	r.conns.Each(func(c *edge.Conn) { c.Cut() })
	r.await(time.Hour) // a closed connection ends its goroutine
}

// await waits until all connections have ended, or for d.
func (r *Router) await(d time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); r.conns.Count() > 0 && time.Now().Before(end); {
		<-tick.C
		r.conns.Each(func(c *edge.Conn) { c.CloseIdle() })
	}
}
