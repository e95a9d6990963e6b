package router_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// oneHot is a world with one instance of the model, which is hot. No other can be started.
func oneHot(t *testing.T, more ...func(*fleet.Model)) *world {
	w := newWorld(t, setup{model: func(m *fleet.Model) {
		m.Instances.Max = 1
		for _, f := range more {
			f(m)
		}
	}})
	w.heat(chatModel)
	return w
}

// having has engines answer a request that has these words with h, and every other one as they should.
func (w *world) having(words string, h http.HandlerFunc) {
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if contains(body, words) {
			h(rw, r)
			return
		}
		answerChat(rw, r)
	})
}

// wantOthersUnharmed asserts that another organisation's request is answered at once, and that no engine was started or replaced.
func (w *world) wantOthersUnharmed() {
	w.Helper()
	secret, _ := w.newToken("other", tenant.NewToken{})
	began := time.Now()
	a := w.do(call{body: chat(chatModel), secret: secret})
	if a.err != nil || a.StatusCode != 200 || time.Since(began) > time.Second {
		w.Errorf("another organisation got %d %q, %v after %v; want its answer at once", a.StatusCode, a.text, a.err, time.Since(began))
	}
	for _, i := range w.act.Snapshot().Instances {
		if i.Breaker != "closed" {
			w.Errorf("got a breaker that is %s, want closed", i.Breaker)
		}
	}
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	if n := len(w.host.launched); n != 1 {
		w.Errorf("got %d launches, want the first one only", n)
	}
}

// TestSuspect_OneBadCallHarmsNobodyElse: an engine answers 500 to one particular request, which a stock client sends again and again.
func TestSuspect_OneBadCallHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := oneHot(t)
		w.having("poison", func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "boom", 500) })
		began := time.Now()
		for range 6 {
			for range 3 { // as a stock client tries
				a := w.do(call{body: strings.Replace(chat(chatModel), `"hi"`, `"poison"`, 1)})
				w.wantCode(a, 502, "engine_error")
				time.Sleep(500 * time.Millisecond)
			}
			w.wantOthersUnharmed()
		}
		if n := w.probes.Load(); n == 0 || int(n) > int(time.Since(began).Seconds()) {
			t.Errorf("got %d requests of the server's own in %v, want some, and no more than one a second", n, time.Since(began))
		}
	})
}

// TestSuspect_TimeLimitsCountAgainstNobody: six long streams, which deliver a token each 0.1 s, reach the model's total.
func TestSuspect_TimeLimitsCountAgainstNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := oneHot(t, func(m *fleet.Model) { m.Timeouts.Total = 20 * time.Second })
		w.having("long", func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				events(rw, token("a"))
				time.Sleep(100 * time.Millisecond)
			}
		})
		long := strings.Replace(chat(chatModel, stream), `"hi"`, `"long"`, 1)
		var answers []<-chan answer
		for range 6 {
			answers = append(answers, w.ask(long))
		}
		for _, answered := range answers {
			if a := <-answered; !strings.Contains(a.text, `"code":"upstream_timeout"`) {
				t.Errorf("got %q, want the time limit", a.text)
			}
		}
		for _, r := range w.records(7)[1:] {
			if r.Status != ledger.TimedOut || r.Billed.Round(time.Second) != 20*time.Second {
				t.Errorf("got %+v, want 20 s billed", r)
			}
		}
		w.wantOthersUnharmed()
		if n := w.probes.Load(); n != 0 {
			t.Errorf("got %d requests of the server's own, want none for limits", n)
		}
	})
}

// TestSuspect_AFailingEngineIsFoundOut: the server's own requests fail, too.
func TestSuspect_AFailingEngineIsFoundOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		var which atomic.Pointer[string] // the first that is asked
		failing := func(rw http.ResponseWriter, r *http.Request) {
			id := r.Context().Value(instanceKey{}).(string)
			if which.CompareAndSwap(nil, &id) || *which.Load() == id {
				http.Error(rw, "CUDA error: an illegal memory access was encountered", 500)
				return
			}
			answerChat(rw, r)
		}
		w.engines.probed = failing
		w.engines.swap(failing)
		for range 10 {
			if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 || a.Header.Get("X-Pilotlight-Instance") == *which.Load() {
				t.Fatalf("got %d %s, want the answer of the other engine", a.StatusCode, a.text)
			}
			time.Sleep(time.Second)
		}
		bad := *which.Load()
		for _, i := range w.act.Snapshot().Instances {
			if i.ID == bad && i.Breaker == "closed" {
				t.Errorf("the breaker of an engine that fails our own requests is closed")
			}
		}
		time.Sleep(time.Minute)
		if state := w.act.InstanceState(bad); state == fleet.Ready {
			t.Errorf("an engine that fails everything is still %s", state)
		}
	})
}

// TestSuspect_ARequestThatKillsItsEnginesRefusesNobodyElse: it is sent again and again, and each engine that gets it dies.
func TestSuspect_ARequestThatKillsItsEnginesRefusesNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: 5 * time.Second, model: func(m *fleet.Model) { m.Instances.Max = 2 }})
		w.heat(chatModel)
		w.having("poison", func(rw http.ResponseWriter, r *http.Request) {
			w.host.set(r.Context().Value(instanceKey{}).(string), func(s *fleet.Sighting) { s.Gone, s.Failure = true, "signal 11" })
			die(rw)
		})
		secret, _ := w.newToken("other", tenant.NewToken{})
		for range 4 {
			w.wantCode(w.do(call{body: strings.Replace(chat(chatModel), `"hi"`, `"poison"`, 1)}), 502, "engine_error")
			if a := w.do(call{body: chat(chatModel), secret: secret}); a.err != nil || a.StatusCode != 200 {
				t.Fatalf("another organisation got %d %s, want an answer from a new engine", a.StatusCode, a.text)
			}
		}
	})
}
