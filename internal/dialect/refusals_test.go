package dialect_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// TestTranslate_RefusesByName has a row for each thing that cannot be had here: the field at fault, and a word that tells what would be right.
func TestTranslate_RefusesByName(t *testing.T) {
	for _, row := range []struct{ name, body, param, says string }{
		{"messages", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "max_tokens", "required"},
		{"messages", `{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"hi"}]}`, "max_tokens", "at least 1"},
		{"messages", `{"model":"m","max_tokens":1}`, "messages", "required"},
		{"messages", `{"model":"m","max_tokens":1,"messages":[]}`, "messages", "at least one"},
		{"messages", `{"model":"m","max_tokens":1,"messages":"hi"}`, "messages", "list"},
		{"messages", `{"model":"m","max_tokens":1,"messages":["hi"]}`, "messages[0]", "object"},
		{"messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}`, "messages[0].content", "required"},
		{"messages", `{"model":"m","max_tokens":1,"messages":[{"role":"tool","content":"x"}]}`, "messages[0].role", "user, assistant, system"},
		{"messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"a"}]}`, "messages", "assistant"},
		{"messages", messagesWith(`{"type":"video"}`), "messages[0].content[0].type", "text, image, document"},
		{"messages", messagesWith(`{"type":"text"}`), "messages[0].content[0].text", "required"},
		{"messages", messagesWith(`{"type":"text","text":7}`), "messages[0].content[0].text", "string"},
		{"messages", messagesWith(`{"type":"text","text":"x","lora":1}`), "messages[0].content[0].lora", "not supported"},
		{"messages", messagesWith(`{"type":"image","source":{"type":"file","file_id":"f"}}`), "messages[0].content[0].source.type", "base64, url"},
		{"messages", messagesWith(`{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":""}}`), "messages[0].content[0].source.media_type", "image/png"},
		{"messages", messagesWith(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":""}}`), "messages[0].content[0].source.type", "text, content"},
		{"messages", messagesWith(`{"type":"tool_result","content":"x"}`), "messages[0].content[0].tool_use_id", "required"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"container":"c"`), "container", "does not have it"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"mcp_servers":[{"url":"https://x"}]`), "mcp_servers", "MCP"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`), "tools[0].type", "custom"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"tools":[{"name":"x"}]`), "tools[0].input_schema", "required"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"tool_choice":{"type":"any"}`), "tool_choice", "no tools"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"stop_sequences":[""]`), "stop_sequences[0]", "not empty"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"temperature":"hot"`), "temperature", "number"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"lora_request":{"name":"x"}`), "lora_request", "not supported"},
		{"messages", messagesWith(`{"type":"text","text":"x"}`, `"thinking":{"type":"loud"}`), "thinking.type", "enabled"},

		{"responses", `{"model":"m"}`, "input", "required"},
		{"responses", `{"model":"m","input":""}`, "input", "empty"},
		{"responses", `{"model":"m","input":7}`, "input", "list"},
		{"responses", responsesWith(`"store":true`), "store", "false"},
		{"responses", responsesWith(`"previous_response_id":"resp_1"`), "previous_response_id", "whole conversation"},
		{"responses", responsesWith(`"conversation":"conv_1"`), "conversation", "whole conversation"},
		{"responses", responsesWith(`"background":true`), "background", "foreground"},
		{"responses", responsesWith(`"prompt":{"id":"p"}`), "prompt", "text"},
		{"responses", responsesWith(`"truncation":"auto"`), "truncation", "disabled"},
		{"responses", responsesWith(`"top_logprobs":3`), "top_logprobs", "leave it out"},
		{"responses", responsesWith(`"include":["message.output_text.logprobs"]`), "include[0]", "not supported"},
		{"responses", responsesWith(`"tools":[{"type":"web_search"}]`), "tools[0].type", "function"},
		{"responses", responsesWith(`"tools":[{"type":"mcp","server_url":"https://x"}]`), "tools[0].type", "function"},
		{"responses", responsesWith(`"tools":[{"type":"function","name":"x","parameters":{},"server_url":"https://x"}]`), "tools[0].server_url", "not supported"},
		{"responses", responsesWith(`"tool_choice":{"type":"function","name":"x"}`), "tool_choice.name", "no tool"},
		{"responses", responsesWith(`"text":{"format":{"type":"grammar"}}`), "text.format.type", "json_schema"},
		{"responses", responsesWith(`"max_output_tokens":1.5`), "max_output_tokens", "whole number"},
		{"responses", responsesWith(`"uuid":1`, `"nvext":{}`), "nvext", "not supported"},
		{"responses", `{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}`, "input[0].type", "send the item itself"},
		{"responses", `{"model":"m","input":[{"type":"computer_call"}]}`, "input[0].type", "function_call"},
		{"responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_url":"https://x"}]}]}`, "input[0].content[0].type", "input_image"},
		{"responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`, "input[0].content[0].file_id", "data: URL"},
	} {
		_, _, err := translate(row.name, []byte(row.body))
		var wrong *openai.RequestError
		if !errors.As(err, &wrong) || wrong.Param != row.param || !strings.Contains(wrong.Message, row.says) || !strings.Contains(wrong.Message, row.param) {
			t.Errorf("%s: got %v, want an error at %s that says %q", row.body, err, row.param, row.says)
		}
	}
}

func messagesWith(block string, members ...string) string {
	return `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[` + block + `]}]` + joined(members) + `}`
}

func responsesWith(members ...string) string {
	return `{"model":"m","input":"hi"` + joined(members) + `}`
}

func joined(members []string) string {
	var b strings.Builder
	for _, m := range members {
		b.WriteString("," + m)
	}
	return b.String()
}

// TestTranslate_TakesWhatHasNoEffect keeps what stock clients send without meaning much by it from being refused.
func TestTranslate_TakesWhatHasNoEffect(t *testing.T) {
	for _, row := range []struct{ name, body string }{
		{"messages", messagesWith(`{"type":"text","text":"x","citations":null}`, `"metadata":{"user_id":"u"}`, `"service_tier":"auto"`, `"container":null`, `"mcp_servers":[]`, `"tools":[]`)},
		{"responses", responsesWith(`"store":false`, `"background":false`, `"previous_response_id":null`, `"user":"u"`, `"prompt_cache_key":"k"`, `"safety_identifier":"s"`,
			`"service_tier":"auto"`, `"truncation":"disabled"`, `"stream":true`, `"stream_options":{"include_obfuscation":false}`, `"tools":[]`, `"tool_choice":"auto"`, `"max_tool_calls":3`)},
	} {
		if _, _, err := translate(row.name, []byte(row.body)); err != nil {
			t.Errorf("%s: got %v, want none", row.body, err)
		}
	}
}

// TestStream_RefusesWhatIsNoChat: an engine that answers with something else must not look like one that has nothing to say.
func TestStream_RefusesWhatIsNoChat(t *testing.T) {
	req, _, err := translate("messages", []byte(messagesWith(`{"type":"text","text":"x"}`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []string{``, `[]`, `{"choices":7}`, `{"choices":[{"delta":{"content":7}}]}`, `{"choices":[{"delta":{"content":"x"}}`} {
		if b, err := req.Stream(&head).AppendChunk(nil, []byte(chunk)); err == nil {
			t.Errorf("%s: got %q, want an error", chunk, b)
		}
	}
	for _, answer := range []string{`null`, `{}`, `{"choices":[]}`, `{"choices":[{"message":{"tool_calls":[{"function":{"name":"x","arguments":"[1]"}}]}}]}`} {
		if b, err := req.AppendAnswer(nil, []byte(answer), &head); err == nil {
			t.Errorf("%s: got %q, want an error", answer, b)
		}
	}
	s := req.Stream(&head)
	for i, chunk := range []string{
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"a","arguments":"{"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"name":"b","arguments":"{"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}}]}`,
	} {
		if _, err := s.AppendChunk(nil, []byte(chunk)); (err != nil) != (i == 2) {
			t.Errorf("chunk %d: got error %v, want one for the part of a call that comes after another has begun", i, err)
		}
	}
}

func TestTranslate_BoundsWhatItReadsAndRepeats(t *testing.T) {
	many := strings.Repeat(`{"role":"user","content":"a"},`, 100_001)
	_, _, err := translate("messages", []byte(`{"model":"m","max_tokens":1,"messages":[`+strings.TrimSuffix(many, ",")+`]}`))
	var wrong *openai.RequestError
	if !errors.As(err, &wrong) || wrong.Param != "messages" {
		t.Errorf("got %v, want too many messages refused", err)
	}
	req, _, err := translate("responses", []byte(responsesWith(`"metadata":{"a":"`+strings.Repeat("b", 1<<20)+`"}`)))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := req.AppendAnswer(nil, []byte(`{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}`), &head)
	if err != nil || len(answer) > 10<<10 {
		t.Errorf("got an answer of %d bytes and error %v, want what is long not repeated", len(answer), err)
	}
}

func TestTranslate_SkipsAByteOrderMark(t *testing.T) {
	if _, _, err := translate("responses", []byte("\xEF\xBB\xBF"+responsesWith())); err != nil {
		t.Errorf("got %v, want none", err)
	}
}
