package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// pair is a server as the router has it: connections, and the server that serves them.
type pair struct {
	conns  *edge.Connections
	server *fasthttp.Server
	served atomic.Int64
}

func newPair(name string) *pair {
	p := &pair{conns: edge.New(edge.Config{Listener: name, Metrics: metrics.NewSet()})}
	p.server = &fasthttp.Server{
		ReadBufferSize: edge.HeadLimit, ReadTimeout: 15 * time.Second, IdleTimeout: time.Minute, StreamRequestBody: true,
		Handler: edge.Guard{Refuse: func(ctx *fasthttp.RequestCtx, r *edge.Refusal) { ctx.SetStatusCode(http.StatusBadRequest) }}.Handler(func(ctx *fasthttp.RequestCtx) {
			p.served.Add(1)
			ctx.SetBodyString(name)
			_, _ = ctx.Response.BodyWriter().Write(ctx.PostBody())
		}),
	}
	p.conns.Attach(p.server)
	return p
}

// adopt serves a connection of another process, which here is another server.
func (p *pair) adopt(serving *sync.WaitGroup) func(net.Conn) bool {
	return func(c net.Conn) bool {
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			return false
		}
		again, err := net.FileConn(f)
		if _ = f.Close(); err != nil {
			return false
		}
		serving.Go(func() { _ = p.server.ServeConn(p.conns.Accept(again)) })
		return true
	}
}

// asker sends requests over one connection, one after the other, until it is told to stop.
func asker(addr string, rest time.Duration, stop <-chan struct{}) (asked int64, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return asked, nil
		default:
		}
		body := fmt.Sprintf("request %d", n)
		head := fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", n, len(body))
		for _, part := range []string{head[:9], head[9:], body[:3], body[3:]} { // what is read in parts must not be torn
			if _, err := io.WriteString(c, part); err != nil {
				return asked, fmt.Errorf("sending request %d: %w", n, err)
			}
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			return asked, fmt.Errorf("reading answer %d: %w", n, err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || !strings.HasSuffix(string(text), body) {
			return asked, fmt.Errorf("answer %d: status %d, %q, %v", n, response.StatusCode, text, err)
		}
		asked++
		time.Sleep(rest)
	}
}

// Connections change hands again and again, while requests are on their way on each: no caller sees anything of it.
func TestRetire_ConnectionsGoOverWhileRequestsCross(t *testing.T) {
	const callers, rounds = 24, 10
	first := newPair("first")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving, asking sync.WaitGroup
	all := []*pair{first}
	serving.Go(func() { _ = first.server.Serve(first.conns.Listen(t.Context(), ln)) })
	stop := make(chan struct{})
	var asked atomic.Int64
	for i := range callers {
		asking.Go(func() {
			n, err := asker(ln.Addr().String(), time.Duration(i%4)*300*time.Microsecond, stop)
			asked.Add(n)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	for round := range rounds {
		now := all[len(all)-1]
		for n := now.served.Load(); now.served.Load() < n+200 && !t.Failed(); {
			time.Sleep(time.Millisecond) // a poll: nothing hangs on it
		}
		next := newPair(fmt.Sprint("next ", round))
		all = append(all, next)
		now.conns.Retire(next.adopt(&serving))
	}
	last := all[len(all)-1]
	for last.served.Load() < 200 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	asking.Wait()
	var served int64
	for _, p := range all {
		served += p.served.Load()
	}
	if served != asked.Load() {
		t.Errorf("%d requests were served and %d answered", served, asked.Load())
	}
	_ = ln.Close()
	for _, p := range all {
		p.conns.Retire(nil)
	}
	serving.Wait()
	for _, p := range all {
		p.conns.Stop()
		if n := p.conns.Count(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	}
}

// Whoever has sent part of a request when its connection is to end still gets the answer.
func TestRetire_EndsNoConnectionWithinARequest(t *testing.T) {
	p := newPair("p")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = p.server.Serve(p.conns.Listen(t.Context(), ln)) })
	defer serving.Wait()
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	idle, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	send := func(parts ...string) {
		for _, part := range parts {
			if _, err := io.WriteString(c, part); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // so that it is read by itself; the test holds where it is not
		}
	}
	send("POST / HT", "TP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n", "ab")
	p.conns.Retire(nil)
	_ = idle.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("who has sent nothing: got %d bytes, %v, want the end", n, err)
	}
	send("c", "d") // of which the second is a read that begins when the connection is to retire
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(response.Body); string(text) != "pabcd" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("behind the answer: got %d bytes, %v, want the end", n, err)
	}
}
