package openai_test

import (
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestInspect_LeastPromptIsCertain(t *testing.T) {
	long := strings.Repeat("simulate", 1<<16) // 512 KiB
	message := func(content string) string {
		return `{"model":"m","messages":[{"role":"user","content":` + content + `}]}`
	}
	for _, tt := range []struct {
		name, endpoint, body string
		want                 int
	}{
		{"short", "chat", message(`"hello"`), 0},
		{"text", "chat", message(`"` + long + `"`), 2048},
		{"part", "chat", message(`[{"type":"text","text":"` + long + `"},{"type":"text","text":"` + long + `"}]`), 4096},
		{"image", "chat", message(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + long + `"}}]`), 0},
		{"white space", "chat", message(`"` + strings.Repeat(` \n`, 1<<16) + `"`), 0},
		{"escapes", "chat", message(`"` + strings.Repeat(`\u0020`, 1<<16) + `"`), 0},
		{"tokens of a chat", "chat", `{"model":"m","messages":[],"prompt_token_ids":[1,2,3]}`, 3},
		{"prompt", "completions", `{"model":"m","prompt":"` + long + `"}`, 2048},
		{"prompts", "completions", `{"model":"m","prompt":["` + long + `","` + long + `"]}`, 2048},
		{"tokens", "completions", `{"model":"m","prompt":[1, 2 ,3,4]}`, 4},
		{"lists of tokens", "completions", `{"model":"m","prompt":[[1,2,3],[],[4]]}`, 3},
		{"truncated", "completions", `{"model":"m","prompt":[1,2,3],"truncate_prompt_tokens":2}`, 0},
		{"a schema", "chat", `{"model":"m","messages":[],"tools":[{"type":"function","function":{"description":"` + long + `"}}]}`, 0},
	} {
		var f openai.Fields
		if err := openai.Inspect([]byte(tt.body), tt.endpoint, &f); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if f.LeastPrompt != tt.want {
			t.Errorf("%s: got %d tokens at least, want %d", tt.name, f.LeastPrompt, tt.want)
		}
	}
}
