package router_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestKeepalive_CommentsUntilTheFirstToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: 40 * time.Second})
		a := w.do(call{body: chat(chatModel, stream)})
		comments, data, _ := strings.Cut(a.text, "data: ")
		lines := strings.Split(strings.TrimSuffix(comments, "\n\n"), "\n\n")
		if a.StatusCode != 200 || len(lines) != 3 {
			t.Fatalf("got %d %q, want two keep-alives and a start comment", a.StatusCode, a.text)
		}
		for _, l := range lines[:2] {
			if !strings.HasPrefix(l, ": pilotlight state=starting phase=loading") {
				t.Errorf("got %q, want the state and the phase", l)
			}
		}
		if !strings.HasPrefix(lines[2], ": pilotlight start=cold instance=") || !strings.HasSuffix(lines[2], " queue_ms=0 activate_ms=40000") {
			t.Errorf("got %q, want what the headers no longer could say", lines[2])
		}
		if !strings.HasSuffix(data, "data: [DONE]\n\n") || a.Header.Get("X-Pilotlight-Start") != "" {
			t.Errorf("got %q", a.text)
		}
		if r := w.lastRecord(1); r.Status != ledger.Complete || r.Activate != 40*time.Second {
			t.Errorf("got %+v", r)
		}
	})
}

func TestKeepalive_GoOnWhileTheEngineIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			events(rw) // TensorRT-LLM's headers come before any token
			time.Sleep(50 * time.Second)
			answerChat(rw, r)
		})
		a := w.do(call{body: chat(chatModel, stream)})
		if got := strings.Count(a.text, ": pilotlight state=ready"); got != 3 {
			t.Errorf("got %d keep-alives in %q, want 3", got, a.text)
		}
		if r := w.lastRecord(1); r.Billed < 50*time.Second || r.TTFT < 50*time.Second {
			t.Errorf("got billed %v and ttft %v, want the engine's time", r.Billed, r.TTFT)
		}
	})
}

func TestKeepalive_ModesByRequestTokenAndConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request, token string
		want                 string // what comes first
	}{
		{"config", "", "", ": pilotlight state="},
		{"token", "", "chunk", `data: {"id":"chatcmpl-`},
		{"request beats token", "comment", "chunk", ": pilotlight state="},
		{"off", "off", "comment", token("a")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{load: 20 * time.Second})
				secret, _ := w.newToken("acme", tenant.NewToken{Keepalive: tt.token})
				header := map[string]string{}
				if tt.request != "" {
					header["X-Pilotlight-Keepalive"] = tt.request
				}
				a := w.do(call{body: chat(chatModel, stream), secret: secret, header: header})
				if !strings.HasPrefix(a.text, tt.want) || !strings.HasSuffix(a.text, "[DONE]\n\n") {
					t.Errorf("got %q, want it to begin with %q", a.text, tt.want)
				}
				if tt.token == "chunk" && tt.request == "" && strings.Contains(a.text, ": pilotlight") {
					t.Errorf("got %q, want no comment in chunk mode", a.text)
				}
			})
		})
	}
}

// A client's accumulator takes the first chunk's ID for the stream's, and drops the chunks of another.
func TestKeepalive_AllChunksOfAStreamHaveOneID(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]time.Duration{"cold": 40 * time.Second, "hot": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{load: load})
				a := w.do(call{body: chat(chatModel, stream, withUsage), header: map[string]string{"X-Pilotlight-Keepalive": "chunk", "X-Request-Id": "mine"}})
				chunks := strings.Split(strings.TrimSuffix(a.text, "\n\ndata: [DONE]\n\n"), "\n\n")
				if want := 4 + int(load/heartbeat); len(chunks) != want { // three tokens and usage
					t.Fatalf("got %d chunks %q, want %d", len(chunks), chunks, want)
				}
				for _, c := range chunks {
					if strings.Count(c, `"id":`) != 1 || !strings.HasPrefix(c, `data: {"id":"chatcmpl-mine",`) {
						t.Errorf("got chunk %q, want the ID chatcmpl-mine", c)
					}
				}
			})
		})
	}
}

func TestKeepalive_EarlyFailureIsARealError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		a := w.do(call{body: chat(chatModel, stream), header: map[string]string{"X-Pilotlight-Max-Wait": "10s"}})
		w.wantCode(a, 503, "activation_timeout")
		if a.Header.Get("Retry-After") == "" {
			t.Error("got no Retry-After")
		}
	})
}

func TestKeepalive_LateFailureIsAnErrorEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		a := w.do(call{body: chat(chatModel, stream), header: map[string]string{"X-Pilotlight-Max-Wait": "20s"}})
		if a.StatusCode != 200 || a.err != nil {
			t.Fatalf("got %d, %v; want a stream with a clean end", a.StatusCode, a.err)
		}
		if _, last, _ := strings.Cut(a.text, "data: "); !strings.HasPrefix(last, `{"error":{`) || !strings.Contains(last, `"code":"activation_timeout"`) {
			t.Errorf("got %q, want one error event", a.text)
		}
		if strings.Contains(a.text, "[DONE]") {
			t.Error("got [DONE] after an error")
		}
		if got := w.metric(`pilotlight_requests_total{model="` + chatModel + `",code="503"}`); got != "1" {
			t.Errorf("got %q requests counted as 503, want 1", got)
		}
		w.records(0)
	})
}

func TestKeepalive_EngineFailureBehindOneIsRetriedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: 20 * time.Second, model: func(m *fleet.Model) { m.MaxConcurrency = 1 }})
		calls := 0
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			if calls++; calls == 1 {
				die(rw)
			}
			answerChat(rw, r)
		})
		a := w.do(call{body: chat(chatModel, stream)})
		if a.StatusCode != 200 || !strings.HasSuffix(a.text, "[DONE]\n\n") || calls != 2 {
			t.Fatalf("got %d %q after %d calls, want the second engine's answer", a.StatusCode, a.text, calls)
		}
		if r := w.lastRecord(1); r.Status != ledger.Complete {
			t.Errorf("got %+v, want one complete record", r)
		}
	})
}

func TestKeepalive_CallerThatLeavesBehindOneIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		ctx, leave := context.WithCancel(context.Background())
		req, err := http.NewRequestWithContext(ctx, "POST", "http://router/v1/chat/completions", strings.NewReader(chat(chatModel, stream)))
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+w.secret)
		resp, err := w.client.Do(req)
		w.must(err)
		defer resp.Body.Close()
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); !strings.HasPrefix(line, ": pilotlight") {
			t.Fatalf("got %q, %v; want a keep-alive", line, err)
		}
		if got := w.waiting(chatModel); got != 1 {
			t.Fatalf("got %d waiting, want 1", got)
		}
		leave()
		_, _ = io.Copy(io.Discard, resp.Body)
		synctest.Wait()
		if got := w.waiting(chatModel); got != 0 {
			t.Errorf("got %d waiting after the caller left, want 0", got)
		}
	})
}

func (w *world) waiting(model string) int {
	for _, m := range w.act.Snapshot().Models {
		if m.Model.ID == model {
			return m.Waiting
		}
	}
	return -1
}
