package upstream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestConnectionIsReusedAfterACleanEnd(t *testing.T) {
	e := newEngine(t, answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
	c := newClient(t, upstream.Config{})
	for range 3 {
		mustExchange(t, c, post(e.addr, "{}"), "ok")
	}
	if n := e.accepted.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}

func TestConnectionIsNotReused(t *testing.T) {
	for name, raw := range map[string]string{
		"engine closes":             "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0":                  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"bytes after the answer":    okAnswer + "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nINJECTED",
		"bytes after the last part": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, answering(raw))
			c := newClient(t, upstream.Config{})
			mustExchange(t, c, post(e.addr, "{}"), "ok")
			mustExchange(t, c, post(e.addr, "{}"), "ok")
			if n := e.accepted.Load(); n != 2 {
				t.Errorf("got %d connections, want 2", n)
			}
		})
	}
}

func TestUnreadAnswerNeverReachesTheNextRequest(t *testing.T) {
	e := newEngine(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nINJECTED"))
	c := newClient(t, upstream.Config{})
	var call upstream.Call
	if err := c.Do(&call, post(e.addr, "{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Next(3); err != nil {
		t.Fatal(err)
	}
	call.Close()
	mustExchange(t, c, post(e.addr, "{}"), "INJECTED")
	if n := e.accepted.Load(); n != 2 {
		t.Errorf("got %d connections, want 2", n)
	}
}

func TestConnectionWithMoreToComeIsNotReused(t *testing.T) {
	e := newEngine(t, func(n int64, c *serverConn) {
		c.request()
		if n > 1 {
			c.say(okAnswer)
			return
		}
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n") // its end would come later
		c.closed()
	})
	c := newClient(t, upstream.Config{})
	var call upstream.Call
	if err := c.Do(&call, post(e.addr, "{}")); err != nil {
		t.Fatal(err)
	}
	if data, err := call.Next(0); string(data) != "ok" || err != nil {
		t.Fatal(data, err)
	}
	call.Close()
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	if n := e.accepted.Load(); n != 2 {
		t.Errorf("got %d connections, want 2", n)
	}
}

func TestBytesOfAnIdleConnectionNeverReachTheNextRequest(t *testing.T) {
	late := make(chan struct{})
	said := make(chan struct{})
	e := newEngine(t, func(n int64, c *serverConn) {
		c.request()
		c.say(okAnswer)
		if n == 1 {
			<-late
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nINJECTED")
			close(said)
		}
		c.closed()
	})
	c := newClient(t, upstream.Config{})
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	close(late)
	<-said // over loopback the bytes have then arrived
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	if n := e.accepted.Load(); n != 2 {
		t.Errorf("got %d connections, want 2", n)
	}
}

// TestPooledConnectionThatBreaksBehindTheRequestIsNotReplaced: the engine may have carried the request out, or died of it.
func TestPooledConnectionThatBreaksBehindTheRequestIsNotReplaced(t *testing.T) {
	var requests atomic.Int64
	e := newEngine(t, func(n int64, c *serverConn) {
		c.request()
		requests.Add(1)
		c.say(okAnswer)
		if n == 1 { // takes one more request, and dies of it
			c.request()
			requests.Add(1)
			return
		}
		c.closed()
	})
	c := newClient(t, upstream.Config{})
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	if _, _, err := exchange(c, post(e.addr, "{}")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected EOF", err)
	}
	if n, r := e.accepted.Load(), requests.Load(); n != 1 || r != 2 {
		t.Errorf("got %d connections, %d requests; want 1, 2", n, r)
	}
}

// brittle is a connection that takes one write.
type brittle struct {
	net.Conn
	writes atomic.Int64
}

func (c *brittle) Write(b []byte) (int, error) {
	if c.writes.Add(1) > 1 {
		_ = c.Conn.Close()
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

func dialBrittle(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	return &brittle{Conn: c}, err
}

func TestPooledConnectionThatTakesNoRequestIsReplacedOnce(t *testing.T) {
	e := newEngine(t, answering(okAnswer))
	c := newClient(t, upstream.Config{Dial: dialBrittle})
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	if n := e.accepted.Load(); n != 2 {
		t.Errorf("got %d connections, want 2", n)
	}
}

func TestFreshConnectionIsNotRetried(t *testing.T) {
	e := newEngine(t, func(_ int64, c *serverConn) { c.request() })
	c := newClient(t, upstream.Config{})
	_, _, err := exchange(c, post(e.addr, "{}"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || e.accepted.Load() != 1 {
		t.Errorf("got %v over %d connections; want an unexpected EOF over 1", err, e.accepted.Load())
	}
}

func TestPartOfAnAnswerIsNotRetried(t *testing.T) {
	e := newEngine(t, func(_ int64, c *serverConn) {
		c.request()
		c.say(okAnswer)
		c.request()
		c.say("H")
	})
	c := newClient(t, upstream.Config{})
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	_, _, err := exchange(c, post(e.addr, "{}"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || e.accepted.Load() != 1 {
		t.Errorf("got %v over %d connections; want an unexpected EOF over 1", err, e.accepted.Load())
	}
}

func TestReplacementThatCannotBeDialledIsADialError(t *testing.T) {
	refuse := errors.New("refused")
	var dials atomic.Int64
	e := newEngine(t, answering(okAnswer))
	c := newClient(t, upstream.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) > 1 {
			return nil, refuse
		}
		return dialBrittle(ctx, network, addr)
	}})
	mustExchange(t, c, post(e.addr, "{}"), "ok")
	var call upstream.Call
	defer call.Close()
	err := c.Do(&call, post(e.addr, "{}"))
	var dial *upstream.DialError
	if !errors.As(err, &dial) || !errors.Is(err, refuse) || dial.Addr != e.addr {
		t.Errorf("got %v, want a DialError of %s", err, e.addr)
	}
	if !call.Dispatched().IsZero() {
		t.Errorf("got dispatched %v, want never", call.Dispatched())
	}
}

func TestIdleConnectionIsClosedBeforeTheEngineDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var idled time.Duration
		c := upstream.New(upstream.Config{Dial: piped(&wg, func(s *serverConn) {
			s.request()
			s.say(okAnswer)
			start := time.Now()
			s.closed()
			idled = time.Since(start)
		})})
		defer c.Close()
		mustExchange(t, c, post("engine:1", "{}"), "ok")
		wg.Wait()
		if idled != 4*time.Second {
			t.Errorf("got closed after %v, want 4s", idled)
		}
	})
}

func TestSweepSparesYoungConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var closed []time.Duration
		start := time.Now()
		c := upstream.New(upstream.Config{Dial: piped(&wg, func(s *serverConn) {
			s.request()
			s.say(okAnswer)
			s.closed()
			mu.Lock()
			closed = append(closed, time.Since(start))
			mu.Unlock()
		})})
		defer c.Close()
		mustExchange(t, c, post("engine:1", "{}"), "ok")
		time.Sleep(3 * time.Second)
		mustExchange(t, c, post("engine:2", "{}"), "ok")
		wg.Wait()
		if len(closed) != 2 || closed[0] != 4*time.Second || closed[1] != 7*time.Second {
			t.Errorf("got closed at %v, want 4s and 7s", closed)
		}
	})
}

func TestCloseClosesIdleConnectionsNowAndOthersAtTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		c := upstream.New(upstream.Config{Dial: piped(&wg, func(s *serverConn) {
			s.request()
			s.say(okAnswer)
			s.closed()
		})})
		var call upstream.Call
		if err := c.Do(&call, post("engine:1", "{}")); err != nil {
			t.Fatal(err)
		}
		mustExchange(t, c, post("engine:1", "{}"), "ok")
		start := time.Now()
		c.Close()
		if body, _, err := readAll(&call, 0); body != "ok" || err != nil {
			t.Errorf("got %q, %v after Close; want ok", body, err)
		}
		call.Close()
		wg.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("got connections open for %v after Close, want 0", d)
		}
	})
}

func TestAtMostMaxIdlePerHostAreKept(t *testing.T) {
	e := newEngine(t, answering(okAnswer))
	c := newClient(t, upstream.Config{MaxIdlePerHost: 2})
	var calls [3]upstream.Call
	for i := range calls {
		if err := c.Do(&calls[i], post(e.addr, "{}")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range calls {
		if _, _, err := readAll(&calls[i], 0); err != nil {
			t.Fatal(err)
		}
		calls[i].Close()
	}
	for i := range calls {
		if err := c.Do(&calls[i], post(e.addr, "{}")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range calls {
		calls[i].Close()
	}
	if n := e.accepted.Load(); n != 4 {
		t.Errorf("got %d connections, want 4: two of three kept", n)
	}
}

func TestDialsOfOneHostAreGated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg, servers sync.WaitGroup
		var dialling, most atomic.Int64
		pipe := piped(&servers, func(s *serverConn) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		})
		c := upstream.New(upstream.Config{MaxDialsPerHost: 4, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			most.Store(max(most.Load(), dialling.Add(1)))
			defer dialling.Add(-1)
			time.Sleep(10 * time.Millisecond)
			return pipe(ctx, network, addr)
		}})
		defer c.Close()
		start := time.Now()
		for range 40 {
			wg.Go(func() {
				if _, body, err := exchange(c, post("engine:1", "{}")); err != nil || body != "ok" {
					t.Errorf("got %q, %v; want ok", body, err)
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); most.Load() != 4 || d != 100*time.Millisecond {
			t.Errorf("got %d dials at once for %v, want 4 for 100ms", most.Load(), d)
		}
		servers.Wait()
	})
}

func TestLargeBodyOfManySegmentsArrivesWhole(t *testing.T) {
	got := make(chan string, 1)
	e := newEngine(t, func(_ int64, c *serverConn) {
		_, body, _ := c.request()
		got <- body
		c.say(okAnswer)
		c.closed()
	})
	c := newClient(t, upstream.Config{})
	r := post(e.addr, "{", strings.Repeat("a", 3<<20), "", strings.Repeat("b", 1<<20), "}")
	mustExchange(t, c, r, "ok")
	if want := "{" + strings.Repeat("a", 3<<20) + strings.Repeat("b", 1<<20) + "}"; <-got != want {
		t.Error("the body arrived changed")
	}
	if len(r.Body) != 5 || len(r.Body[1]) != 3<<20 {
		t.Error("the request was changed")
	}
}

func TestRequestOnTheWire(t *testing.T) {
	e := newEngine(t, func(_ int64, c *serverConn) {
		for {
			r, body, ok := c.request()
			if !ok {
				return
			}
			want := r.Host + "|" + r.Method + "|" + r.URL.String() + "|" + r.Header.Get("Content-Type") + "|" + r.Header.Get("X-Request-Id") + "|" + body
			c.say("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(want)) + "\r\n\r\n" + want)
		}
	})
	c := newClient(t, upstream.Config{})
	r := post(e.addr, `{"a":`, `1}`)
	r.Header = []byte("X-Request-Id: abc\r\n")
	mustExchange(t, c, r, e.addr+`|POST|/v1/chat/completions|application/json|abc|{"a":1}`)
	mustExchange(t, c, &upstream.Request{Method: "GET", Addr: e.addr, Path: "/health?x=1"}, e.addr+"|GET|/health?x=1|||")
}

func TestIPv6(t *testing.T) {
	e := newEngineOn(t, "[::1]:0", answering(okAnswer))
	mustExchange(t, newClient(t, upstream.Config{}), post(e.addr, "{}"), "ok")
}

func TestAnswerBeforeTheBodyWasReadIsHeard(t *testing.T) {
	e := newEngine(t, func(_ int64, c *serverConn) {
		c.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
	})
	c := newClient(t, upstream.Config{})
	status, body, err := exchange(c, post(e.addr, strings.Repeat("a", 8<<20)))
	if status != 413 || body != "no" || err != nil {
		t.Errorf("got %d, %q, %v; want 413, no", status, body, err)
	}
}

func TestMalformedRequestIsNotSent(t *testing.T) {
	c := newClient(t, upstream.Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, errors.New("no")
	}})
	for name, spoil := range map[string]func(r *upstream.Request){
		"path":         func(r *upstream.Request) { r.Path = "/a b" },
		"path line":    func(r *upstream.Request) { r.Path = "/a\r\nX: y" },
		"no path":      func(r *upstream.Request) { r.Path = "" },
		"method":       func(r *upstream.Request) { r.Method = "GET /" },
		"addr":         func(r *upstream.Request) { r.Addr = "a\r\nb" },
		"content type": func(r *upstream.Request) { r.ContentType = "a\r\nX: y" },
		"header end":   func(r *upstream.Request) { r.Header = []byte("X: y\r\n\r\n") },
		"header line":  func(r *upstream.Request) { r.Header = []byte("X: y") },
		"header name":  func(r *upstream.Request) { r.Header = []byte("X y: z\r\n") },
	} {
		r := post("engine:1", "{}")
		spoil(r)
		var protocol *upstream.ProtocolError
		if _, _, err := exchange(c, r); !errors.As(err, &protocol) {
			t.Errorf("%s: got %v, want a ProtocolError", name, err)
		}
	}
}
