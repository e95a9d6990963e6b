package openai_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestReadFault_SaysWhatIsWrongInWords(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       openai.Fault
	}{
		{
			"one field", `{"error":"1 validation error:\n  {'type': 'int_type', 'loc': ('body', 'max_tokens'), 'msg': 'Input should be a valid integer', 'input': 'ten'}\n"}`,
			openai.Fault{Status: 400, Message: "max_tokens: Input should be a valid integer", Param: "max_tokens", Bare: true},
		},
		{
			"two fields, deep, in other quotes", `{"error":"2 validation errors:\n  {'type': 'x', 'loc': ('body', 'messages', 0, 'list[str]', 'role'), 'msg': \"It's wrong\", 'input': {}}\n  {'type': 'y', 'loc': ('body', 'n'), 'msg': 'Too many', 'input': 3}\n"}`,
			openai.Fault{Status: 400, Message: "messages[0]: It's wrong; n: Too many", Param: "messages[0]", Bare: true},
		},
		{
			"the body", `{"error":"1 validation error:\n  {'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, no', 'input': 1}\n"}`,
			openai.Fault{Status: 400, Message: "Value error, no", Bare: true},
		},
		{
			"words of another kind", `{"error":"1 validation error for ChatCompletionRequest: top_p: less than 1"}`,
			openai.Fault{Status: 400, Message: "1 validation error for ChatCompletionRequest: top_p: less than 1", Bare: true},
		},
		{
			"a complaint that a caller has written", `{"error":"1 validation error:\n  {'type': 'a', 'loc': ('body', 'n'), 'msg': 'No', 'input': \"{'type': 'b', 'loc': ('body', 'model'), 'msg': 'Yes'}\"}\n"}`,
			openai.Fault{Status: 400, Message: "n: No", Param: "n", Bare: true},
		},
		{
			"OpenAI's", `{"error":{"message":"n is too large","type":"BadRequestError","param":"n","code":400}}`,
			openai.Fault{Status: 400, Message: "n is too large", Param: "n"},
		},
		{
			"without a field", `{"object":"error","message":"n is too large","type":"BadRequestError","param":null,"code":400}`,
			openai.Fault{Status: 400, Message: "n is too large"},
		},
	} {
		if diff := cmp.Diff(tt.want, openai.ReadFault(400, []byte(tt.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
