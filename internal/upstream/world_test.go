package upstream_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is a fake engine: it accepts connections and hands each to serve, with its number from 1.
type engine struct {
	addr     string
	accepted atomic.Int64
}

func newEngine(t testing.TB, serve func(n int64, c *serverConn)) *engine {
	return newEngineOn(t, "127.0.0.1:0", serve)
}

func newEngineOn(t testing.TB, addr string, serve func(n int64, c *serverConn)) *engine {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("listening on %s: %v", addr, err)
	}
	e := &engine{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, nc)
			mu.Unlock()
			n := e.accepted.Add(1)
			wg.Go(func() {
				defer nc.Close()
				serve(n, &serverConn{Conn: nc, br: bufio.NewReader(nc)})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, nc := range open {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return e
}

// serverConn is the engine's end of a connection.
type serverConn struct {
	net.Conn
	br *bufio.Reader
}

// request reads a whole request with net/http, which checks our framing; false when the connection ends.
func (c *serverConn) request() (*http.Request, string, bool) {
	r, err := http.ReadRequest(c.br)
	if err != nil {
		return nil, "", false
	}
	body, err := io.ReadAll(r.Body)
	return r, string(body), err == nil
}

func (c *serverConn) say(s string) { _, _ = io.WriteString(c, s) }

// closed waits until the client has closed the connection.
func (c *serverConn) closed() { _, _ = io.Copy(io.Discard, c.br) }

// answering serves every request on a connection with the same raw answer.
func answering(raw string) func(int64, *serverConn) {
	return func(_ int64, c *serverConn) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			c.say(raw)
		}
	}
}

func newClient(t testing.TB, cfg upstream.Config) *upstream.Client {
	c := upstream.New(cfg)
	t.Cleanup(c.Close)
	return c
}

func post(addr string, body ...string) *upstream.Request {
	r := &upstream.Request{
		Method: "POST", Addr: addr, Path: "/v1/chat/completions", ContentType: "application/json",
		FirstByte: 10 * time.Second, Idle: 10 * time.Second,
	}
	for _, b := range body {
		r.Body = append(r.Body, []byte(b))
	}
	return r
}

// readAll reads the body to its end; err is nil after a clean one.
func readAll(call *upstream.Call, most int) (body string, pieces int, err error) {
	var b bytes.Buffer
	for {
		data, err := call.Next(most)
		if err == io.EOF {
			return b.String(), pieces, nil
		}
		if err != nil {
			return b.String(), pieces, err
		}
		b.Write(data)
		pieces++
	}
}

// exchange makes one whole exchange.
func exchange(c *upstream.Client, r *upstream.Request) (status int, body string, err error) {
	var call upstream.Call
	defer call.Close()
	if err := c.Do(&call, r); err != nil {
		return 0, "", err
	}
	body, _, err = readAll(&call, 0)
	return call.Status(), body, err
}

func mustExchange(t testing.TB, c *upstream.Client, r *upstream.Request, want string) {
	t.Helper()
	status, body, err := exchange(c, r)
	if err != nil || status != 200 || body != want {
		t.Fatalf("got status %d, body %q, error %v; want 200, %q", status, body, err, want)
	}
}

// piped gives a Dial that hands the engine's ends of in-memory connections to serve, each in its own goroutine.
func piped(wg *sync.WaitGroup, serve func(c *serverConn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		wg.Go(func() {
			defer theirs.Close()
			serve(&serverConn{Conn: theirs, br: bufio.NewReader(theirs)})
		})
		return ours, nil
	}
}
