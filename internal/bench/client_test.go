package bench_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

const ms = time.Millisecond

// A stream with all that the wire may hold: keep-alives before the first token, a role without text, events cut in two, two in one write, data of two
// lines, CRLF. Every moment is known, and none may be off.
func TestClient_MeasuresAStreamExactly(t *testing.T) {
	answer := script(
		nil,
		piece{40 * ms, ": waiting\n\n"},
		piece{60 * ms, `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}` + "\n\n"},
		piece{100 * ms, token("one")},                      // 200
		piece{30 * ms, token("two")[:20]},                  // half of it
		piece{20 * ms, token("two")[20:] + token("three")}, // 250, both
		piece{50 * ms, "data: {\"choices\":\r\ndata: [{\"delta\":{\"reasoning_content\":\"four\"}}]}\r\n\r\n"}, // 300
		piece{15 * ms, usage(7, 5, "")}, // five tokens in four chunks
		piece{10 * ms, done},
	)
	inBubble(t, answer, func(t *testing.T, c *bench.Client) {
		s := one(t, c)
		if s.Failure != "" || s.InputTokens != 7 || s.OutputTokens != 5 {
			t.Errorf("got failure %q, %d and %d tokens, want none, 7 and 5", s.Failure, s.InputTokens, s.OutputTokens)
		}
		for name, got := range map[string][2]time.Duration{
			"first": {s.First.Sub(s.Intended), 200 * ms}, "last": {s.Last.Sub(s.Intended), 300 * ms}, "end": {s.End.Sub(s.Intended), 325 * ms},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: got %v, want %v", name, got[0], got[1])
			}
		}
		if want := []time.Duration{50 * ms, 0, 50 * ms}; !slices.Equal(s.Chunks, want) {
			t.Errorf("chunks: got %v, want %v", s.Chunks, want)
		}
	})
}

func TestClient_CountsChunksWhereTheServerDoesNotSay(t *testing.T) {
	inBubble(t, script(nil, piece{0, token("a")}, piece{ms, token("b") + done}), func(t *testing.T, c *bench.Client) {
		if s := one(t, c); s.OutputTokens != 2 || s.InputTokens != 0 {
			t.Errorf("got %d and %d tokens, want 0 and 2", s.InputTokens, s.OutputTokens)
		}
	})
}

func TestClient_NamesWhatWentWrong(t *testing.T) {
	status := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	for _, tt := range []struct {
		name, want string
		handle     http.HandlerFunc
	}{
		{"code", "429 rate_limit_exceeded", status(429, `{"error":{"message":"m","type":"rate_limit_error","code":"rate_limit_exceeded"}}`)},
		{"type", "500 InternalServerError", status(500, `{"error":{"message":"m","type":"InternalServerError","code":null}}`)},
		{"number", "404 404", status(404, `{"error":{"message":"m","type":"NotFoundError","code":404}}`)},
		{"no shape", "502", status(502, `<html>Bad Gateway</html>`)},
		{"no answer", "malformed", status(200, `null`)},
		{"event", "200 engine_error", script(nil, piece{0, token("a")}, piece{0, `data: {"error":{"message":"m","code":"engine_error"}}` + "\n\n"})},
		{"cut", "incomplete", script(nil, piece{0, token("a")})},
		{"cut hard", "connection_lost", func(w http.ResponseWriter, r *http.Request) {
			script(nil, piece{0, token("a")})(w, r)
			panic(http.ErrAbortHandler)
		}},
		{"slow", "timeout", script(nil, piece{0, token("a")}, piece{3 * time.Second, token("b") + done})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.handle, func(t *testing.T, c *bench.Client) {
				if s := one(t, c); s.Failure != tt.want {
					t.Errorf("got %q, want %q", s.Failure, tt.want)
				}
			}, func(c *bench.ClientConfig) { c.Timeout = 2 * time.Second })
		})
	}
}

// What a Pilotlight says of a request, in each of the places where it may say it.
func TestClient_ReadsWhatPilotlightSays(t *testing.T) {
	header := http.Header{
		"X-Pilotlight-Start": {"cold"}, "Server-Timing": {"queue;dur=0.201, activate;dur=2233.407"}, "X-Request-Id": {"its-own"},
	}
	object := `,"pilotlight":{"start":"parked","queue_us":201,"activate_us":1500000,"ttft_us":2147,"wake_us":30000,"upstream_us":3250,"billed_us":3250,"cost_usd":"0.000007448"}`
	stream := func(h http.Header, more ...piece) http.HandlerFunc {
		return script(h, append([]piece{{0, token("a")}}, more...)...)
	}
	for _, tt := range []struct {
		name   string
		handle http.HandlerFunc
		want   bench.Receipt
	}{
		{"nothing", stream(nil, piece{0, done}), bench.Receipt{}},
		{"object", stream(header, piece{0, usage(1, 1, object) + done}), bench.Receipt{
			Start: "parked", QueueUS: 201, ActivateUS: 1_500_000, WakeUS: 30_000, TTFTUS: 2147, UpstreamUS: 3250, BilledUS: 3250, Cost: 7448, Priced: true,
		}},
		{"headers", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Pilotlight-Start", "hot")
			w.Header().Set("Server-Timing", "queue;dur=0.011, activate;dur=0.000, upstream;dur=12.345")
			w.Header().Set("X-Pilotlight-Billed-Ms", "12.345")
			w.Header().Set("X-Pilotlight-Cost-Usd", "0.00002829")
			_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`)
		}, bench.Receipt{Start: "hot", QueueUS: 11, UpstreamUS: 12345, BilledUS: 12345, Cost: 28290, Priced: true}},
		{"comment, then receipt", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/usage/") {
				_, _ = io.WriteString(w, `{"request_id":"t-0","start":"cold","queue_us":5,"activate_us":7000,"ttft_us":9,"upstream_us":10,"billed_us":10,"cost_nano_usd":23,"cost_usd":"0.000000023","status":"complete"}`)
				return
			}
			stream(nil, piece{0, ": pilotlight start=cold instance=i queue_ms=0 activate_ms=7\n\n" + token("b") + done})(w, r)
		}, bench.Receipt{RequestID: "t-0", Start: "cold", QueueUS: 5, ActivateUS: 7000, TTFTUS: 9, UpstreamUS: 10, BilledUS: 10, Cost: 23, Status: "complete", Priced: true}},
		{"comment, no receipt", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/usage/") {
				http.NotFound(w, r)
				return
			}
			stream(nil, piece{0, ": pilotlight state=loading\n\n: pilotlight start=cold instance=i queue_ms=3 activate_ms=7\n\n" + token("b") + done})(w, r)
		}, bench.Receipt{Start: "cold", QueueUS: 3000, ActivateUS: 7000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.handle, func(t *testing.T, c *bench.Client) {
				s := one(t, c)
				if s.Failure != "" || s.Receipt != tt.want {
					t.Errorf("got failure %q and %+v, want none and %+v", s.Failure, s.Receipt, tt.want)
				}
			})
		})
	}
}

func TestClient_EndOfTheRunIsNoFailure(t *testing.T) {
	inBubble(t, script(nil, piece{0, token("a")}, piece{time.Hour, done}), func(t *testing.T, c *bench.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := &bench.Sample{Intended: time.Now()}
		c.Send(ctx, &bench.Request{Model: "m"}, s)
		if s.Failure != bench.Interrupted {
			t.Errorf("got %q, want %q", s.Failure, bench.Interrupted)
		}
	})
}

func TestNewClient_RefusesWhatIsNoAddress(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://host/v1"} {
		if _, err := bench.NewClient(bench.ClientConfig{URL: url, Endpoint: bench.EndpointChat}); err == nil {
			t.Errorf("%q: got no error", url)
		}
	}
}
