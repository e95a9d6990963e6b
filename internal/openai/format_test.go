package openai_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestRewrite_SaysASchemaAsOpenAIDoes(t *testing.T) {
	for format, rewritten := range map[string]bool{
		`{"type":"json_object", "value": {"type":"object"} }`:                         true,
		`{"value":{"type":"object"},"type":"json_object"}`:                            true,
		`{"type":"json_object"}`:                                                      false,
		`{"type":"json_object","value":"x"}`:                                          false,
		`{"type":"json_object","value":{},"value":{}}`:                                false,
		`{"type":"text","value":{"type":"object"}}`:                                   false,
		`{"type":"json_schema","json_schema":{"name":"x","schema":{}}}`:               false,
		`{"type":"json_object","json_schema":{"name":"x"},"value":{"type":"object"}}`: false,
		`null`: false,
		`{}`:   false,
	} {
		body := []byte(`{"model":"m","response_format":` + format + `,"n":1}`)
		var f openai.Fields
		if err := openai.Inspect(body, "chat", &f); err != nil {
			t.Fatal(err)
		}
		got := bytes.Join(f.Rewrite(body, &openai.Engine{Kind: "vllm"}, ""), nil)
		var sent struct {
			Format struct {
				Type   string `json:"type"`
				Schema struct {
					Schema struct {
						Type string `json:"type"`
					} `json:"schema"`
				} `json:"json_schema"`
			} `json:"response_format"`
		}
		if err := json.Unmarshal(got, &sent); err != nil {
			t.Fatalf("%s: got %s: %v", format, got, err)
		}
		if rewritten != (sent.Format.Type == "json_schema" && sent.Format.Schema.Schema.Type == "object") || rewritten == bytes.Equal(got, body) {
			t.Errorf("%s: got %s, want it rewritten: %v", format, got, rewritten)
		}
	}
}
