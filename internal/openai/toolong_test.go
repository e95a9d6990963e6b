package openai_test

import (
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestContextExceeded(t *testing.T) {
	const (
		tensorrt = `{"object":"error","message":"The prompt length (9000) should not exceed max_seq_len (8192)","type":"BadRequestError","param":null,"code":400}`
		summed   = `{"object":"error","message":"The sum of prompt length (8000.0) and query length (0) max_tokens (500) should not exceed max_seq_len (8192)","type":"BadRequestError","param":null,"code":400}`
		newVLLM  = `{"error":{"message":"You passed 9000 input tokens and requested 1 output tokens.","type":"BadRequestError","param":"input_tokens","code":400}}`
		oldVLLM  = `{"object":"error","message":"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.","type":"BadRequestError","param":null,"code":400}`
		llama    = `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}`
		own      = `{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`
	)
	for _, tt := range []struct {
		name, kind string
		status     int
		body       string
		want       bool
	}{
		{"TensorRT-LLM's prompt", "trtllm", 400, tensorrt, true},
		{"with the answer", "trtllm", 400, summed, true},
		{"the simulator's", "sim", 400, tensorrt, true},
		{"vLLM's", "vllm", 400, newVLLM, true},
		{"vLLM's of old", "vllm", 400, oldVLLM, true},
		{"NIM's", "nim", 400, oldVLLM, true},
		{"llama.cpp's", "openai", 400, llama, true},
		{"OpenAI's", "openai", 400, own, true},
		{"OpenAI's of any kind", "vllm", 400, own, true},
		{"the words of another kind", "openai", 400, oldVLLM, false},
		{"another status", "trtllm", 500, tensorrt, false},
		{"words of the caller", "trtllm", 400, `{"object":"error","message":"Unknown part type: The prompt length (1)","type":"BadRequestError","param":null,"code":400}`, false},
		{"words in the validation's echo", "trtllm", 400, `{"error":"The prompt length (1)"}`, false},
		{"another parameter", "vllm", 400, `{"error":{"message":"n is too large","param":"n","code":400}}`, false},
		{"another refusal", "openai", 400, `{"error":{"code":400,"message":"x","type":"invalid_request_error"}}`, false},
		{"no JSON", "openai", 400, `exceed_context_size_error`, false},
		{"nothing", "vllm", 400, ``, false},
	} {
		if got := openai.ContextExceeded(tt.kind, tt.status, []byte(tt.body)); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
