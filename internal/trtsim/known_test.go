package trtsim_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// OpenAI's fields of both endpoints, by its API reference.
var openAIFields = map[string]string{
	"chat": `audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities n
		parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort response_format safety_identifier
		seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options`,
	"completions": `best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop stream stream_options suffix
		temperature top_p user`,
}

// What is neither refused nor dropped for TensorRT-LLM is known to it: a caller then never hears of a field in the engine's words.
func TestFieldsThatAreNotRefusedAreKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for endpoint, names := range openAIFields {
			path, prompt := "/v1/chat/completions", `"messages":[{"role":"user","content":"x"}]`
			if endpoint == "completions" {
				path, prompt = "/v1/completions", `"prompt":"x"`
			}
			for _, name := range strings.Fields(names) {
				for _, value := range []string{`null`, `{}`, `[1]`, `"x"`, `true`} {
					body := []byte(`{"model":"m",` + prompt + `,"` + name + `":` + value + `}`)
					var f openai.Fields
					engine := &openai.Engine{Kind: "trtllm"}
					if openai.Inspect(body, endpoint, &f) != nil || f.Refused(engine) != nil {
						continue
					}
					w := call(e, "POST", path, string(bytes.Join(f.Rewrite(body, engine, ""), nil)))
					if strings.Contains(w.Body.String(), "extra_forbidden") {
						t.Errorf("%s: %s of %s reaches an engine that does not know it: %s", endpoint, name, value, w.Body)
					}
				}
			}
		}
	})
}
