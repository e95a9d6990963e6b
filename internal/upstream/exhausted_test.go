package upstream_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

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

// Where there are as many connections as there may be, who comes waits for one in turn, in virtual time; idle ones make room at once.
func TestMaxConns_WhoComesWaitsForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers, wg sync.WaitGroup
		most := 2
		c := upstream.New(upstream.Config{MaxConns: func() int { return most }, Dial: piped(&servers, func(s *serverConn) {
			for {
				if _, _, ok := s.request(); !ok {
					return
				}
				time.Sleep(time.Second)
				s.say(okAnswer)
			}
		})})
		var mu sync.Mutex
		var took []time.Duration
		ask := func(addr string) {
			start := time.Now()
			_, body, err := exchange(c, post(addr, "{}"))
			if mu.Lock(); err != nil || body != "ok" {
				t.Errorf("%s: got %q, %v, want ok", addr, body, err)
			}
			took = append(took, time.Since(start))
			mu.Unlock()
		}
		for range 5 {
			wg.Go(func() { ask("engine:1") })
			synctest.Wait()
		}
		if got := c.Open(); got != 2 {
			t.Errorf("got %d open, want 2", got)
		}
		wg.Wait()
		if want := []time.Duration{time.Second, time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second}; !slices.Equal(took, want) {
			t.Errorf("got answers after %v, want %v", took, want)
		}
		ask("engine:2") // all of the other's are idle
		if last := took[len(took)-1]; last != time.Second {
			t.Errorf("got an answer after %s, want the idle connection of another engine closed for it at once", last)
		}
		c.Close()
		servers.Wait()
		if got := c.Open(); got != 0 {
			t.Errorf("got %d open in the end, want none", got)
		}
	})
}

func TestMaxConns_NobodyWaitsLongerThanADialMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers, wg sync.WaitGroup
		c := upstream.New(upstream.Config{MaxConns: func() int { return 1 }, Dial: piped(&servers, func(s *serverConn) {
			s.request()
			time.Sleep(5 * time.Second)
			s.say(okAnswer)
			s.closed()
		})})
		wg.Go(func() { mustExchange(t, c, post("engine:1", "{}"), "ok") })
		synctest.Wait()
		start := time.Now()
		if _, _, err := exchange(c, post("engine:1", "{}")); !socket.Exhausted(err) || time.Since(start) != 3*time.Second {
			t.Errorf("got %v after %s, want it told after 3s that there was no connection to be had, of which the engine has no part", err, time.Since(start))
		}
		errGone := errors.New("gone")
		var left upstream.Call
		wg.Go(func() {
			time.Sleep(time.Second)
			left.Abort(errGone)
		})
		if err := c.Do(&left, post("engine:1", "{}")); !errors.Is(err, errGone) {
			t.Errorf("got %v, want who leaves to wait no longer", err)
		}
		wg.Wait()
		c.Close()
		servers.Wait()
		if got := c.Open(); got != 0 {
			t.Errorf("got %d open in the end, want none", got)
		}
	})
}

// A place that is given to somebody in the moment in which he gives up goes to the next.
func TestMaxConns_NoneIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers, wg sync.WaitGroup
		c := upstream.New(upstream.Config{DialTimeout: time.Second, MaxConns: func() int { return 3 }, Dial: piped(&servers, func(s *serverConn) {
			s.request()
			time.Sleep(time.Second)
			s.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		})})
		for range 200 {
			wg.Go(func() {
				if _, _, err := exchange(c, post("engine:1", "{}")); err != nil && !socket.Exhausted(err) {
					t.Errorf("got %v, want an answer, or no connection", err)
				}
			})
		}
		wg.Wait()
		if got := c.Open(); got != 0 {
			t.Errorf("got %d open in the end, want none", got)
		}
		mustExchange(t, c, post("engine:1", "{}"), "ok")
		servers.Wait()
		c.Close()
	})
}
