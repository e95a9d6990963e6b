package trtsim_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// bubble is a test in virtual time: the clock stands at the start of 2000, and waiting takes no time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

var ids = regexp.MustCompile(`cmpl-[0-9a-f]{32}"`)

// stable replaces what differs from run to run.
func stable(s string) string {
	s = ids.ReplaceAllString(s, `cmpl-ID"`)
	return regexp.MustCompile(`"created":\d+`).ReplaceAllString(s, `"created":T`)
}

func TestChatBodyHasUpstreamsShape(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := chat(start(t, trtsim.Config{}), `{"model":"any \"name\"","messages":[{"role":"user","content":"Hello, world"}],"max_tokens":6}`)
		const shape = `{"id":"chatcmpl-ID","object":"chat.completion","created":T,"model":"any \"name\"","choices":[{"index":0,` +
			`"message":{"role":"assistant","content":"This is simulated text from","reasoning_content":"","reasoning":null,"tool_calls":[]},` +
			`"logprobs":null,"finish_reason":"length","stop_reason":null,"disaggregated_params":null,"avg_decoded_tokens_per_iter":null}],` +
			`"usage":{"prompt_tokens":11,"total_tokens":17,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":0}},"prompt_token_ids":null}`
		if got := stable(w.Body.String()); w.Code != 200 || got != shape {
			t.Errorf("got %d %s\nwant %s", w.Code, got, shape)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("got content type %q, want application/json", got)
		}
		if got := w.Header().Get("Server"); !strings.Contains(got, "trtsim") {
			t.Errorf("got server %q, want it to name trtsim", got)
		}
	})
}

func TestCompletionBodyHasUpstreamsShape(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := complete(start(t, trtsim.Config{}), `{"model":"m","prompt":"Hello","max_tokens":2}`)
		const shape = `{"id":"cmpl-ID","object":"text_completion","created":T,"model":"m","choices":[{"index":0,"text":"This is",` +
			`"token_ids":null,"logprobs":null,"context_logits":null,"finish_reason":"length","stop_reason":null,"disaggregated_params":null,` +
			`"avg_decoded_tokens_per_iter":null}],"usage":{"prompt_tokens":2,"total_tokens":4,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}`
		if got := stable(w.Body.String()); w.Code != 200 || got != shape {
			t.Errorf("got %d %s\nwant %s", w.Code, got, shape)
		}
	})
}

func TestChatStreamHasUpstreamsShape(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := chat(start(t, trtsim.Config{}), `{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":2,"stream":true,"stream_options":{}}`)
		const head = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":T,"model":"m","choices":[`
		const shape = head + `{"index":0,"delta":{"role":"assistant"}}]} ` + "\n\n" +
			head + `{"index":0,"delta":{"content":"This","reasoning_content":""}}]}` + "\n\n" +
			head + `{"index":0,"delta":{"content":" is","reasoning_content":""},"finish_reason":"length"}]}` + "\n\n" +
			head + `],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}` + "\n\n" +
			"data: [DONE]\n\n"
		if got := stable(w.Body.String()); w.Code != 200 || got != shape {
			t.Errorf("got %d %s\nwant %s", w.Code, got, shape)
		}
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
			t.Errorf("got content type %q, want text/event-stream", got)
		}
	})
}

func TestCompletionStreamKeepsNulls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := complete(start(t, trtsim.Config{}), `{"model":"m","prompt":"Hi","max_tokens":2,"stream":true}`)
		const head = `data: {"id":"cmpl-1","object":"text_completion","created":T,"model":"m","choices":[{"index":0,"text":`
		const nulls = `,"token_ids":null,"logprobs":null,"context_logits":null,"finish_reason":`
		const rest = `,"stop_reason":null,"disaggregated_params":null,"avg_decoded_tokens_per_iter":null}],"usage":null}` + "\n\n"
		const shape = head + `"This"` + nulls + "null" + rest + head + `" is"` + nulls + `"length"` + rest + "data: [DONE]\n\n"
		if got := stable(w.Body.String()); w.Code != 200 || got != shape {
			t.Errorf("got %d %s\nwant %s", w.Code, got, shape)
		}
	})
}

// events parses a stream's data, without the end mark.
func events(t *testing.T, stream string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, event := range strings.Split(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data := strings.TrimPrefix(event, "data: ")
		if data == "[DONE]" {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatalf("parsing event %q: %v", event, err)
		}
		all = append(all, v)
	}
	return all
}

func TestStreamAndBodySayTheSame(t *testing.T) {
	for _, extra := range []string{`"max_tokens":40`, `"n":3`, `"stop":["not a","gate"]`, `"ignore_eos":true,"max_tokens":500`, `"seed":5,"max_tokens":77`} {
		bubble(t, func(t *testing.T) {
			e := start(t, trtsim.Config{})
			whole := parse(t, chat(e, `{"model":"m","messages":[{"role":"user","content":"Tell me"}],`+extra+`}`))
			stream := chat(e, `{"model":"m","messages":[{"role":"user","content":"Tell me"}],"stream":true,"stream_options":{"include_usage":true},`+extra+`}`).Body.String()
			if !strings.HasSuffix(stream, "data: [DONE]\n\n") {
				t.Fatalf("%s: got the end %q, want [DONE]", extra, stream[max(0, len(stream)-40):])
			}
			texts, ends, chunks, completion := map[float64]string{}, map[float64]any{}, 0, 0.0
			for _, event := range events(t, stream) {
				if u, there := event["usage"].(map[string]any); there {
					completion = u["completion_tokens"].(float64)
				}
				for _, c := range event["choices"].([]any) {
					choice := c.(map[string]any)
					at := choice["index"].(float64)
					if s, there := choice["delta"].(map[string]any)["content"].(string); there {
						texts[at] += s
						chunks++
					}
					if f, there := choice["finish_reason"]; there {
						ends[at] = f
					}
				}
			}
			for _, c := range whole.Choices {
				if got := texts[float64(c.Index)]; got != c.Message.Content {
					t.Errorf("%s: got the stream %q\nwant %q", extra, got, c.Message.Content)
				}
				if got := ends[float64(c.Index)]; got != c.FinishReason {
					t.Errorf("%s: got the end %v, want %v", extra, got, c.FinishReason)
				}
			}
			if chunks != whole.Usage.Completion || int(completion) != chunks {
				t.Errorf("%s: got %d chunks and %v tokens of usage, want %d of each", extra, chunks, completion, whole.Usage.Completion)
			}
		})
	}
}

func TestAnswersSayThatTheyAreSimulated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := parse(t, chat(start(t, trtsim.Config{}), `{"model":"m","messages":[{"role":"user","content":"Who are you?"}]}`))
		content := a.Choices[0].Message.Content
		if !strings.HasPrefix(content, trtsim.Disclaimer) {
			t.Errorf("got %q, want it to open with %q", content, trtsim.Disclaimer)
		}
		if a.Choices[0].FinishReason != "stop" || a.Choices[0].StopReason != nil {
			t.Errorf("got the end %s, want stop for an answer that ends by itself", a.Choices[0].FinishReason)
		}
	})
}

func TestGeneratedTextCountsAsItsTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for n := 1; n < 300; n += 23 {
			a := parse(t, complete(e, fmt.Sprintf(`{"model":"m","prompt":"%d","max_tokens":%d,"ignore_eos":true}`, n, n)))
			if got := trtsim.Count(a.Choices[0].Text); got != n || a.Usage.Completion != n {
				t.Errorf("got %d tokens of text and %d of usage, want %d", got, a.Usage.Completion, n)
			}
		}
	})
}

func TestTextDependsOnPromptAndSeedOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ask := func(seed uint64, prompt, extra string) string {
			e := start(t, trtsim.Config{Seed: seed})
			return parse(t, complete(e, `{"model":"m","prompt":"`+prompt+`","max_tokens":60`+extra+`}`)).Choices[0].Text
		}
		base := ask(1, "one", "")
		if ask(1, "one", "") != base {
			t.Error("got two texts for one prompt and seed")
		}
		if ask(2, "one", "") == base || ask(1, "two", "") == base || ask(1, "one", `,"seed":3`) == base {
			t.Error("got one text for different prompts or seeds")
		}
	})
}

func TestStopStringsEndTheTextBeforeThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for _, row := range []struct{ extra, text, reason string }{
			{`"stop":"from"`, "This is simulated text ", "from"},
			{`"stop":["zebra","ed te"]`, "This is simulat", "ed te"},
			{`"stop":["T"]`, "", "T"},
			{`"stop":["from"],"include_stop_str_in_output":true`, "This is simulated text from", "from"},
		} {
			a := parse(t, complete(e, `{"model":"m","prompt":"x",`+row.extra+`}`))
			c := a.Choices[0]
			if c.Text != row.text || c.FinishReason != "stop" || c.StopReason == nil || *c.StopReason != row.reason {
				t.Errorf("%s: got %q, %s, want %q, stopped by %q", row.extra, c.Text, c.FinishReason, row.text, row.reason)
			}
		}
		if a := parse(t, complete(e, `{"model":"m","prompt":"x","stop":"from","min_tokens":10,"max_tokens":12}`)); a.Usage.Completion < 10 {
			t.Errorf("got %d tokens, want at least min_tokens", a.Usage.Completion)
		}
	})
}

func TestListsOfPromptsFanOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		a := parse(t, complete(e, `{"model":"m","prompt":["one two",[1,2,3],"x"],"n":2,"max_tokens":5,"echo":true}`))
		if len(a.Choices) != 6 || a.Usage.Prompt != 3+3+2 || a.Usage.Completion != 30 {
			t.Fatalf("got %d choices, usage %+v, want 6, 8 and 30 tokens", len(a.Choices), a.Usage)
		}
		for i, c := range a.Choices {
			if c.Index != i {
				t.Errorf("got index %d at %d", c.Index, i)
			}
		}
		if !strings.HasPrefix(a.Choices[1].Text, "one two") || strings.HasPrefix(a.Choices[2].Text, "one") {
			t.Errorf("got the echoes %q, %q, want each prompt's own", a.Choices[1].Text, a.Choices[2].Text)
		}
	})
}

func TestMinTokensAndIgnoreEOSOutlastTheNaturalEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		natural := parse(t, complete(e, `{"model":"m","prompt":"x"}`)).Usage.Completion
		if natural < 100 || natural > 400 {
			t.Errorf("got a natural answer of %d tokens, want 100 to 400", natural)
		}
		if got := parse(t, complete(e, `{"model":"m","prompt":"x","min_tokens":600}`)).Usage.Completion; got != 600 {
			t.Errorf("got %d tokens, want min_tokens", got)
		}
		a := parse(t, complete(e, `{"model":"m","prompt":"x","ignore_eos":true}`))
		if a.Usage.Total != 8192 || a.Choices[0].FinishReason != "length" {
			t.Errorf("got %d tokens in all, %s, want the context's 8192, length", a.Usage.Total, a.Choices[0].FinishReason)
		}
	})
}

func TestContinuousUsageGrowsByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := chat(start(t, trtsim.Config{}), `{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":3,"stream":true,"stream_options":{"include_usage":false,"continuous_usage_stats":true}}`)
		var counts []float64
		for _, event := range events(t, w.Body.String()) {
			if u, there := event["usage"].(map[string]any); there {
				counts = append(counts, u["completion_tokens"].(float64))
			}
		}
		if fmt.Sprint(counts) != "[1 2 3]" {
			t.Errorf("got %v, want 1, 2, 3 and no usage chunk", counts)
		}
	})
}

func TestHeadersGoOutBeforeTheFirstToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{TokenTime: time.Second})
		w := newTimedWriter()
		began := time.Now()
		e.ServeHTTP(w, newRequest(t.Context(), `{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":3,"stream":true}`))
		if len(w.heads) != 1 || !w.heads[0].Equal(began) {
			t.Errorf("got the head at %v, want it at once", w.heads)
		}
		// role and first token in one write, then a write a token, then the end mark
		var at []time.Duration
		for _, x := range w.writes {
			at = append(at, x.Sub(began))
		}
		if fmt.Sprint(at) != "[1s 2s 3s 3s]" {
			t.Errorf("got writes at %v, want one a second", at)
		}
	})
}

func TestOtherRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{Model: "/srv/weights/My-8B"})
		want(t, call(e, "GET", "/health", ""), 200, "")
		want(t, call(e, "GET", "/health_generate", ""), 200, "Generation health check OK")
		want(t, call(e, "GET", "/version", ""), 200, `{"version":"1.3.0rc22+trtsim"}`)
		want(t, call(e, "GET", "/v1/models", ""), 200, `{"object":"list","data":[{"id":"My-8B","object":"model","created":946684801,"owned_by":"tensorrt_llm"}]}`)
		want(t, call(e, "GET", "/metrics", ""), 200, `[]`)
		want(t, call(e, "POST", "/kv_cache_events", ""), 200, `[]`)
		want(t, call(e, "GET", "/energy_metrics", ""), 503, `{"error":"Energy monitoring is not available"}`)
		wantContains(t, call(e, "POST", "/_internal/tokenize", `{"prompt":"one, two"}`), 200, `{"count":4,"tokens":[128000,`)
		wantContains(t, call(e, "GET", "/server_info", ""), 200, `"tokens_per_block":32`)
		wantContains(t, call(e, "GET", "/server_info", ""), 200, `"weight_population_seconds":`)
		for _, path := range []string{"/release_memory", "/resume_memory", "/nothing", "/sim/faults", "/v1/embeddings"} {
			want(t, call(e, "POST", path, "{}"), 404, `{"detail":"Not Found"}`)
		}
		want(t, call(e, "GET", "/memory_status", ""), 404, `{"detail":"Not Found"}`)
		w := call(e, "GET", "/v1/chat/completions", "")
		want(t, w, 405, `{"detail":"Method Not Allowed"}`)
		if w.Header().Get("Allow") != "POST" {
			t.Errorf("got Allow %q, want POST", w.Header().Get("Allow"))
		}
	})
}

func TestServerInfoTellsTheLoadTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := trtsim.New(trtsim.Config{Model: llama70B, Speed: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantContains(t, call(e, "GET", "/server_info", ""), 200, `"weight_population_seconds":2.822148`) // 141 GB at 5 GB/s, at speed 10
	})
}

func TestIterationStatsAreDrainedByReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{IterStats: true})
		complete(e, `{"model":"m","prompt":"x","max_tokens":3}`)
		w := call(e, "GET", "/metrics", "")
		var stats []struct {
			Iter    int
			Latency float64                                     `json:"iterLatencyMS"`
			KV      struct{ UsedNumBlocks, TokensPerBlock int } `json:"kvCacheStats"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &stats); err != nil || len(stats) != 3 {
			t.Fatalf("got %s, %v, want an array of 3 iterations", w.Body, err)
		}
		if stats[1].Iter != 2 || stats[1].Latency != 6.46 || stats[1].KV.UsedNumBlocks != 1 || stats[1].KV.TokensPerBlock != 32 {
			t.Errorf("got %+v, want the second iteration: 6.46 ms, one block of 32", stats[1])
		}
		want(t, call(e, "GET", "/metrics", ""), 200, `[]`)
	})
}
