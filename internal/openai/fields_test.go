package openai_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// refusal is what Refused gives, "" for nothing.
type refusal struct{ Name, Path string }

func refused(t *testing.T, endpoint, body, kind string, allow ...string) refusal {
	t.Helper()
	var f openai.Fields
	if err := openai.Inspect([]byte(body), endpoint, &f); err != nil {
		t.Fatal(err)
	}
	found := f.Refused(&openai.Engine{Kind: kind, Allow: allow})
	if found == nil {
		return refusal{}
	}
	return refusal{found.Name, found.Path}
}

func allKinds() []string { return []string{"trtllm", "sim", "vllm", "nim", "openai"} }

// What no engine may receive unless its model allows it, deep in a body too.
func TestRefused_ForEveryEngine(t *testing.T) {
	chat := func(parts string) string {
		return `{"model":"m","messages":[{"role":"user","content":"https://a.b"},{"role":"user","content":[{"type":"text","text":"https://a.b"},` + parts + `]}]}`
	}
	tests := []struct {
		name, body string
		want       refusal
	}{
		{name: "adapter", body: `{"model":"m","lora_request":{"path":"/x"}}`, want: refusal{"lora_request", "lora_request"}},
		{name: "escaped", body: `{"model":"m","lora\u005frequest":{}}`, want: refusal{"lora_request", `lora\u005frequest`}},
		{name: "the first of two", body: `{"priority":1,"model":"m","disaggregated_params":{}}`, want: refusal{"priority", "priority"}},
		{name: "llama.cpp's slots", body: `{"model":"m","id_slot":3}`, want: refusal{"id_slot", "id_slot"}},
		{name: "tensor", body: `{"model":"m","prompt_embeds":"AAAA"}`, want: refusal{"prompt_embeds", "prompt_embeds"}},
		{name: "hints to routers above the engine", body: `{"model":"m","messages":[],"nvext":{"backend_instance_id":7}}`, want: refusal{"nvext", "nvext"}},
		{name: "tokens of SGLang", body: `{"model":"m","input_ids":[1,2]}`, want: refusal{"input_ids", "input_ids"}},
		{name: "anything unheard of", body: `{"model":"m","frobnicate":0}`, want: refusal{"frobnicate", "frobnicate"}},
		{name: "case of a key", body: `{"model":"m","Model":"other"}`, want: refusal{"Model", "Model"}},
		{name: "null and false ask for nothing", body: `{"model":"m","lora_request":null,"return_context_logits":false,"frobnicate":null}`},
		{name: "not among a caller's own words", body: `{"model":"m","metadata":{"lora_request":{}},"logit_bias":{"lora":1}}`},
		{name: "OpenAI's", body: `{"model":"m","messages":[],"temperature":1,"n":1,"reasoning_effort":"low","response_format":{"type":"json_schema","json_schema":{"schema":{"server_url":1}}},"user":"u"}`},
		{name: "thinking", body: `{"model":"m","chat_template_kwargs":{"enable_thinking":false}}`},
		{name: "template", body: `{"model":"m","chat_template_kwargs":{"chat_template":"{{x}}"}}`, want: refusal{"chat_template", "chat_template_kwargs.chat_template"}},
		{name: "argument of the template's renderer", body: `{"model":"m","chat_template_kwargs":{"tokenizer_kwargs":{}}}`, want: refusal{"tokenizer_kwargs", "chat_template_kwargs.tokenizer_kwargs"}},
		{name: "stream options", body: `{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":{}}}`, want: refusal{"x", "stream_options.x"}},
		{name: "tools", body: `{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"server_url":{"type":"string"}}}}}]}`},
		{name: "a tool that the engine would call", body: `{"model":"m","tools":[{"type":"function","function":{}},{"type":"mcp","server_label":"x","server_url":"http://10.0.0.1"}]}`, want: refusal{"server_label", "tools[1].server_label"}},
		{name: "its address", body: `{"model":"m","tools":[{"type":"mcp","server_url":"http://10.0.0.1"}]}`, want: refusal{"server_url", "tools[0].server_url"}},
		{name: "member of a message", body: `{"model":"m","messages":[{"role":"user","content":"a","token_ids":[1]}]}`, want: refusal{"token_ids", "messages[0].token_ids"}},
		{name: "a message sent back", body: `{"model":"m","messages":[{"role":"assistant","content":null,"refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":[{"id":"a","type":"function","index":0,"function":{"name":"f","arguments":"{}"}}],"reasoning_content":"","reasoning":null}]}`},
		{name: "data image", body: chat(`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}`)},
		{name: "data image, escaped", body: chat(`{"type":"image_url","image_url":{"url":"\u0064ata\u003aimage\/png;base64,AAAA"}}`)},
		{name: "audio", body: chat(`{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}`)},
		{name: "file", body: chat(`{"type":"file","file":{"file_data":"data:x","filename":"a.pdf"}}`)},
		{name: "link in a text", body: chat(`{"type":"text","text":"image_url.url is https://a.b"}`)},
		{name: "no url", body: chat(`{"type":"image_url","image_url":{"url":null}}`)},
		{name: "name in the shared media cache", body: chat(`{"type":"image_url","image_url":{"url":"data:x"},"uuid":"theirs"}`), want: refusal{"uuid", "messages[1].content[1].uuid"}},
		{name: "the same, within", body: chat(`{"type":"image_url","image_url":{"url":"data:x","uuid":"theirs"}}`), want: refusal{"uuid", "messages[1].content[1].image_url.uuid"}},
		{name: "pickled image", body: chat(`{"type":"image_pil","image_pil":"AAAA"}`), want: refusal{"image_pil", "messages[1].content[1].image_pil"}},
		{name: "image tensor", body: chat(`{"type":"image_embeds","image_embeds":"AAAA"}`), want: refusal{"image_embeds", "messages[1].content[1].image_embeds"}},
		{name: "image", body: chat(`{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}`), want: refusal{"remote_media", "messages[1].content[1].image_url.url"}},
		{name: "video", body: chat(`{"type":"video_url","video_url":{"url":"https://a.b/c"}}`), want: refusal{"remote_media", "messages[1].content[1].video_url.url"}},
		{name: "audio url", body: chat(`{"type":"audio_url","audio_url":{"url":"ftp://a.b/c"}}`), want: refusal{"remote_media", "messages[1].content[1].audio_url.url"}},
		{name: "file of the engine", body: chat(`{"type":"image_url","image_url":{"url":"/etc/passwd"}}`), want: refusal{"remote_media", "messages[1].content[1].image_url.url"}},
		{name: "empty url", body: chat(`{"type":"image_url","image_url":{"url":""}}`), want: refusal{"remote_media", "messages[1].content[1].image_url.url"}},
		{name: "upper case scheme", body: chat(`{"type":"image_url","image_url":{"url":"DATA:x"}}`), want: refusal{"remote_media", "messages[1].content[1].image_url.url"}},
		{name: "space before the scheme", body: chat(`{"type":"image_url","image_url":{"url":" data:x"}}`), want: refusal{"remote_media", "messages[1].content[1].image_url.url"}},
		{name: "escaped link", body: chat(`{"type":"image_url","image_url":{"ur\u006c":"htt\u0070://a"}}`), want: refusal{"remote_media", `messages[1].content[1].image_url.ur\u006c`}},
		{name: "plain string", body: chat(`{"type":"image_url","image_url":"http://a"}`), want: refusal{"remote_media", "messages[1].content[1].image_url"}},
		{name: "list of links", body: chat(`{"type":"image_url","image_url":["data:x","http://a"]}`), want: refusal{"remote_media", "messages[1].content[1].image_url[1]"}},
		{name: "template style", body: chat(`{"type":"image","image":"http://a"}`), want: refusal{"remote_media", "messages[1].content[1].image"}},
		{name: "unknown name of a link", body: chat(`{"type":"pdf_url","pdf_url":"http://a"}`), want: refusal{"pdf_url", "messages[1].content[1].pdf_url"}},
		{name: "source", body: chat(`{"type":"image","source":{"type":"url","url":"http://a"}}`), want: refusal{"remote_media", "messages[1].content[1].source.url"}},
		{name: "result of a tool", body: chat(`{"type":"tool_result","tool_use_id":"x","content":[{"type":"image","source":{"type":"url","url":"http://a"}}]}`), want: refusal{"remote_media", "messages[1].content[1].content[0].source.url"}},
		{name: "content is an object", body: `{"model":"m","messages":[{"content":{"image_url":{"url":"http://a"}}}]}`, want: refusal{"remote_media", "messages[0].content.image_url.url"}},
		{name: "second content", body: `{"model":"m","messages":[{"content":"a","content":[{"image_url":{"url":"http://a"}}]}]}`, want: refusal{"remote_media", "messages[0].content[0].image_url.url"}},
		{name: "cited link", body: `{"model":"m","messages":[{"content":"a","annotations":[{"url_citation":{"url":"http://a"}}]}]}`},
		{name: "cited link in a part", body: chat(`{"type":"text","text":"a","annotations":[{"type":"url_citation","url":"http://a"}]}`)},
		{name: "the first of many", body: chat(`{"image_url":"http://a"},{"image_url":"http://b"}`), want: refusal{"remote_media", "messages[1].content[1].image_url"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, kind := range append(allKinds(), "a kind unheard of") {
				if got := refused(t, "chat", tt.body, kind); got != tt.want {
					t.Errorf("%s: got %v, want %v", kind, got, tt.want)
				}
			}
		})
	}
}

// What some engines document, and others do not.
func TestRefused_ByKind(t *testing.T) {
	for fields, takers := range map[string][]string{
		`"top_k":5,"min_p":0.1`:               allKinds(),
		`"metadata":{"a":"b"},"store":true`:   allKinds(), // dropped where it is not taken
		`"top_p_min":0.1`:                     {"trtllm", "sim"},
		`"prompt_token_ids":[1]`:              {"trtllm", "sim"},
		`"repetition_penalty":1.1`:            {"trtllm", "sim", "vllm", "nim"},
		`"stop_token_ids":[1]`:                {"trtllm", "sim", "vllm", "nim"},
		`"cache_salt":"x"`:                    {"trtllm", "sim", "vllm", "nim"},
		`"structured_outputs":{"choice":[1]}`: {"vllm", "nim"},
		`"guided_json":{}`:                    {"vllm", "nim"},
		`"grammar":"root ::= a"`:              {"openai"},
		`"repeat_penalty":1.1`:                {"openai"},
	} {
		name, _, _ := strings.Cut(fields[1:], `"`)
		for _, kind := range allKinds() {
			want := refusal{name, name}
			for _, taker := range takers {
				if taker == kind {
					want = refusal{}
				}
			}
			if got := refused(t, "chat", `{"model":"m",`+fields+`}`, kind); got != want {
				t.Errorf("%s to %s: got %v, want %v", fields, kind, got, want)
			}
		}
	}
}

func TestRefused_ForTensorRTInWords(t *testing.T) {
	for name, value := range map[string]string{
		"modalities": `["text","audio"]`, "audio": `{"voice":"ash"}`, "functions": `[{"name":"f"}]`, "function_call": `"auto"`, "web_search_options": `{}`,
	} {
		if got := refused(t, "chat", `{"model":"m","`+name+`":`+value+`}`, "trtllm"); got != (refusal{name, name}) {
			t.Errorf("got %v, want %s refused", got, name)
		}
	}
}

func TestRefused_ByEndpoint(t *testing.T) {
	for _, tt := range []struct{ endpoint, body, want string }{
		{"completions", `{"model":"m","prompt":"a","suffix":"b","echo":true,"logprobs":1,"best_of":1}`, ""},
		{"completions", `{"model":"m","messages":[]}`, "messages"},
		{"chat", `{"model":"m","prompt":"a"}`, "prompt"},
		{"embeddings", `{"model":"m","input":["a","b"],"dimensions":3,"encoding_format":"float","user":"u"}`, ""},
		{"embeddings", `{"model":"m","input":"a","temperature":1}`, "temperature"},
		{"responses", `{"model":"m","input":"a","store":false,"reasoning":{"effort":"low"},"text":{},"max_output_tokens":3,"stream":true}`, ""},
		{"responses", `{"model":"m","input":"a","previous_response_id":"resp_theirs"}`, "previous_response_id"},
		{"responses", `{"model":"m","input":"a","conversation":"conv_theirs"}`, "conversation"},
		{"responses", `{"model":"m","input":[{"content":[{"type":"input_image","image_url":"http://a"}]}]}`, "input[0].content[0].image_url"},
		{"responses", `{"model":"m","input":[{"content":[{"type":"input_file","file_url":"http://a"}]}]}`, "input[0].content[0].file_url"},
		{"responses", `{"model":"m","input":"a","tools":[{"type":"mcp","server_url":"http://a"}]}`, "tools[0].server_url"},
		{"messages", `{"model":"m","max_tokens":1,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"f","input":{"url":"http://a"}}]}],"tools":[{"name":"f","input_schema":{}}]}`, ""},
		{"messages", `{"model":"m","max_tokens":1,"messages":[],"mcp_servers":[{"type":"url","url":"http://a"}]}`, "mcp_servers"},
		{"messages", `{"model":"m","max_tokens":1,"messages":[],"container":"theirs"}`, "container"},
		{"messages", `{"model":"m","max_tokens":1,"system":[{"type":"image","source":{"url":"http://a"}}],"messages":[]}`, "system[0].source.url"},
	} {
		if got := refused(t, tt.endpoint, tt.body, "vllm"); got.Path != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.endpoint, tt.body, got.Path, tt.want)
		}
	}
}

func TestRefused_AllowListsLetThrough(t *testing.T) {
	const body = `{"model":"m","priority":1,"top_p_min":1,"messages":[{"content":[{"image_url":"http://a","uuid":"x"}]}]}`
	wants := []string{"priority", "top_p_min", "messages[0].content[0].image_url", "messages[0].content[0].uuid", ""}
	allow := []string{"priority", "top_p_min", "remote_media", "uuid"}
	for n, want := range wants {
		if got := refused(t, "chat", body, "vllm", allow[:n]...); got.Path != want {
			t.Errorf("allowing %v: got %q, want %q", allow[:n], got.Path, want)
		}
	}
}

// A body full of fields that nobody knows is refused before it is kept.
func TestInspect_BoundsWhatItFinds(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"model":"m"`)
	for i := range 1 << 16 {
		b.WriteString(`,"f` + strconv.Itoa(i) + `":null`)
	}
	b.WriteString("}")
	var f openai.Fields
	if err := openai.Inspect(b.Bytes(), "chat", &f); err == nil || !strings.Contains(err.Error(), "more than 64 fields") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// The fields of OpenAI's that say nothing to an engine.
var inert = []string{"metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store"}

func TestRewrite_DropsWhatIsInertForTheEngine(t *testing.T) {
	for _, tt := range []struct{ name, body, kind, allow, want string }{
		{name: "first", body: `{ "store":true, "model":"m"}`, want: `{ "model":"m"}`},
		{name: "what SDKs say of answers that are so anyway", body: `{"modalities": [ "text" ],"model":"m","verbosity":"low","prediction":{"type":"content","content":"x"},"parallel_tool_calls":true}`, want: `{"model":"m"}`},
		{name: "null of OpenAI's", body: `{"model":"m","prediction":null,"audio":null,"functions":null,"web_search_options":null}`, want: `{"model":"m"}`},
		{name: "behind a byte order mark", body: "\uFEFF{\"store\":true,\"model\":\"m\"}", want: `{"model":"m"}`},
		{name: "nothing but a byte order mark", body: "\uFEFF {\"model\":\"m\"}", want: ` {"model":"m"}`},
		{name: "last", body: `{"model":"m" , "store":true }`, want: `{"model":"m" }`},
		{name: "between", body: `{"model":"m", "store":true, "n":1}`, want: `{"model":"m", "n":1}`},
		{name: "all but the model", body: `{"store":true,"metadata":{"a":"}"},"model":"m","service_tier":"auto","safety_identifier":"x"}`, want: `{"model":"m"}`},
		{name: "the first and the last", body: `{"store":true,"model":"m","n":1,"metadata":null}`, want: `{"model":"m","n":1}`},
		{name: "null of what is not known", body: `{"x":null,"model":"m","y":false}`, want: `{"model":"m"}`},
		{name: "null of what others take", body: `{"model":"m","grammar":null}`, want: `{"model":"m"}`},
		{name: "the engine takes it", kind: "vllm", body: `{"store":true,"model":"m"}`, want: `{"store":true,"model":"m"}`},
		{name: "the model allows it", allow: "store", body: `{"store":true,"model":"m","metadata":{}}`, want: `{"store":true,"model":"m"}`},
		{
			name: "beside what is added", body: `{"store":true,"metadata":{},"model":"m","stream":true,"stream_options":null,"service_tier":"auto"}`,
			want: `{"cache_salt":"org","model":"m","stream":true,"stream_options":{"include_usage":true}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to, salt := &openai.Engine{Kind: "trtllm", Allow: []string{tt.allow}}, ""
			if tt.kind != "" {
				to.Kind = tt.kind
			}
			if strings.Contains(tt.want, "cache_salt") {
				salt = "org"
			}
			var f openai.Fields
			if err := openai.Inspect([]byte(tt.body), "chat", &f); err != nil {
				t.Fatal(err)
			}
			if found := f.Refused(to); found != nil {
				t.Errorf("got %s refused, want it dropped", found.Path)
			}
			if diff := cmp.Diff(tt.want, string(bytes.Join(f.Rewrite([]byte(tt.body), to, salt), nil))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRewrite_NoSaltWhereItIsNotTaken(t *testing.T) {
	for _, tt := range []struct{ endpoint, kind, want string }{
		{"chat", "vllm", `{"cache_salt":"org","model":"m"}`},
		{"chat", "openai", `{"model":"m"}`},
		{"embeddings", "trtllm", `{"model":"m"}`},
	} {
		body := []byte(`{"model":"m"}`)
		var f openai.Fields
		if err := openai.Inspect(body, tt.endpoint, &f); err != nil {
			t.Fatal(err)
		}
		if got := string(bytes.Join(f.Rewrite(body, &openai.Engine{Kind: tt.kind}, "org"), nil)); got != tt.want {
			t.Errorf("%s to %s: got %s, want %s", tt.endpoint, tt.kind, got, tt.want)
		}
	}
}
