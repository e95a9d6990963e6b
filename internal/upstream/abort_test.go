package upstream_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

var errClientGone = errors.New("the client has gone")

func TestAbortBeforeDo(t *testing.T) {
	e := newEngine(t, answering(okAnswer))
	c := newClient(t, upstream.Config{})
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	var call upstream.Call
	call.Abort(errClientGone)
	call.Abort(errors.New("second"))
	if err := c.Do(&call, post(e.addr, "{}")); err != errClientGone {
		t.Errorf("got %v, want the first cause", err)
	}
	call.Close()
	if err := c.Do(&call, post(e.addr, "{}")); err != errClientGone {
		t.Errorf("got %v at the next attempt, want the cause still", err)
	}
	call.Reset()
	if err := c.Do(&call, post(e.addr, "{}")); err != nil {
		t.Errorf("got %v after Reset, want none", err)
	}
	call.Close()
}

func TestAbortWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := upstream.New(upstream.Config{
			DialTimeout: time.Hour, MaxDialsPerHost: 1,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		defer c.Close()
		var wg sync.WaitGroup
		var calls [2]upstream.Call // one dials, one waits for its turn
		for i := range calls {
			wg.Go(func() {
				if err := c.Do(&calls[i], post("engine:1", "{}")); err != errClientGone {
					t.Errorf("got %v, want the cause", err)
				}
				if !calls[i].Dispatched().IsZero() {
					t.Error("got dispatched, want never")
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		for i := range calls {
			calls[i].Abort(errClientGone)
			synctest.Wait()
		}
		wg.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("got back after %v, want at once", d)
		}
	})
}

func TestAbortJustAsTheConnectionIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers sync.WaitGroup
		var call upstream.Call
		pipe := piped(&servers, func(s *serverConn) {
			if _, _, ok := s.request(); ok {
				t.Error("got a request, want none")
			}
		})
		c := upstream.New(upstream.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			call.Abort(errClientGone) // too late for the dial, too early for a connection to be there
			return pipe(ctx, network, addr)
		}})
		defer c.Close()
		if err := c.Do(&call, post("engine:1", "{}")); err != errClientGone {
			t.Errorf("got %v, want the cause", err)
		}
		servers.Wait()
	})
}

// TestAbortClosesTheEnginesConnection aborts in each phase in which there is a connection.
func TestAbortClosesTheEnginesConnection(t *testing.T) {
	for name, answer := range map[string]string{
		"sending": "", "before the head": "", "in the head": "HTTP/1.1 200 OK\r\nConte",
		"before the body": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"in the body":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"in a chunk":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var servers, wg sync.WaitGroup
				var closed time.Time
				c := upstream.New(upstream.Config{Dial: piped(&servers, func(s *serverConn) {
					if name != "sending" {
						s.request()
						s.say(answer)
						s.closed()
					} else {
						time.Sleep(time.Second) // reads nothing until the abort
						_, err := s.Write([]byte("x"))
						if err == nil {
							t.Error("got an open connection, want it closed")
						}
					}
					closed = time.Now()
				})})
				defer c.Close()
				var call upstream.Call
				wg.Go(func() {
					err := c.Do(&call, post("engine:1", "{}"))
					if err == nil {
						_, _, err = readAll(&call, 0)
					}
					if err != errClientGone {
						t.Errorf("got %v, want the cause", err)
					}
					if _, err := call.Next(0); err != errClientGone {
						t.Errorf("got %v from the next Next, want the cause", err)
					}
					call.Close()
				})
				time.Sleep(time.Second - 1)
				aborted := time.Now()
				call.Abort(errClientGone)
				wg.Wait()
				if d := time.Since(aborted); d != 0 {
					t.Errorf("got back after %v, want at once", d)
				}
				servers.Wait()
				if d := closed.Sub(aborted); d > 1 {
					t.Errorf("got the engine's connection closed after %v, want at once", d)
				}
			})
		})
	}
}

func TestAbortAfterTheEndIsHarmless(t *testing.T) {
	e := newEngine(t, func(n int64, c *serverConn) {
		c.request()
		c.say(okAnswer)
		c.request()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		c.request()
	})
	c := newClient(t, upstream.Config{})
	var first, second upstream.Call
	if err := c.Do(&first, post(e.addr, "{}")); err != nil {
		t.Fatal(err)
	}
	if body, _, err := readAll(&first, 0); body != "ok" || err != nil {
		t.Fatal(body, err)
	}
	first.Close()
	if err := c.Do(&second, post(e.addr, "{}")); err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Abort(errClientGone)
	first.Close()
	if data, err := second.Next(0); string(data) != "he" || err != nil {
		t.Errorf("got %q, %v of the other exchange; want he", data, err)
	}
	if n := e.accepted.Load(); n != 1 {
		t.Errorf("got %d connections, want both exchanges on 1", n)
	}
}

// TestAbortsNeverCrossExchanges lets many exchanges share few connections while others abort theirs at random moments:
// no answer may ever be another's.
func TestAbortsNeverCrossExchanges(t *testing.T) {
	e := newEngine(t, func(_ int64, c *serverConn) {
		for {
			_, body, ok := c.request()
			if !ok {
				return
			}
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range 3 {
				c.say(strconv.FormatInt(int64(len(body)), 16) + "\r\n" + body + "\r\n")
			}
			c.say("0\r\n\r\n")
		}
	})
	c := newClient(t, upstream.Config{})
	var workers, aborts sync.WaitGroup
	var whole, aborted atomic.Int64
	for w := range 8 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for n := range 150 {
				call := new(upstream.Call)
				id := strconv.Itoa(w) + "-" + strconv.Itoa(n)
				if random.IntN(2) == 0 {
					delay := time.Duration(random.IntN(300)) * time.Microsecond
					aborts.Go(func() {
						time.Sleep(delay)
						call.Abort(errClientGone)
					})
				}
				err := c.Do(call, post(e.addr, id))
				body := ""
				if err == nil {
					body, _, err = readAll(call, 1+random.IntN(20))
				}
				call.Close()
				switch {
				case err == errClientGone:
					aborted.Add(1)
				case err != nil || body != strings.Repeat(id, 3):
					t.Errorf("got %q, %v; want %s thrice", body, err, id)
				default:
					whole.Add(1)
				}
			}
		})
	}
	workers.Wait()
	aborts.Wait()
	if whole.Load() == 0 || aborted.Load() == 0 {
		t.Errorf("got %d whole and %d aborted exchanges, want some of both", whole.Load(), aborted.Load())
	}
}

func TestDoWhileInUseIsAnError(t *testing.T) {
	e := newEngine(t, answering(okAnswer))
	c := newClient(t, upstream.Config{})
	var call upstream.Call
	defer call.Close()
	if err := c.Do(&call, post(e.addr, "{}")); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(&call, post(e.addr, "{}")); err == nil {
		t.Error("got no error from a second Do, want one")
	}
	if body, _, err := readAll(&call, 0); body != "ok" || err != nil {
		t.Errorf("got %q, %v of the first; want ok", body, err)
	}
}

func TestNextWithoutAnAnswerIsAnError(t *testing.T) {
	var call upstream.Call
	if _, err := call.Next(0); err == nil || err == io.EOF {
		t.Errorf("got %v, want an error", err)
	}
}
