package bench_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBubble runs f in virtual time, with a server that handle answers for and a client of it.
func inBubble(t *testing.T, handle http.HandlerFunc, f func(t *testing.T, c *bench.Client), change ...func(*bench.ClientConfig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: handle}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(ln) })
		cfg := bench.ClientConfig{URL: "http://scripted/v1", Endpoint: bench.EndpointChat, Prefix: "t-", Dial: ln.dial}
		for _, c := range change {
			c(&cfg)
		}
		client, err := bench.NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		f(t, client)
		client.Close()
		_ = server.Close()
		serving.Wait()
	})
}

// pipes is a listener in memory: real sockets do not exist in virtual time.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accepted <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "scripted"} }

// script answers a request with pieces, each sent by itself after its delay.
type piece struct {
	after time.Duration
	text  string
}

func script(header http.Header, pieces ...piece) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range pieces {
			select {
			case <-time.After(p.after):
			case <-r.Context().Done(): // the client has left
				return
			}
			_, _ = io.WriteString(w, p.text)
			w.(http.Flusher).Flush()
		}
	}
}

// token is an event with one token.
func token(text string) string {
	return fmt.Sprintf(`data: {"id":"c","choices":[{"index":0,"delta":{"content":%q}}]}`+"\n\n", text)
}

func usage(in, out int, more string) string {
	return fmt.Sprintf(`data: {"id":"c","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}%s}`+"\n\n", in, out, in+out, more)
}

const done = "data: [DONE]\n\n"

// one sends one request and gives what came of it.
func one(t *testing.T, c *bench.Client) *bench.Sample {
	t.Helper()
	s := &bench.Sample{Model: "m", Intended: time.Now()}
	c.Send(t.Context(), &bench.Request{Model: "m", Input: 3, Output: 8}, s)
	return s
}

// drive runs and collects.
func drive(t *testing.T, ctx context.Context, c bench.Config, slo bench.SLO) (*bench.Result, []*bench.Sample) {
	t.Helper()
	start := time.Now()
	collector := bench.NewCollector(start, slo)
	var mu sync.Mutex
	var samples []*bench.Sample
	c.Keep = func(s *bench.Sample) {
		collector.Add(s)
		mu.Lock()
		defer mu.Unlock()
		samples = append(samples, s)
	}
	if err := bench.Run(ctx, c); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	return &bench.Result{Runs: []bench.Measurement{{SLO: slo.String(), StartedAt: start, Seconds: took.Seconds(), Blocks: collector.Blocks(start.Add(took))}}}, samples
}

func summarize(t *testing.T, r *bench.Result) *bench.Summary {
	t.Helper()
	s, err := r.Summarize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
