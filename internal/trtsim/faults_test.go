package trtsim_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func stream(ctx context.Context, e http.Handler, w http.ResponseWriter, extra string) {
	e.ServeHTTP(w, newRequest(ctx, `{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true,`+extra+`}`))
}

func TestClientThatLeftIsNoticedAtTheNextPoll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{TokenTime: 100 * time.Millisecond, MaxBatchSize: 1, IterStats: true})
		ctx, leave := context.WithCancel(t.Context())
		w := newTimedWriter()
		var wg sync.WaitGroup
		began := time.Now()
		wg.Go(func() { stream(ctx, e, w, `"max_tokens":1000,"ignore_eos":true`) })
		time.Sleep(1250 * time.Millisecond)
		leave()
		// The next one in the queue gets the slot when the poll at 2 s has freed it.
		wg.Go(func() { complete(e, `{"model":"m","prompt":"x","max_tokens":1}`) })
		wg.Wait()
		if got := time.Since(began); got < 2*time.Second || got > 2300*time.Millisecond {
			t.Errorf("got the slot freed and used after %v, want soon after 2 s", got)
		}
		if got := w.events(); got != 13 { // role and 12 tokens, none after leaving
			t.Errorf("got %d events, want 13", got)
		}
	})
}

func TestClientThatLeavesTheQueueFreesItsPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{TokenTime: 100 * time.Millisecond, MaxBatchSize: 1})
		var wg sync.WaitGroup
		wg.Go(func() { complete(e, `{"model":"m","prompt":"x","max_tokens":50}`) })
		synctest.Wait()
		ctx, leave := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer leave()
		wg.Go(func() { stream(ctx, e, newTimedWriter(), `"max_tokens":1000,"ignore_eos":true`) })
		synctest.Wait()
		wg.Go(func() { complete(e, `{"model":"m","prompt":"x","max_tokens":10}`) })
		if got := took(wg.Wait); !near(got, 6*time.Second, 0.05) {
			t.Errorf("got %v, want the queued request's 1,000 tokens left out", got)
		}
	})
}

func TestFailedWriteCountsAsLeaving(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{TokenTime: 100 * time.Millisecond})
		w := newTimedWriter()
		w.fail = true
		if got := took(func() { stream(t.Context(), e, w, `"max_tokens":500,"ignore_eos":true`) }); got != time.Second {
			t.Errorf("got %v, want the next poll at 1 s", got)
		}
	})
}

func TestCutEndsAStreamWithoutTheEndMark(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{Faults: []trtsim.Fault{{Kind: trtsim.FaultCut, After: 3, Times: 1}}})
		w := newTimedWriter()
		if !cut(func() { stream(t.Context(), e, w, `"max_tokens":10`) }) {
			t.Error("got an orderly end, want the connection cut")
		}
		if got := w.body.String(); strings.Contains(got, "[DONE]") || w.events() != 4 {
			t.Errorf("got %s, want three tokens and no end mark", got)
		}
		parse(t, chat(e, `{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":10}`)) // the engine lives
	})
}

func TestDeathCutsEveryConnectionAndEndsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := trtsim.New(trtsim.Config{Model: llama8B, LoadTime: -1, FaultRoute: true, TokenTime: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var ran error
		wg.Go(func() { ran = e.Run(t.Context()) })
		wg.Go(func() {
			if !cut(func() { complete(e, `{"model":"m","prompt":"x"}`) }) {
				t.Error("got an answer from a dead engine")
			}
		})
		synctest.Wait()
		want(t, call(e, "POST", "/sim/faults", `[{"kind":"die","after":2}]`), 200, `[{"kind":"die","after":2}]`)
		w := newTimedWriter()
		if !cut(func() { stream(t.Context(), e, w, `"max_tokens":10`) }) {
			t.Error("got an orderly end, want the connection cut")
		}
		wg.Wait()
		if !errors.Is(ran, trtsim.ErrDied) {
			t.Errorf("got %v from Run, want ErrDied", ran)
		}
		if w.events() != 3 {
			t.Errorf("got %d events, want the role and two tokens", w.events())
		}
		if !cut(func() { call(e, "GET", "/health", "") }) {
			t.Error("got an answer from a dead engine")
		}
	})
}

func TestHangKeepsItsPlaceAndLetsOthersPass(t *testing.T) {
	for after, events := range map[int]int{0: 0, 2: 3} {
		bubble(t, func(t *testing.T) {
			e := start(t, trtsim.Config{Faults: []trtsim.Fault{{Kind: trtsim.FaultHang, After: after, Times: 1}}})
			ctx, leave := context.WithTimeout(t.Context(), time.Hour)
			defer leave()
			w := newTimedWriter()
			var wg sync.WaitGroup
			wg.Go(func() { stream(ctx, e, w, `"max_tokens":10`) })
			synctest.Wait()
			parse(t, complete(e, `{"model":"m","prompt":"x","max_tokens":10}`))
			if got := took(wg.Wait); got < 59*time.Minute {
				t.Errorf("after %d: got the hang over after %v", after, got)
			}
			if len(w.heads) != 1 || w.events() != events {
				t.Errorf("after %d: got %d heads and %d events, want 1 and %d", after, len(w.heads), w.events(), events)
			}
		})
	}
}

func TestOtherFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{FaultRoute: true, TokenTime: time.Second})
		set := func(body string) { call(e, "POST", "/sim/faults", body) }
		set(`[{"kind":"error","times":1}]`)
		wantContains(t, complete(e, `{"model":"m","prompt":"x"}`), 400, `{"object":"error","message":"injected failure"`)
		want(t, call(e, "GET", "/sim/faults", ""), 200, `[]`) // its one time is over
		set(`[{"kind":"health"}]`)
		want(t, call(e, "GET", "/health", ""), 503, "LLM is unavailable. Please check the server logs for more details.")
		set(`[{"kind":"slow","factor":5}]`)
		if got := took(func() { complete(e, `{"model":"m","prompt":"x","max_tokens":10}`) }); got != 50*time.Second {
			t.Errorf("got %v for ten slow tokens, want 50 s", got)
		}
		wantContains(t, call(e, "POST", "/sim/faults", `[{"kind":"nap"}]`), 400, "unknown fault")
		wantContains(t, call(e, "POST", "/sim/faults", `{`), 400, "error")
	})
}

func TestLoadFailsWhenToldTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := trtsim.New(trtsim.Config{Model: llama8B, LoadTime: 40 * time.Second, Faults: []trtsim.Fault{{Kind: trtsim.FaultLoad, Factor: 0.25}}})
		if err != nil {
			t.Fatal(err)
		}
		got := took(func() { err = e.Load(t.Context()) })
		if !errors.Is(err, trtsim.ErrLoad) || got != 10*time.Second {
			t.Errorf("got %v after %v, want ErrLoad after a quarter of 40 s", err, got)
		}
		if !cut(func() { call(e, "GET", "/health", "") }) {
			t.Error("got an answer from an engine that is not loaded")
		}
	})
}

func TestLoadEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := trtsim.New(trtsim.Config{Model: llama8B})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Load(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's end", err)
		}
	})
}

// serve runs an engine behind an in-memory listener.
func serve(t *testing.T, ctx context.Context, c trtsim.Config) (*http.Client, func() error) {
	e, err := trtsim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { err = e.Serve(ctx, ln) })
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return ln.dial() }}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, func() error { wg.Wait(); return err }
}

type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memoryListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestServeDrainsWithoutLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		client, wait := serve(t, ctx, trtsim.Config{Model: llama8B, LoadTime: 10 * time.Second, TokenTime: time.Minute})
		began := time.Now()
		r, err := client.Post("http://engine/v1/completions", "application/json", strings.NewReader(`{"model":"m","prompt":"x","max_tokens":120,"stream":true}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("got the head after %v, want it when the load is over", got)
		}
		stop()
		synctest.Wait()
		if _, err := client.Get("http://engine/health"); err == nil {
			t.Error("got a new connection while draining")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
			t.Errorf("got the end %q, %v, want the whole stream", body[max(0, len(body)-30):], err)
		}
		if err := wait(); err != nil {
			t.Errorf("got %v from Serve, want nil", err)
		}
	})
}

func TestDeathReachesTheClientAsACutConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, wait := serve(t, t.Context(), trtsim.Config{Model: llama8B, LoadTime: -1, Faults: []trtsim.Fault{{Kind: trtsim.FaultDie, After: 2}}})
		r, err := client.Post("http://engine/v1/completions", "application/json", strings.NewReader(`{"model":"m","prompt":"x","max_tokens":5,"stream":true}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || strings.Count(string(body), "data: ") != 2 {
			t.Errorf("got %q, %v, want two events and a cut", body, err)
		}
		if err := wait(); !errors.Is(err, trtsim.ErrDied) {
			t.Errorf("got %v from Serve, want ErrDied", err)
		}
	})
}

func TestFatalErrorAnswersNullAndInterrupts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, wait := serve(t, t.Context(), trtsim.Config{Model: llama8B, LoadTime: -1, Faults: []trtsim.Fault{{Kind: trtsim.FaultFatal, After: 2}}})
		r, err := client.Post("http://engine/v1/completions", "application/json", strings.NewReader(`{"model":"m","prompt":"x","max_tokens":5}`))
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(r.Body); string(body) != "null" {
			t.Errorf("got %s, want null", body)
		}
		if err := wait(); !errors.Is(err, trtsim.ErrInterrupted) {
			t.Errorf("got %v from Serve, want ErrInterrupted", err)
		}
	})
}

func TestRunThatEndsCutsWhatIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := trtsim.New(trtsim.Config{Model: llama8B, LoadTime: -1, TokenTime: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = e.Run(ctx) })
		wg.Go(func() {
			if !cut(func() { complete(e, `{"model":"m","prompt":"x"}`) }) {
				t.Error("got an answer after the loop had ended")
			}
		})
		time.Sleep(5 * time.Second)
		stop()
		wg.Wait()
	})
}
