package router_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/router"
)

// slowly streams n tokens, one a span.
func slowly(n int, span time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for range n {
			events(w, token("a"))
			select {
			case <-r.Context().Done():
				return
			case <-time.After(span):
			}
		}
		events(w, usageChunk, "data: [DONE]\n\n")
	}
}

func TestShutdown_LiveStreamsComplete(t *testing.T) {
	w := newWorld(t, setup{tcp: true, model: func(m *fleet.Model) { m.MaxConcurrency = 200 }})
	w.heat(chatModel)
	begin := make(chan struct{}) // closed when all are there, however long that takes
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-begin:
		case <-r.Context().Done():
		}
		slowly(20, 25*time.Millisecond)(rw, r)
	})
	answers := make(chan answer, 100)
	for range 100 {
		go func() { answers <- w.do(call{body: chat(chatModel, stream)}) }()
	}
	w.soon("streaming", func() bool { return w.inflight(chatModel) == 100 })
	close(begin)
	w.stopRouter()
	for range 100 {
		if a := <-answers; a.err != nil || !strings.HasSuffix(a.text, "data: [DONE]\n\n") {
			t.Errorf("got %v, %.100q; want a complete stream", a.err, a.text)
		}
	}
	w.records(101)
	if _, err := w.net.dial(t.Context(), "tcp", w.net.addr("router")); err == nil {
		t.Error("the router still accepts connections")
	}
}

func (w *world) inflight(model string) int {
	for _, m := range w.act.Snapshot().Models {
		if m.Model.ID == model {
			return m.Inflight
		}
	}
	return -1
}

func TestShutdown_WaitersAndLateComersAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		answers := make(chan answer, 3)
		go func() { answers <- w.do(call{body: chat(chatModel)}) }()
		go func() { answers <- w.do(call{body: chat(chatModel, stream)}) }()
		late := w.dial()
		defer late.Close()
		_, err := io.WriteString(late, "GET /readyz HTTP/1.1\r\nHo")
		w.must(err)
		time.Sleep(time.Second)
		w.stopRouter()
		for range 2 {
			a := <-answers
			w.wantCode(a, 503, "shutting_down")
			if a.Header.Get("Retry-After") == "" {
				t.Error("got no Retry-After")
			}
		}
		_, err = io.WriteString(late, "st: a\r\n\r\n")
		w.must(err)
		resp, err := http.ReadResponse(late.r, nil)
		w.must(err)
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 503 || !contains(text, "shutting_down") || !resp.Close {
			t.Errorf("readyz: got %d %s, close %v", resp.StatusCode, text, resp.Close)
		}
		w.records(0)
	})
}

func TestShutdown_WhatOutlastsTheDrainIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: func(c *router.Config) { c.DrainTimeout = 5 * time.Second }})
		w.heat(chatModel)
		var stopped atomic.Int32
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			slowly(1000, time.Second)(rw, r)
			stopped.Add(1)
		})
		a := make(chan answer, 2)
		go func() { a <- w.do(call{body: chat(chatModel, stream)}) }()
		w.engines.swap(w.engines.swap(nil))
		time.Sleep(2 * time.Second)
		w.stopRouter()
		began := time.Now()
		got := <-a
		if !strings.Contains(got.text, `"code":"shutting_down"`) || strings.Contains(got.text, "[DONE]") || got.err == nil {
			t.Errorf("got %q, %v; want an error event and a cut connection", got.text, got.err)
		}
		if took := time.Since(began); took < 5*time.Second || took > 8*time.Second {
			t.Errorf("got it after %v, want after the drain timeout", took)
		}
		synctest.Wait()
		if stopped.Load() != 1 {
			t.Error("the engine was not told")
		}
		if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Cost != 0 {
			t.Errorf("got %+v, want it free: we ended it", r)
		}
	})
}

func TestShutdown_DoesNotWaitForIdleConnections(t *testing.T) {
	w := newWorld(t, setup{tcp: true})
	c := w.dial()
	defer c.Close()
	_, err := fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
	w.must(err)
	resp, err := http.ReadResponse(c.r, nil)
	w.must(err)
	_, _ = io.Copy(io.Discard, resp.Body)
	began := time.Now()
	w.stopRouter()
	if err := <-w.served; err != nil {
		t.Error(err)
	}
	w.served <- nil
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestServe_EndsThatIsToldSoBeforeItBegins(t *testing.T) {
	for range 5 { // which of the two comes first is the scheduler's
		w := newWorld(t, setup{tcp: true, ended: true})
		select {
		case err := <-w.served:
			w.served <- err // for the world's own end
		case <-time.After(10 * time.Second):
			w.listener.Close()
			t.Fatal("it goes on to accept connections")
		}
	}
}
