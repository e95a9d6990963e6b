package openai_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestErrorShape(t *testing.T) {
	param := "messages[0].content"
	e := openai.NewError(openai.CodeQueueFull, "say \"when\"\n")
	e.Param = &param
	want := `{"error":{"message":"say \"when\"\n","type":"rate_limit_error","param":"messages[0].content","code":"queue_full"}}`
	if got := string(e.JSON()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e.Param = nil
	want = `data: {"error":{"message":"say \"when\"\n","type":"rate_limit_error","param":null,"code":"queue_full"}}` + "\n\n"
	if got := string(e.Event()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var s openai.Scanner
	if got := scan(&s, want); len(got) != 1 || got[0].Kind != openai.KindError {
		t.Errorf("got %v from our own scanner, want an error", got)
	}
}

func TestCodesHaveTheirStatusAndType(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		kind   string
	}{
		"invalid_request": {400, "invalid_request_error"}, "invalid_api_key": {401, "authentication_error"},
		"permission_denied": {403, "permission_error"}, "model_not_found": {404, "invalid_request_error"},
		"method_not_allowed": {405, "invalid_request_error"}, "request_timeout": {408, "invalid_request_error"},
		"request_too_large": {413, "invalid_request_error"}, "unsupported_encoding": {415, "invalid_request_error"},
		"rate_limit_exceeded": {429, "rate_limit_error"}, "budget_exceeded": {429, "insufficient_quota"},
		"headers_too_large": {431, "invalid_request_error"}, "engine_error": {502, "server_error"},
		"no_capacity": {503, "server_error"}, "not_hot": {503, "server_error"}, "upstream_timeout": {504, "server_error"},
		"http_version": {505, "invalid_request_error"}, "what_is_this": {500, "server_error"},
	} {
		e := openai.NewError(code, "m")
		if e.Status != want.status || e.Type != want.kind || e.Code != code {
			t.Errorf("%s: got %d %s %s, want %d %s", code, e.Status, e.Type, e.Code, want.status, want.kind)
		}
	}
}

func TestEngineError(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		want       string
	}{
		{name: "text", status: 400, body: `{"error":"1 validation error:\n  max_tokens: Input should be a valid integer"}`, want: "1 validation error: max_tokens: Input should be a valid integer"},
		{name: "object", status: 400, body: `{"object":"error","message":"The prompt length (9000) should not exceed max_num_tokens (8192)","type":"BadRequestError","param":null,"code":400}`, want: "The prompt length (9000) should not exceed max_num_tokens (8192)"},
		{name: "detail", status: 404, body: `{"detail":"Not Found"}`, want: "Not Found"},
		{name: "detail list", status: 422, body: `{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}},{"msg":"Second"},3]}`, want: "Field required; Second"},
		{name: "OpenAI", status: 500, body: `{"error":{"message":"too long","type":"x","param":null,"code":null}}`, want: "too long"},
		{name: "plain text", status: 503, body: "LLM is unavailable. Please check the server logs for more details.\n", want: "LLM is unavailable. Please check the server logs for more details."},
		{name: "null", status: 500, body: `null`, want: "The engine answered: Internal Server Error."},
		{name: "nothing", status: 502, body: ``, want: "The engine answered: Bad Gateway."},
		{name: "unknown status", status: 599, body: ``, want: "The engine answered with an error."},
		{name: "page", status: 502, body: `<html><body>nginx</body></html>`, want: "The engine answered: Bad Gateway."},
		{name: "other JSON", status: 500, body: `{"status":"bad"}`, want: "The engine answered: Internal Server Error."},
		{name: "escapes", status: 400, body: `{"error":"caf\u00e9 \u001b[31mred"}`, want: "café [31mred"},
		{name: "pydantic", status: 400, body: `{"error":"1 validation error for ChatCompletionRequest\nmessages\n  Field required [type=missing]\n    For further information visit https://errors.pydantic.dev/2.11/v/missing"}`, want: "1 validation error for ChatCompletionRequest messages Field required [type=missing]"},
		{name: "the salt that is ours", status: 400, body: `{"error":"1 validation error: {'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {'cache_salt': '3e7e637d', 'model': 'm'}}"}`, want: "1 validation error: {'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {'model': 'm'}}"},

		{name: "URL", status: 400, body: `{"error":"cannot fetch http://10.0.0.1:9000/x?y=z now"}`, want: "cannot fetch [hidden] now"},
		{name: "IPv4", status: 400, body: `{"error":"connect to 10.1.2.3:8000 failed"}`, want: "connect to [hidden] failed"},
		{name: "IPv6", status: 400, body: `{"error":"connect to [fe80::1%eth0]:8000 and 2001:db8:0:1:2:3:4:5 failed"}`, want: "connect to [hidden] and [hidden] failed"},
		{name: "loopback", status: 400, body: `{"error":"::1 and localhost:8000"}`, want: "[hidden] and [hidden]"},
		{name: "host", status: 400, body: `{"error":"gpu-3.internal:8000 or node7:8000 is down"}`, want: "[hidden] or [hidden] is down"},
		{name: "path", status: 400, body: `{"error":"No such file: '/srv/weights/llama/config.json'"}`, want: "No such file: '[hidden]'"},
		{name: "relative paths", status: 400, body: `{"error":"in ../a/b and ~/c and ./d"}`, want: "in [hidden] and [hidden] and [hidden]"},
		{name: "source", status: 400, body: `{"error":"assertion failed (tensorrt_llm/serve/openai_server.py:123)"}`, want: "assertion failed ([hidden])"},
		{name: "windows", status: 400, body: `{"error":"C:\\models\\x and \\\\host\\share\\y"}`, want: "[hidden] and [hidden]"},
		{name: "memory address", status: 400, body: `{"error":"<Request object at 0x7f3a2b>"}`, want: "<Request object at [hidden]>"},
		{name: "Python stack", status: 500, body: `{"error":"boom\nTraceback (most recent call last):\n  File \"/app/x.py\", line 3, in f\n    raise E"}`, want: "boom"},
		{name: "only a stack", status: 500, body: "Traceback (most recent call last):\n  File \"x\", line 1", want: "The engine answered: Internal Server Error."},
		{name: "frames", status: 500, body: `{"error":"[TensorRT-LLM][ERROR] Assertion failed: bad (/src/cpp/runtime.cpp:99)\n1       0x7f11 tensorrt_llm::common::throwRuntimeError(char const*) + 82\n2       0x7f12 main"}`, want: "[TensorRT-LLM][ERROR] Assertion failed: bad ([hidden])"},

		{name: "model and the like stay", status: 400, body: `{"error":"meta-llama/Meta-Llama-3-8B and/or text/plain, at 12:30, std::vector, 3.5.1, top_p: 0.5"}`, want: "meta-llama/Meta-Llama-3-8B and/or text/plain, at 12:30, std::vector, 3.5.1, top_p: 0.5"},
		{name: "long", status: 400, body: `{"error":"` + strings.Repeat("é", 400) + `"}`, want: strings.Repeat("é", 400)},
		{name: "too long", status: 400, body: `{"error":"` + strings.Repeat("é", 8<<10) + `"}`, want: strings.Repeat("é", 4094) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := openai.EngineError(tt.status, []byte(tt.body)); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestReadFault(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		body    string
		want    int
		callers bool
		bare    bool
	}{
		{"trtllm-serve's schema", 400, `{"error":"1 validation error for ChatCompletionRequest"}`, 400, true, true},
		{"trtllm-serve's exceptions", 400, `{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}`, 400, true, false},
		{"vLLM", 400, `{"error":{"message":"m","type":"BadRequestError","param":null,"code":400}}`, 400, true, false},
		{"vLLM's engine", 500, `{"error":{"message":"m","type":"InternalServerError","param":null,"code":500}}`, 500, false, false},
		{"llama-server", 400, `{"error":{"code":400,"message":"m","type":"invalid_request_error"}}`, 400, true, false},
		{"llama-server while it loads", 503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, 503, false, false},
		{"a code in a 200", 200, `{"error":{"message":"m","code":400}}`, 400, true, false},
		{"a code that is a text", 200, `{"error":{"message":"m","code":"422"}}`, 422, true, false},
		{"a type in a 200", 200, `{"error":{"message":"m","type":"invalid_request_error","code":null}}`, 400, true, false},
		{"nothing in a 200", 200, `{"error":{"message":"m"}}`, 500, false, false},
		{"the engine's fault in a 400", 400, `{"error":{"message":"m","type":"InternalServerError"}}`, 500, false, false},
		{"words of callers", 400, `{"error":{"message":"{'type': 'cuda'} InternalServerError code: 500 executor shutdown","type":"BadRequestError","code":400}}`, 400, true, false},
		{"a page", 502, `<html>bad gateway</html>`, 502, false, false},
		{"text", 400, `type: InternalServerError`, 400, true, false},
		{"FastAPI", 422, `{"detail":[{"msg":"Field required","type":"missing","input":{"code":500}}]}`, 422, true, false},
		{"too many", 429, `{"detail":"busy"}`, 429, false, false},
	} {
		if f := openai.ReadFault(tt.status, []byte(tt.body)); f.Status != tt.want || f.Callers() != tt.callers || f.Bare != tt.bare || f.Message == "" {
			t.Errorf("%s: got %+v, callers %v; want %d, %v", tt.name, f, f.Callers(), tt.want, tt.callers)
		}
	}
}

// FuzzEngineError plants secrets in messages and looks for them in what would be shown.
func FuzzEngineError(f *testing.F) {
	f.Add("loading %s failed", "", uint8(0))
	f.Add(`{"error":"%s"}`, "'", uint8(3))
	f.Add("a\nb %s", "(", uint8(5))
	secrets := []string{
		"http://engine.internal/v1", "10.20.30.40", "10.20.30.40:8000", "fe80::dead:beef", "2001:db8:1:2:3:4:5:6",
		"/srv/weights/secret", "~/secret/file", "0xdeadbeef", "gpu-17.cluster.local:8000", "localhost:8000", "openai_server.py:77",
	}
	tell := regexp.MustCompile(`10\.20\.30\.40|dead|2001:db8|secret|gpu-17|localhost|openai_server|engine\.internal`)
	f.Fuzz(func(t *testing.T, message, before string, which uint8) {
		if tell.MatchString(message+before) || strings.Count(message, "%s") != 1 {
			return
		}
		secret := secrets[int(which)%len(secrets)]
		at := strings.Index(message, "%s")
		text := message[:at] + " " + secret + " " + message[at+2:]
		body, err := json.Marshal(map[string]string{"error": text})
		if err != nil {
			return
		}
		got := openai.EngineError(400, body)
		if tell.MatchString(got) || len(got) > 8<<10 || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x1b") {
			t.Fatalf("%q shows as %q", text, got)
		}
		openai.EngineError(500, []byte(message)) // must not panic
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\r\t\x00\x1f\u2028\u2029é😀\xff\x7f</script>")
	f.Fuzz(func(t *testing.T, s string) {
		raw := openai.AppendString([]byte("x"), s)
		var got string
		if err := json.Unmarshal(raw[1:], &got); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestModelList(t *testing.T) {
	list := openai.NewModelList([]openai.Model{{
		ID: "a/b", Object: "model", Created: 7, OwnedBy: "pilotlight",
		Pilotlight: &openai.ModelInfo{GPUs: 4, State: "cold", PriceUSDPerSecond: "0.009166667", ContextLength: 8192},
	}})
	got, err := json.Marshal(list)
	want := `{"object":"list","data":[{"id":"a/b","object":"model","created":7,"owned_by":"pilotlight","pilotlight":{"gpus":4,"state":"cold","price_usd_per_second":"0.009166667","context_length":8192}}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if got, _ := json.Marshal(openai.NewModelList(nil)); string(got) != `{"object":"list","data":[]}` {
		t.Errorf("got %s of no models", got)
	}
}
