package upstream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// TestLimits checks when an exchange ends, and why, in virtual time.
func TestLimits(t *testing.T) {
	tick := func(s *serverConn, every time.Duration, n int) {
		for range n {
			time.Sleep(every)
			s.say("1\r\nx\r\n")
		}
	}
	tests := []struct {
		name            string
		firstByte, idle time.Duration
		total           time.Duration
		serve           func(s *serverConn)
		want            error
		after           time.Duration
		bytes           int
		slowReader      time.Duration
	}{
		{name: "no head", firstByte: 10 * time.Second, serve: func(*serverConn) {}, want: upstream.ErrFirstByteTimeout, after: 10 * time.Second},
		{
			name: "head but no body", firstByte: 10 * time.Second, idle: time.Second, want: upstream.ErrFirstByteTimeout, after: 10 * time.Second,
			serve: func(s *serverConn) { time.Sleep(4 * time.Second); s.say(chunkedHead) },
		},
		{
			name: "a size is no byte of the body", firstByte: 10 * time.Second, want: upstream.ErrFirstByteTimeout, after: 10 * time.Second,
			serve: func(s *serverConn) { s.say(chunkedHead + "1\r\n") },
		},
		{
			name: "head drips", firstByte: 10 * time.Second, want: upstream.ErrFirstByteTimeout, after: 10 * time.Second,
			serve: func(s *serverConn) {
				s.say("HTTP/1.1 200 OK\r\nX: ")
				for range 20 {
					time.Sleep(time.Second)
					s.say("a")
				}
			},
		},
		{
			name: "silence after the first byte", firstByte: time.Hour, idle: 10 * time.Second, want: upstream.ErrIdleTimeout, after: 11 * time.Second, bytes: 1,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, time.Second, 1) },
		},
		{
			name: "silence counts from the last byte", firstByte: time.Hour, idle: 10 * time.Second, want: upstream.ErrIdleTimeout, after: 14 * time.Second, bytes: 4,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, time.Second, 4) },
		},
		{
			name: "slow but steady", firstByte: 10 * time.Second, idle: 10 * time.Second, after: 90 * time.Second, bytes: 10,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, 9*time.Second, 10); s.say("0\r\n\r\n") },
		},
		{
			name: "our reader's time is not the engine's", firstByte: time.Hour, idle: 10 * time.Second, want: upstream.ErrIdleTimeout, after: 41 * time.Second, bytes: 1,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, time.Second, 1) }, slowReader: 30 * time.Second,
		},
		{
			name: "deadline in the body", firstByte: 10 * time.Second, idle: 10 * time.Second, total: 25 * time.Second, want: upstream.ErrDeadline, after: 25 * time.Second, bytes: 2,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, 9*time.Second, 9) },
		},
		{name: "deadline before the head", firstByte: time.Hour, total: 5 * time.Second, serve: func(*serverConn) {}, want: upstream.ErrDeadline, after: 5 * time.Second},
		{
			name: "deadline only", total: 5 * time.Second, want: upstream.ErrDeadline, after: 5 * time.Second, bytes: 1,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, time.Second, 1) },
		},
		{
			name: "no limits", after: 24 * time.Hour, bytes: 1,
			serve: func(s *serverConn) { s.say(chunkedHead); tick(s, 24*time.Hour, 1); s.say("0\r\n\r\n") },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var servers sync.WaitGroup
				c := upstream.New(upstream.Config{Dial: piped(&servers, func(s *serverConn) {
					s.request()
					tt.serve(s)
					s.closed()
				})})
				start := time.Now()
				r := post("engine:1", "{}")
				r.FirstByte, r.Idle, r.Total = tt.firstByte, tt.idle, tt.total
				var call upstream.Call
				n, err := 0, c.Do(&call, r)
				for err == nil {
					var data []byte
					data, err = call.Next(0)
					n += len(data)
					if len(data) > 0 {
						time.Sleep(tt.slowReader)
					}
				}
				if tt.want == nil {
					tt.want = io.EOF
				}
				if d := time.Since(start); !errors.Is(err, tt.want) || d != tt.after || n != tt.bytes {
					t.Errorf("got %v after %v and %d bytes; want %v after %v and %d", err, d, n, tt.want, tt.after, tt.bytes)
				}
				call.Close()
				c.Close()
				servers.Wait()
			})
		})
	}
}

func TestLimitsOfOneExchangeDoNotHoldForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers sync.WaitGroup
		c := upstream.New(upstream.Config{Dial: piped(&servers, func(s *serverConn) {
			s.request()
			s.say(okAnswer)
			s.request()
			time.Sleep(time.Minute)
			s.say(okAnswer)
			s.closed()
		})})
		r := post("engine:1", "{}")
		r.FirstByte, r.Idle, r.Total = time.Second, time.Second, time.Second
		mustExchange(t, c, r, "ok")
		r.FirstByte, r.Idle, r.Total = 0, 0, 0
		mustExchange(t, c, r, "ok")
		c.Close()
		servers.Wait()
	})
}

func TestDialTakesNoLongerThanItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := upstream.New(upstream.Config{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		start := time.Now()
		_, _, err := exchange(c, post("engine:1", "{}"))
		var dial *upstream.DialError
		if d := time.Since(start); !errors.As(err, &dial) || d != 3*time.Second {
			t.Errorf("got %v after %v, want a DialError after 3s", err, d)
		}
		r := post("engine:1", "{}")
		start = time.Now()
		r.Total = time.Second
		if _, _, err := exchange(c, r); err != upstream.ErrDeadline || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want ErrDeadline after 1s", err, time.Since(start))
		}
	})
}

// TestLimits_OfALaterExchange checks that the deadlines that an earlier exchange has left on its connection, which may lie before
// those of the next, end neither that one's reads nor its writes.
func TestLimits_OfALaterExchange(t *testing.T) {
	silence := 350 * time.Millisecond
	e := newEngine(t, func(_ int64, s *serverConn) {
		for n := 0; ; n++ {
			if _, _, ok := s.request(); !ok {
				return
			}
			if n == 2 {
				time.Sleep(time.Second) // longer than the caller waits
				return
			}
			time.Sleep(silence * time.Duration(n))
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
		}
	})
	c := upstream.New(upstream.Config{})
	defer c.Close()
	var call upstream.Call
	for n, limit := range []time.Duration{300 * time.Millisecond, 500 * time.Millisecond, 200 * time.Millisecond} {
		began := time.Now()
		err := c.Do(&call, &upstream.Request{Addr: e.addr, Path: "/", FirstByte: limit})
		if n == 2 {
			if took := time.Since(began); !errors.Is(err, upstream.ErrFirstByteTimeout) || took < limit {
				t.Errorf("got %v after %v, want a timeout after %v", err, took, limit)
			}
			break
		}
		if err != nil {
			t.Fatalf("exchange %d: %v", n+1, err)
		}
		for err == nil {
			_, err = call.Next(0)
		}
		call.Close()
	}
	call.Close()
	if e.accepted.Load() != 1 {
		t.Errorf("got %d connections, want 1", e.accepted.Load())
	}
}

// TestNextBy_EndsNothing: who asks whether something has come by a moment loses nothing, and the limits stay what they are.
func TestNextBy_EndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers sync.WaitGroup
		c := upstream.New(upstream.Config{Dial: piped(&servers, func(s *serverConn) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na")
			time.Sleep(40 * time.Second)
			s.say("b")
			s.closed()
		})})
		defer servers.Wait()
		defer c.Close()
		var call upstream.Call
		defer call.Close()
		r := post("engine:1", "{}")
		r.Idle = time.Minute
		if err := c.Do(&call, r); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if b, err := call.Next(0); string(b) != "a" || err != nil {
			t.Fatalf("got %q, %v", b, err)
		}
		for n := 1; n <= 2; n++ {
			by := began.Add(time.Duration(n) * 15 * time.Second)
			if b, err := call.NextBy(0, by); b != nil || err != upstream.ErrNotYet || !time.Now().Equal(by) {
				t.Fatalf("got %q, %v after %v; want nothing yet after %v", b, err, time.Since(began), by.Sub(began))
			}
		}
		if b, err := call.NextBy(0, began.Add(45*time.Second)); string(b) != "b" || err != nil || !call.LastByte().Equal(began.Add(40*time.Second)) {
			t.Fatalf("got %q, %v, the last byte after %v; want it after 40 s", b, err, call.LastByte().Sub(began))
		}
		for {
			by := time.Now().Add(15 * time.Second)
			_, err := call.NextBy(0, by)
			if err == upstream.ErrNotYet {
				continue
			}
			if err != upstream.ErrIdleTimeout || time.Since(began) != 100*time.Second {
				t.Errorf("got %v after %v, want the limit a minute behind the last byte", err, time.Since(began))
			}
			break
		}
	})
}
