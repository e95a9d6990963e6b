package router_test

import (
	"errors"
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
)

// two instances: the first request finds one hot, and its failure another.
func twoHot(t *testing.T, more ...setup) *world {
	var s setup
	if len(more) > 0 {
		s = more[0]
	}
	s.model = func(m *fleet.Model) { m.Instances.Min = min(2, m.Instances.Max) }
	w := newWorld(t, s)
	w.heat(chatModel)
	time.Sleep(time.Minute)
	return w
}

func TestEngine_FailsBeforeTheFirstByte_AnotherIsAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fail http.HandlerFunc
	}{
		{"closed", func(w http.ResponseWriter, _ *http.Request) { die(w) }},
		{"5xx", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "boom", http.StatusInternalServerError) }},
		{"503", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "LLM is unavailable.", http.StatusServiceUnavailable)
		}},
		{"400 of an engine in trouble", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"object":"error","message":"LLM is shutting down","type":"BadRequestError","param":null,"code":400}`)
		}},
		{"head without a body", func(w http.ResponseWriter, _ *http.Request) { events(w); die(w) }},
		{"null, as a dying engine answers", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "null") }},
	} {
		for _, mode := range []string{"", stream} {
			t.Run(tt.name+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := twoHot(t)
					w.engines.probed = tt.fail
					var first string
					calls := 0
					w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
						if calls++; calls == 1 {
							first = r.Context().Value(instanceKey{}).(string)
							tt.fail(rw, r)
							return
						}
						answerChat(rw, r)
					})
					a := w.do(call{body: chat(chatModel, mode)})
					if a.StatusCode != 200 || a.err != nil || calls != 2 {
						t.Fatalf("got %d %q %v after %d calls, want the second engine's answer", a.StatusCode, a.text, a.err, calls)
					}
					r := w.lastRecord(2)
					if got := a.Header.Get("X-Pilotlight-Instance"); got == first || r.Instance != got || r.Status != ledger.Complete {
						t.Errorf("got instance %s after %s, record %+v; want another one, and one record", got, first, r)
					}
				})
			})
		}
	}
}

func TestEngine_FailsTwice_Is502AndCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			http.Error(rw, "boom at 10.0.0.7:8000 in /usr/lib/engine.py", 500)
		})
		a := w.do(call{body: chat(chatModel)})
		w.wantCode(a, 502, "engine_error")
		for _, leak := range []string{"10.0.0.7", "/usr/lib"} {
			if strings.Contains(a.text, leak) {
				t.Errorf("got %q, which shows %s", a.text, leak)
			}
		}
		if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Cost != 0 || r.Billed != 0 {
			t.Errorf("got %+v, want a record that costs nothing", r)
		}
	})
}

func TestEngine_CallersErrorPassesAndIsNotRetried(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]string{
		`{"error":"1 validation error for ChatCompletionRequest: top_p: less than 1"}`:                                                                     "invalid_request",
		`{"object":"error","message":"The prompt length (9000) should not exceed max_num_tokens (8192)","type":"BadRequestError","param":null,"code":400}`: "context_length_exceeded",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := twoHot(t)
			calls := 0
			w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
				calls++
				rw.WriteHeader(400)
				fmt.Fprint(rw, body)
			})
			a := w.do(call{body: chat(chatModel, stream)})
			w.wantCode(a, 400, code)
			if calls != 1 {
				t.Errorf("got %d calls, want 1", calls)
			}
			if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Cost != 0 {
				t.Errorf("got %+v, want a record that costs nothing", r)
			}
		})
	}
}

func TestEngine_DiesMidStream_NeverLooksComplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(http.ResponseWriter)
	}{
		{"cut", die},
		{"clean end without [DONE]", func(http.ResponseWriter) {}},
		{"error event", func(w http.ResponseWriter) { events(w, `data: {"error":{"message":"boom"}}`+"\n\n") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
					events(rw, token("a"), token("b")+`data: {"id":"c-1","cho`)
					time.Sleep(time.Second)
					tt.end(rw)
				})
				a := w.do(call{body: chat(chatModel, stream)})
				whole, last, _ := strings.Cut(a.text, `data: {"error"`)
				if whole != token("a")+token("b") && tt.name != "error event" {
					t.Errorf("got %q, want the whole events", whole)
				}
				if !strings.Contains(last, `"code":"engine_error"`) || strings.Contains(a.text, "[DONE]") {
					t.Errorf("got %q, want an error event at the end", a.text)
				}
				if !errors.Is(a.err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v, want a cut connection", a.err)
				}
				if r := w.lastRecord(1); r.Status != ledger.EngineError || r.Cost != 0 {
					t.Errorf("got %+v, want a record that costs nothing", r)
				}
			})
		})
	}
}

func TestEngine_TimeLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		n := 1
		// Before any head nothing is billed, after a 2xx the time until the limit.
		w.engines.swap(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w.wantCode(w.do(call{body: chat(chatModel)}), 504, "upstream_timeout")
		n++
		if r := w.lastRecord(n); r.Status != ledger.EngineError || r.Billed != 0 {
			t.Errorf("first byte: got %+v, want nothing billed", r)
		}
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			events(rw, token("a"))
			<-r.Context().Done()
		})
		a := w.do(call{body: chat(chatModel, stream)})
		n++
		if !strings.Contains(a.text, `"code":"upstream_timeout"`) {
			t.Errorf("idle: got %q, want an error event", a.text)
		}
		if r := w.lastRecord(n); r.Status != ledger.TimedOut || r.Billed.Round(time.Second) != 0 {
			t.Errorf("idle: got %+v, want nothing billed behind the last byte", r)
		}
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				events(rw, token("a"))
				time.Sleep(30 * time.Second)
			}
		})
		a = w.do(call{body: chat(chatModel, stream)})
		n++
		if r := w.lastRecord(n); r.Status != ledger.TimedOut || r.Billed.Round(time.Minute) != 30*time.Minute {
			t.Errorf("total: got %+v, want half an hour billed", r)
		}
	})
}

func TestEngine_ATotalThatAWholeAnswerExceedsIsBilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{model: func(m *fleet.Model) { m.Timeouts.FirstByte, m.Timeouts.Total = 0, 5*time.Minute }})
		w.heat(chatModel)
		// An engine sends the head of a whole answer only once it has all of it.
		w.engines.swap(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w.wantCode(w.do(call{body: chat(chatModel)}), 504, "upstream_timeout")
		if r := w.lastRecord(2); r.Status != ledger.TimedOut || r.Billed.Round(time.Second) != 5*time.Minute {
			t.Errorf("got %+v, want five minutes billed", r)
		}
	})
}

func TestEngine_GetsARequestWrittenAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var got atomic.Pointer[string]
		var header http.Header
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			s := string(b)
			got.Store(&s)
			header = r.Header.Clone()
			r.Body = io.NopCloser(strings.NewReader(s))
			answerChat(rw, r)
		})
		salts := map[string]bool{}
		for _, org := range []string{"acme", "acme", "other"} {
			secret, _ := w.newToken(org, noScopes)
			w.do(call{body: chat(chatModel, stream, `,"cache_salt":"mine"`), secret: secret, header: map[string]string{"X-Evil": "1", "Cookie": "a=b"}})
			body := *got.Load()
			if !strings.Contains(body, `"include_usage":true`) {
				t.Errorf("got %s, want usage asked", body)
			}
			_, salt, _ := strings.Cut(body, `"cache_salt":"`)
			salts[salt[:8]] = true
			if header.Get("Authorization") != "" || header.Get("X-Evil") != "" || header.Get("Cookie") != "" {
				t.Errorf("got headers %v, want none of the caller's", header)
			}
		}
		if len(salts) != 2 {
			t.Errorf("got salts %v, want one per organisation", salts)
		}
		w.do(call{body: chat(rareModel)})
		if body := *got.Load(); strings.Contains(body, "cache_salt") {
			t.Errorf("got %s, want no salt for a kind that does not know it", body)
		}
	})
}

func TestEngine_LargeAnswers(t *testing.T) {
	t.Parallel()
	const large = `{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"text":%q}]}`
	for _, size := range []int{20 << 10, 3 << 20, 40 << 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(rw, large, strings.Repeat("x", size))
			})
			a := w.do(call{body: chat(chatModel)})
			if want := size + len(large) - len("%q") + len(`""`); len(a.text) != want || a.err != nil {
				t.Fatalf("got %d bytes (%v), want %d", len(a.text), a.err, want)
			}
			if billed := a.Header.Get("X-Pilotlight-Billed-Ms"); (billed != "") != (size < 32<<20) {
				t.Errorf("%d bytes: got billed %q", size, billed)
			}
			if r := w.lastRecord(1); r.Status != ledger.Complete {
				t.Errorf("got %+v", r)
			}
		})
	}
}
