package upstream

import (
	"context"
	"net"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// connect gives an idle connection, unless fresh is wanted, else a new one.
func (c *Client) connect(call *Call, r *Request, fresh bool) (k *conn, reused bool, err error) {
	if !fresh {
		if k = c.idle(r.Addr, call.now); k != nil {
			return k, true, nil
		}
	}
	k, err = c.dial(call, r)
	call.now = time.Now()
	return k, false, err
}

// dial makes a connection when it is the call's turn. Abort ends it at any moment.
func (c *Client) dial(call *Call, r *Request) (*conn, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !call.deadline.IsZero() {
		var cancelToo context.CancelFunc
		ctx, cancelToo = context.WithDeadline(ctx, call.deadline)
		defer cancelToo()
	}
	call.dialing.Store(&cancel)
	defer call.dialing.Store(nil)
	if err := call.aborted(); err != nil { // it came before the store, and found nothing to cancel
		return nil, err
	}
	k, err := c.dialInTurn(ctx, r.Addr)
	switch {
	case err == nil:
		return k, nil
	case call.aborted() != nil:
		return nil, call.aborted()
	case !call.deadline.IsZero() && !time.Now().Before(call.deadline):
		return nil, ErrDeadline
	}
	return nil, &DialError{Addr: r.Addr, Err: err}
}

// dialInTurn waits until there may be one connection more, and then has the whole of a dial's time: who has waited tells nothing of the engine.
func (c *Client) dialInTurn(ctx context.Context, addr string) (*conn, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	nc, err := c.dialOnce(ctx, addr)
	if err != nil {
		c.mu.Lock()
		c.release()
		c.mu.Unlock()
		return nil, err
	}
	return newConn(nc, addr), nil
}

func (c *Client) dialOnce(ctx context.Context, addr string) (net.Conn, error) {
	c.mu.Lock()
	h := c.host(addr)
	h.users++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		h.users--
		c.forget(addr, h)
		c.mu.Unlock()
	}()
	select {
	case h.gate <- struct{}{}:
		defer func() { <-h.gate }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	nc, err := c.cfg.Dial(ctx, "tcp", addr)
	if socket.Exhausted(err) && c.dropIdle() {
		nc, err = c.cfg.Dial(ctx, "tcp", addr)
	}
	return nc, err
}

// dropIdle closes all idle connections, for the sake of their descriptors, and reports whether there was any.
func (c *Client) dropIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropAll()
}
