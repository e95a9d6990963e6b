package upstream_test

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/socket"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// counted is a connection that gives its descriptor back when it is closed.
type counted struct {
	net.Conn
	left *atomic.Int64
}

func (c *counted) Close() error {
	c.left.Add(1)
	return c.Conn.Close()
}

// Where descriptors have run out, idle connections to other engines give theirs back.
func TestIdleConnectionsMakeRoomForANewOne(t *testing.T) {
	first, second := newEngine(t, answering(okAnswer)), newEngine(t, answering(okAnswer))
	var left atomic.Int64
	left.Store(1)
	c := newClient(t, upstream.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if left.Load() == 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EMFILE}
		}
		left.Add(-1)
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		return &counted{nc, &left}, err
	}})
	mustExchange(t, c, post(first.addr, "{}"), "ok")
	mustExchange(t, c, post(second.addr, "{}"), "ok")
	var call upstream.Call
	if err := c.Do(&call, post(first.addr, "{}")); err != nil {
		t.Fatal(err)
	}
	defer call.Close()
	var other upstream.Call
	if err := c.Do(&other, post(second.addr, "{}")); !socket.Exhausted(err) {
		t.Errorf("got %v, want it told that descriptors have run out, and that the engine has no part in it", err)
	}
}
