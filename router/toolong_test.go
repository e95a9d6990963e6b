package router_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestContextLength_CertainlyExceededStartsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{}) // with contexts of 8,192 tokens
		long := strings.Repeat("abcdefgh", 8192*256/8)
		for _, row := range []struct{ path, body, param string }{
			{"/v1/chat/completions", `{"model":"` + chatModel + `","messages":[{"role":"user","content":"` + long + `"}]}`, "messages"},
			{"/v1/completions", `{"model":"` + chatModel + `","prompt":"` + long + `"}`, "prompt"},
			{"/v1/completions", `{"model":"` + chatModel + `","prompt":[` + strings.Repeat("1,", 8191) + `1]}`, "prompt"},
		} {
			a := w.do(call{path: row.path, body: row.body})
			w.wantCode(a, 400, "context_length_exceeded")
			if !strings.Contains(a.text, `"param":"`+row.param+`"`) {
				t.Errorf("%s: got %s, want param %s", row.path, a.text, row.param)
			}
		}
		if n := w.host.launches(); n != 0 {
			t.Errorf("got %d engines launched, want none", n)
		}
		w.engines.swap(answerCompletion)
		if a := w.do(call{path: "/v1/completions", body: `{"model":"` + chatModel + `","prompt":[` + strings.Repeat("1,", 8190) + `1]}`}); a.StatusCode != 200 {
			t.Errorf("got %d %s for a prompt that may fit, want it left to the engine", a.StatusCode, a.text)
		}
	})
}

func TestContextLength_ExceededByTheEnginesWord(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		kind fleet.EngineKind
		body string
	}{
		{fleet.EngineTRTLLM, `{"object":"error","message":"The prompt length (9000) should not exceed max_seq_len (8192)","type":"BadRequestError","param":null,"code":400}`},
		{fleet.EngineVLLM, `{"error":{"message":"You passed 9000 input tokens to the executor.","type":"BadRequestError","param":"input_tokens","code":400}}`},
		{fleet.EngineOpenAI, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`},
	} {
		t.Run(string(row.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{model: func(m *fleet.Model) { m.Engine.Kind = row.kind }})
				calls := 0
				w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
					calls++
					rw.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(rw, row.body)
				})
				a := w.do(call{body: chat(chatModel)})
				w.wantCode(a, 400, "context_length_exceeded")
				if !strings.Contains(a.text, "This model's maximum context length is 8192 tokens. ") {
					t.Errorf("got %s, want it in OpenAI's words, which LiteLLM looks for", a.text)
				}
				if !strings.Contains(a.text, `"param":"messages"`) || calls != 1 {
					t.Errorf("got %s after %d calls, want param messages after one", a.text, calls)
				}
			})
		})
	}
}
