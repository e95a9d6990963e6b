package router_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// own is a setup whose engines speak the dialects themselves.
func own(more ...setup) setup {
	s := speaks(more...)
	add := s.model
	s.model = func(m *fleet.Model) {
		add(m)
		m.Native = slices.Clone(m.Endpoints)
	}
	return s
}

func event(kind, rest string) string {
	return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"" + rest + "}\n\n"
}

// answerNatively answers as an engine that has both APIs.
func answerNatively(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	streamed := contains(body, `"stream":true`)
	switch {
	case r.URL.Path == "/v1/messages" && streamed:
		events(w, event("message_start", `,"message":{"id":"theirs","usage":{"input_tokens":4,"cache_read_input_tokens":1,"output_tokens":1}}`),
			event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`), event("ping", ""),
			event("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"a"}`), event("content_block_stop", `,"index":0`),
			event("message_delta", `,"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}`), event("message_stop", ""))
	case r.URL.Path == "/v1/messages":
		fmt.Fprint(w, `{"id":"theirs","type":"message","role":"assistant","model":"m","stop_reason":"end_turn","content":[{"type":"text","text":"a"}],"usage":{"input_tokens":5,"output_tokens":3}}`)
	case r.URL.Path == "/v1/responses" && streamed:
		events(w, event("response.created", `,"response":{"id":"theirs"}`), event("response.output_text.delta", `,"delta":"a"`),
			event("response.completed", `,"response":{"id":"theirs","error":null,"usage":{"input_tokens":5,"output_tokens":3}}`))
	case r.URL.Path == "/v1/responses":
		fmt.Fprint(w, `{"id":"theirs","object":"response","created_at":1,"model":"m","status":"completed","output":[{"type":"message"}],"usage":{"input_tokens":5,"output_tokens":3}}`)
	default:
		http.NotFound(w, r)
	}
}

func TestNative_IsPassedThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, own())
		var body string
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			body = string(b)
			r.Body = io.NopCloser(strings.NewReader(body))
			answerNatively(rw, r)
		})
		for i, row := range []struct {
			call call
			sent string // in what the engine gets
			end  string // of a stream
		}{
			{messages(), `"max_tokens":9`, ""},
			{messages(stream), `"stream":true`, "message_stop"},
			{responses(), `"store":false`, ""},
			{responses(stream, `,"store":null`), `"store":false`, "response.completed"},
		} {
			a := w.do(row.call)
			if a.StatusCode != 200 || !strings.Contains(a.text, "theirs") || !strings.Contains(body, row.sent) || strings.Contains(body, `"store":null`) {
				t.Errorf("%s: got %d %s for %s, want the engine's own answer, and %s sent", row.call.path, a.StatusCode, a.text, body, row.sent)
			}
			if types, _ := eventTypes(t, a.text); row.end != "" && (types[len(types)-1] != row.end || slices.Contains(types, "ping")) {
				t.Errorf("%s: got %v, want the engine's events up to %s", row.call.path, types, row.end)
			}
			if r := w.lastRecord(i + 1); r.Status != ledger.Complete || r.PromptTokens != 5 || r.CompletionTokens != 3 {
				t.Errorf("%s: got record %+v, want the engine's usage", row.call.path, r)
			}
		}
	})
}

// What a translated request may not carry, one that is passed through may not either.
func TestNative_IsHeldToTheSameRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, own())
		w.engines.swap(func(http.ResponseWriter, *http.Request) { t.Error("an engine was asked") })
		for _, c := range []call{
			responses(`,"store":true`), responses(`,"previous_response_id":"resp_of_another"`), responses(`,"tools":[{"type":"code_interpreter"}]`),
			messages(`,"mcp_servers":[{"url":"http://10.0.0.1"}]`), messages(`,"kv_transfer_params":{}`),
			{path: "/v1/responses", body: `{"model":"` + chatModel + `","input":[{"role":"user","content":[{"type":"input_image","image_url":"http://10.0.0.1/x"}]}]}`},
		} {
			w.wantCode(w.do(c), 400, "invalid_request")
		}
	})
}

func TestNative_FailuresAndKeepalives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, own(setup{load: 40 * time.Second}))
		w.engines.swap(answerNatively)
		c := messages(stream)
		c.header = map[string]string{"X-Pilotlight-Keepalive": "chunk"}
		if a := w.do(c); strings.Count(a.text, "event: ping") != 2 || strings.Contains(a.text, ": pilotlight state") {
			t.Errorf("got %q, want two pings and no comments", a.text)
		}
		for i, row := range []struct {
			call   call
			engine http.HandlerFunc
			says   string
		}{
			{messages(stream), func(rw http.ResponseWriter, _ *http.Request) {
				events(rw, event("message_start", `,"message":{"id":"theirs"}`))
				die(rw)
			}, `{"type":"error","error":{"type":"api_error"`},
			{messages(stream), func(rw http.ResponseWriter, _ *http.Request) {
				events(rw, event("message_start", `,"message":{"id":"theirs"}`))
				time.Sleep(time.Second)
				events(rw, event("error", `,"error":{"type":"api_error","message":"went wrong"}`))
			}, `went wrong`},
			{responses(stream), func(rw http.ResponseWriter, _ *http.Request) {
				events(rw, event("response.created", `,"response":{"id":"theirs"}`)) // and no end
			}, `"code":"engine_error"`},
		} {
			w.engines.swap(row.engine)
			a := w.do(row.call)
			if types, _ := eventTypes(t, a.text); types[len(types)-1] != "error" || !strings.Contains(a.text, row.says) || !strings.Contains(a.text, "theirs") {
				t.Errorf("got %q, want what came, then an error event that says %s", a.text, row.says)
			}
			if r := w.lastRecord(i + 2); r.Status != ledger.EngineError || r.Billed != 0 {
				t.Errorf("got record %+v, want an engine error that costs nothing", r)
			}
		}
	})
}
