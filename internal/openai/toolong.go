package openai

import (
	"net/http"
	"strings"
)

// ContextExceeded reports whether an engine of a kind has refused a request because its prompt, or that with the answer asked for, does not
// fit into the model's context. Where the engine gives that a code, the code says it: OpenAI's own; llama.cpp's exceed_context_size_error; the
// parameter input_tokens of vLLM. TensorRT-LLM, and vLLM before it named parameters, have none: there the words say it with which the
// engine begins, before anything that it may repeat of the request (tensorrt_llm/llmapi/llm.py; vllm/renderers/params.py).
func ContextExceeded(kind string, status int, body []byte) bool {
	if status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
		return false
	}
	said := refusalOf(body)
	if said.code == CodeContextLength {
		return true
	}
	switch kindOf(kind) {
	case trtllm:
		return strings.HasPrefix(said.message, "The prompt length (") || strings.HasPrefix(said.message, "The sum of prompt length (")
	case vllm:
		return said.param == "input_tokens" || strings.HasPrefix(said.message, "This model's maximum context length is ")
	case llamacpp:
		return said.kind == "exceed_context_size_error"
	}
	return false
}

// refusalOf reads the fields of an error in OpenAI's shape, below error or at the top.
func refusalOf(body []byte) (said struct{ message, kind, param, code string }) {
	if a, _ := glance(body); a.fault != nil {
		body = a.fault
	}
	l := lexer{b: body}
	l.space()
	l.members(func(key, value []byte) {
		switch string(key) {
		case "message":
			said.message, _ = stringValue(value)
		case "type":
			said.kind, _ = stringValue(value)
		case "param":
			said.param, _ = stringValue(value)
		case "code":
			said.code, _ = stringValue(value)
		}
	})
	return said
}
