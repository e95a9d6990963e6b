package trtsim_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func newRequest(ctx context.Context, body string) *http.Request {
	return httptest.NewRequestWithContext(ctx, "POST", "/v1/chat/completions", strings.NewReader(body))
}

func TestBodiesThatTheModelRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for _, row := range []struct{ path, body, part string }{
			{"chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}],"foo":{"a":[1,true,null]}}`, `{"error":"1 validation error:\n  {'type': 'extra_forbidden', 'loc': ('body', 'foo'), 'msg': 'Extra inputs are not permitted', 'input': {'a': [1, True, None]}}\n"}`},
			{"completions", `{"model":"m","prompt":"x","messages":[]}`, `'extra_forbidden', 'loc': ('body', 'messages')`},
			{"chat/completions", `{"model":"m"}`, `{"error":"1 validation error:\n  {'type': 'missing', 'loc': ('body', 'messages')`},
			{"completions", `{"model":"m"}`, `'missing', 'loc': ('body', 'prompt')`},
			{"completions", `{"model":"m","prompt":`, `{"error":"1 validation error:\n  {'type': 'json_invalid'`},
			{"completions", `[1]`, `{"error":"1 validation error:\n  {'type': 'model_attributes_type'`},
			{"completions", `null`, `{"error":"1 validation error:\n  {'type': 'model_attributes_type'`},
			{"completions", `{"model":"m","prompt":"x","max_tokens":"ten"}`, `'int_type', 'loc': ('body', 'max_tokens')`},
			{"completions", `{"model":"m","prompt":"x","max_tokens":1.5}`, `'int_type'`},
			{"completions", `{"model":"m","prompt":"x","stream":"yes"}`, `'bool_type'`},
			{"completions", `{"model":1,"prompt":"x"}`, `'string_type'`},
			{"completions", `{"model":"m","prompt":"x","temperature":"hot"}`, `'float_type'`},
			{"completions", `{"model":"m","prompt":{}}`, `'string_type', 'loc': ('body', 'prompt')`},
			{"completions", `{"model":"m","prompt":[]}`, `'string_type', 'loc': ('body', 'prompt')`},
			{"completions", `{"model":"m","prompt":"x","stop":5}`, `'loc': ('body', 'stop')`},
			{"chat/completions", `{"model":"m","messages":"x"}`, `'list_type', 'loc': ('body', 'messages')`},
			{"chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}],"stream_options":{"include_usage":true}}`, `Stream options can only be defined when stream is true`},
		} {
			wantContains(t, call(e, "POST", "/v1/"+row.path, row.body), 400, row.part)
			wantContains(t, call(e, "POST", "/v1/"+row.path, row.body), 400, `{"error":"`)
		}
	})
}

func TestRequestsThatTheEngineRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{MaxNumTokens: 100})
		const tail = `","type":"BadRequestError","param":null,"code":400}`
		want(t, complete(e, `{"model":"m","prompt":"`+words(100)+`"}`), 400,
			`{"object":"error","message":"The prompt length (101) should not exceed max_num_tokens (100)`+tail)
		for _, row := range []struct{ path, body string }{
			{"completions", `{"model":"m","prompt":"x","suffix":"y"}`},
			{"completions", `{"model":"m","prompt":"x","max_tokens":0}`},
			{"completions", `{"model":"m","prompt":"x","n":0}`},
			{"completions", `{"model":"m","prompt":"x","stop":""}`},
			{"chat/completions", `{"model":"m","messages":[]}`},
			{"chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"required"}`},
			{"chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}],"chat_template":"{{x}}"}`},
			{"chat/completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}`},
			{"chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":-1,"stream":true}`},
		} {
			w := call(e, "POST", "/v1/"+row.path, row.body)
			wantContains(t, w, 400, `{"object":"error","message":"`)
			wantContains(t, w, 400, tail)
		}
	})
}

func TestPromptBeyondTheContextIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{MaxSeqLen: 64})
		wantContains(t, complete(e, `{"model":"m","prompt":"`+words(63)+`"}`), 400, "The prompt length (64) should not exceed max_seq_len (64)")
		if got := parse(t, complete(e, `{"model":"m","prompt":"`+words(60)+`","max_tokens":50}`)); got.Usage.Completion != 3 || got.Choices[0].FinishReason != "length" {
			t.Errorf("got %+v, want the 3 tokens that fit", got)
		}
	})
}

func TestKnownExtensionsAreAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		parse(t, chat(e, `{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":null}],
			"temperature":0.5,"top_p":1,"top_k":5,"seed":1,"user":"u","cache_salt":"s","priority":0.5,"response_format":{"type":"text"},"tools":[],"tool_choice":"auto",
			"logprobs":null,"max_tokens":2,"max_completion_tokens":3,"stop":null,"stream":null,"chat_template_kwargs":{},"reasoning_effort":"low","min_p":0.1,"lora_request":null}`))
	})
}

func TestTextThatIsNotUTF8IsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		want(t, complete(start(t, trtsim.Config{}), "{\"model\":\"m\",\"prompt\":\"\xff\"}"), 400, `{"detail":"There was an error parsing the body"}`)
	})
}

func TestBodiesOfAnotherTypeAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRequest(t.Context(), `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
		r.Header.Set("Content-Type", "text/plain")
		w := httptest.NewRecorder()
		start(t, trtsim.Config{}).ServeHTTP(w, r)
		wantContains(t, w, 400, "model_attributes_type")
	})
}

func TestConfigsThatCannotWork(t *testing.T) {
	for name, c := range map[string]trtsim.Config{
		"no model": {}, "negative speed": {Model: "m", Speed: -1}, "unknown stack": {Model: "m", Stack: "fast"},
		"unknown source": {Model: "m", Load: "tape"}, "share above 1": {Model: "m", KVFraction: 2}, "negative batch": {Model: "m", MaxBatchSize: -1},
		"unknown fault": {Model: "m", Faults: []trtsim.Fault{{Kind: "nap"}}}, "slow by nothing": {Model: "m", Faults: []trtsim.Fault{{Kind: trtsim.FaultSlow}}},
	} {
		if _, err := trtsim.New(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestModelThatDoesNotFitFailsToLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := trtsim.New(trtsim.Config{Model: llama70B, GPUs: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "out of memory") {
			t.Errorf("got %v, want out of memory", err)
		}
	})
}
