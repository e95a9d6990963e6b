package router_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/router"
)

const roleChunk = `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"

func TestSilence_KeepalivesGoOnBetweenEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mode, alive string
		idle              func(http.ResponseWriter) // what the engine does for 50 s
	}{
		{"an empty role chunk, then silence", "comment", ": pilotlight state=", func(http.ResponseWriter) { time.Sleep(50 * time.Second) }},
		{"chunks", "chunk", `"delta":{"content":""}`, func(http.ResponseWriter) { time.Sleep(50 * time.Second) }},
		{"comments of the engine, which callers do not get", "comment", ": pilotlight state=", func(w http.ResponseWriter) {
			for range 10 {
				time.Sleep(5 * time.Second)
				events(w, ": ping\n\n")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.heat(chatModel)
				w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
					events(rw, roleChunk)
					tt.idle(rw)
					events(rw, token("a"), usageChunk, "data: [DONE]\n\n")
				})
				a := w.do(call{body: chat(chatModel, stream), header: map[string]string{"X-Pilotlight-Keepalive": tt.mode}})
				if got := strings.Count(a.text, tt.alive); got != 3 || !strings.HasSuffix(a.text, "data: [DONE]\n\n") {
					t.Errorf("got %d keep-alives in %q, want 3 in a whole stream", got, a.text)
				}
			})
		})
	}
}

func TestSilence_IsNotBilledWhereItEndsAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			events(rw, roleChunk)
			time.Sleep(10 * time.Second)
			events(rw, token("a"))
			<-r.Context().Done()
		})
		began := time.Now()
		a := w.do(call{body: chat(chatModel, stream)})
		if !strings.Contains(a.text, `"code":"upstream_timeout"`) || time.Since(began) != 70*time.Second {
			t.Errorf("got %q after %v, want the limit of a minute behind the last byte", a.text, time.Since(began))
		}
		if r := w.lastRecord(2); r.Status != ledger.TimedOut || r.Billed.Round(time.Second) != 10*time.Second {
			t.Errorf("got %+v, want 10 s billed", r)
		}
	})
}

func TestDone_EndsTheCallersStreamAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		closed := make(chan time.Time, 1)
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			events(rw, token("a"), usageChunk, "data: [DONE]\n\n")
			<-r.Context().Done() // it never ends its answer
			closed <- time.Now()
		})
		began := time.Now()
		a := w.do(call{body: chat(chatModel, stream)})
		if a.err != nil || !strings.HasSuffix(a.text, "data: [DONE]\n\n") || time.Since(began) > 10*time.Millisecond {
			t.Errorf("got %q, %v after %v; want the whole stream at once", a.text, a.err, time.Since(began))
		}
		w.engines.swap(answerChat)
		if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 || time.Since(began) > 10*time.Millisecond {
			t.Errorf("got %d after %v, want the next request on the connection served at once", a.StatusCode, time.Since(began))
		}
		if after := (<-closed).Sub(began).Round(10 * time.Millisecond); after != time.Second {
			t.Errorf("the engine's connection was closed after %v, want after a second", after)
		}
	})
}

func TestShortage_OfOurOwnIsNotTheEngines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var short atomic.Bool
		var w *world
		w = newWorld(t, setup{router: func(c *router.Config) {
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if short.Load() {
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EMFILE}
				}
				return w.net.dial(ctx, network, addr)
			}
		}})
		w.heat(chatModel)
		time.Sleep(time.Minute) // no connection is idle any more
		short.Store(true)
		for range 6 {
			a := w.do(call{body: chat(chatModel)})
			w.wantCode(a, 503, "overloaded")
		}
		time.Sleep(time.Second)
		short.Store(false)
		w.wantOthersUnharmed()
		if n := w.probes.Load(); n != 0 {
			t.Errorf("got %d requests of the server's own, want none", n)
		}
	})
}

// TestPooled_ARequestIsCarriedOutTwiceAtMost: it kills each engine that it is sent to, over a connection that has served another before.
func TestPooled_ARequestIsCarriedOutTwiceAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := twoHot(t)
		w.do(call{body: chat(chatModel)})
		calls := 0
		w.having("poison", func(rw http.ResponseWriter, _ *http.Request) {
			calls++
			die(rw)
		})
		a := w.do(call{body: strings.Replace(chat(chatModel), `"hi"`, `"poison"`, 1)})
		w.wantCode(a, 502, "engine_error")
		if got := a.Header.Get("X-Should-Retry"); got != "false" {
			t.Errorf("got x-should-retry %q, want a stock client not to send it again", got)
		}
		if calls != 2 {
			t.Errorf("got it carried out %d times, want 2", calls)
		}
	})
}
