package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestInspect(t *testing.T) {
	tests := []struct {
		name, body   string
		model        string
		stream, want bool // want: usage was asked for
	}{
		{name: "plain", body: `{"model":"m","messages":[]}`, model: "m"},
		{name: "spaces", body: " \r\n\t{ \"model\" : \"m\" , \"stream\" : true } \n", model: "m", stream: true},
		{name: "escaped key", body: `{"mod\u0065l":"m"}`, model: "m"},
		{name: "escaped model", body: `{"model":"a\/b\u00e9\ud83d\ude00"}`, model: "a/bé😀"},
		{name: "lone surrogate", body: `{"model":"a\ud83dx"}`, model: "a\uFFFDx"},
		{name: "case of the key", body: `{"model":"m","Model":"other"}`, model: "m"},
		{name: "model inside", body: `{"a":{"model":"other"},"model":"m"}`, model: "m"},
		{name: "stream null", body: `{"model":"m","stream":null,"stream_options":null}`, model: "m"},
		{name: "stream false", body: `{"model":"m","stream":false}`, model: "m"},
		{name: "usage wanted", body: `{"model":"m","stream_options":{"include_usage":true},"stream":true}`, model: "m", stream: true, want: true},
		{name: "usage not wanted", body: `{"model":"m","stream_options":{"a":1},"stream":true}`, model: "m", stream: true},
		{name: "usage null", body: `{"model":"m","stream_options":{"include_usage":null},"stream":true}`, model: "m", stream: true},
		{name: "long key", body: `{"model":"m","` + strings.Repeat("a", 1024) + `":1}`, model: "m"},
		{name: "deep", body: `{"model":"m","logit_bias":` + strings.Repeat("[", 199) + strings.Repeat("]", 199) + `}`, model: "m"},
	}
	var f openai.Fields // one for all: nothing may stay from the one before
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := openai.Inspect([]byte(tt.body), "chat", &f); err != nil {
				t.Fatalf("got %v, want none", err)
			}
			if f.Model != tt.model || f.Stream != tt.stream || f.IncludeUsage != tt.want {
				t.Errorf("got %q %v %v; want %q %v %v", f.Model, f.Stream, f.IncludeUsage, tt.model, tt.stream, tt.want)
			}
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	tests := []struct {
		name, body string
		param      string
		says       string // part of the message
	}{
		{name: "empty", body: ``, says: "unexpected end"},
		{name: "array", body: `[1]`, says: "object"},
		{name: "two byte order marks", body: "\uFEFF\uFEFF{}", says: "object"},
		{name: "no model", body: `{"stream":true}`, param: "model", says: "must provide"},
		{name: "nothing", body: `{}`, param: "model"},
		{name: "empty model", body: `{"model":""}`, param: "model"},
		{name: "long model", body: `{"model":"` + strings.Repeat("a", 513) + `"}`, param: "model"},
		{name: "model null", body: `{"model":null}`, param: "model", says: "a string"},
		{name: "model number", body: `{"model":1}`, param: "model", says: "a string"},
		{name: "stream string", body: `{"model":"m","stream":"true"}`, param: "stream", says: "true or false"},
		{name: "stream number", body: `{"model":"m","stream":1}`, param: "stream"},
		{name: "options array", body: `{"model":"m","stream":true,"stream_options":[]}`, param: "stream_options", says: "an object"},
		{name: "options without stream", body: `{"model":"m","stream_options":{}}`, param: "stream_options", says: "only allowed"},
		{name: "options with stream off", body: `{"stream":false,"model":"m","stream_options":{"include_usage":true}}`, param: "stream_options"},
		{name: "usage number", body: `{"model":"m","stream":true,"stream_options":{"include_usage":1}}`, param: "stream_options.include_usage"},
		{name: "salt number", body: `{"model":"m","cache_salt":1}`, param: "cache_salt"},

		{name: "model twice", body: `{"model":"m","model":"m"}`, param: "model", says: "more than once"},
		{name: "model twice, escaped", body: `{"model":"m","\u006dodel":"n"}`, param: "model", says: "more than once"},
		{name: "stream twice", body: `{"model":"m","stream":false,"stream":true}`, param: "stream", says: "more than once"},
		{name: "null stream twice", body: `{"model":"m","stream":null,"stream":true}`, param: "stream", says: "more than once"},
		{name: "options twice", body: `{"model":"m","stream":true,"stream_options":null,"stream_options":{}}`, param: "stream_options", says: "more than once"},
		{name: "usage twice", body: `{"model":"m","stream":true,"stream_options":{"include_usage":true,"include\u005fusage":false}}`, param: "stream_options.include_usage", says: "more than once"},
		{name: "max_tokens twice", body: `{"model":"m","max_tokens":1,"max_tokens":2}`, param: "max_tokens", says: "more than once"},
		{name: "messages twice", body: `{"model":"m","messages":[],"messages":[]}`, param: "messages", says: "more than once"},
		{name: "salt twice", body: `{"model":"m","cache_salt":"a","cache_salt":"b"}`, param: "cache_salt", says: "more than once"},

		{name: "not UTF-8", body: "{\"model\":\"m\xff\"}", says: "UTF-8"},
		{name: "surrogate in UTF-8", body: "{\"model\":\"m\xed\xa0\x80\"}", says: "UTF-8"},
		{name: "more after it", body: `{"model":"m"}{"model":"n"}`, says: "after the end"},
		{name: "NaN", body: `{"model":"m","a":NaN}`, says: "unexpected character at byte 17"},
		{name: "Infinity", body: `{"model":"m","a":-Infinity}`, says: "byte 18"},
		{name: "leading zero", body: `{"model":"m","a":007}`, says: "not valid JSON"},
		{name: "plus", body: `{"model":"m","a":+1}`, says: "not valid JSON"},
		{name: "no digit after the point", body: `{"model":"m","a":1.}`, says: "not valid JSON"},
		{name: "no exponent", body: `{"model":"m","a":1e}`, says: "not valid JSON"},
		{name: "control character", body: "{\"model\":\"m\",\"a\":\"\n\"}", says: "not valid JSON"},
		{name: "control character in a long text", body: "{\"model\":\"m\",\"a\":\"" + strings.Repeat("a", 20) + "\x1f" + strings.Repeat("a", 20) + "\"}", says: "byte 38"},
		{name: "bad escape", body: `{"model":"m","a":"\x"}`, says: "not valid JSON"},
		{name: "short escape", body: `{"model":"m","a":"\u12"}`, says: "not valid JSON"},
		{name: "comma at the end", body: `{"model":"m",}`, says: "not valid JSON"},
		{name: "comma at the end of an array", body: `{"model":"m","a":[1,]}`, says: "not valid JSON"},
		{name: "single quotes", body: `{'model':'m'}`, says: "not valid JSON"},
		{name: "comment", body: `{"model":"m"/**/}`, says: "not valid JSON"},
		{name: "cut", body: `{"model":"m","messages":[{"content":"a`, says: "unexpected end"},
		{name: "bad stream", body: `{"model":"m","stream":"x}`, says: "unexpected end"},
		{name: "long key", body: `{"model":"m","` + strings.Repeat("a", 1025) + `":1}`, says: "a key of more than 1024 bytes"},
		{name: "long escaped key", body: `{"model":"m","` + strings.Repeat(`\u0061`, 171) + `":1}`, says: "a key of more than 1024 bytes"},
		{name: "long key in messages", body: `{"model":"m","messages":[{"` + strings.Repeat("a", 1025) + `":1}]}`, says: "a key of more than 1024 bytes"},
		{name: "long key where nothing is looked for", body: `{"model":"m","metadata":{"` + strings.Repeat("a", 1025) + `":1}}`, says: "a key of more than 1024 bytes"},
		{name: "too deep", body: `{"model":"m","a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, says: "200 levels"},
		{name: "too deep in messages", body: `{"model":"m","messages":` + strings.Repeat(`[{"content":`, 100) + `1` + strings.Repeat("}]", 100) + `}`, says: "200 levels"},
		{name: "bottomless", body: `{"model":"m","a":` + strings.Repeat("[", 1<<20), says: "200 levels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f openai.Fields
			err := openai.Inspect([]byte(tt.body), "chat", &f)
			var refused *openai.RequestError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a RequestError", err)
			}
			if refused.Param != tt.param || !strings.Contains(refused.Message, tt.says) {
				t.Errorf("got %q of %q, want %q of %q", refused.Message, refused.Param, tt.says, tt.param)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	tests := []struct {
		name, body, endpoint, salt string
		want                       string
	}{
		{name: "no stream", body: `{"model":"m"}`, want: `{"model":"m"}`},
		{name: "no options", body: `{ "model":"m","stream":true}`, want: `{"stream_options":{"include_usage":true}, "model":"m","stream":true}`},
		{name: "null options", body: `{"stream_options": null ,"model":"m","stream":true}`, want: `{"stream_options": {"include_usage":true} ,"model":"m","stream":true}`},
		{name: "empty options", body: `{"model":"m","stream":true,"stream_options":{ }}`, want: `{"model":"m","stream":true,"stream_options":{"include_usage":true }}`},
		{name: "other options", body: `{"model":"m","stream":true,"stream_options":{"a":1}}`, want: `{"model":"m","stream":true,"stream_options":{"include_usage":true,"a":1}}`},
		{name: "refusing usage", body: `{"model":"m","stream":true,"stream_options":{"include_usage":false}}`, want: `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`},
		{name: "null usage", body: `{"model":"m","stream":true,"stream_options":{"include_usage":null,"a":1}}`, want: `{"model":"m","stream":true,"stream_options":{"include_usage":true,"a":1}}`},
		{name: "asking for usage", body: `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, want: `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`},
		{name: "completions", endpoint: "completions", body: `{"model":"m","stream":true}`, want: `{"stream_options":{"include_usage":true},"model":"m","stream":true}`},
		{name: "no usage of responses", endpoint: "responses", body: `{"model":"m","stream":true}`, want: `{"model":"m","stream":true}`},
		{name: "salt", salt: `a"b`, body: `{"model":"m"}`, want: `{"cache_salt":"a\"b","model":"m"}`},
		{name: "salt for null", salt: "org", body: `{"model":"m","cache_salt":null}`, want: `{"model":"m","cache_salt":"org"}`},
		{name: "salt before theirs", salt: "org", body: `{"model":"m","cache_salt":"x"}`, want: `{"model":"m","cache_salt":"org:x"}`},
		{name: "their salt alone", body: `{"model":"m","cache_salt":"x"}`, want: `{"model":"m","cache_salt":"x"}`},
		{
			name: "both", salt: "org", body: `{"cache_salt":"x","model":"m","stream":true,"stream_options":{"include_usage":false}}`,
			want: `{"cache_salt":"org:x","model":"m","stream":true,"stream_options":{"include_usage":true}}`,
		},
		{name: "both new", salt: "org", body: `{"model":"m","stream":true}`, want: `{"stream_options":{"include_usage":true},"cache_salt":"org","model":"m","stream":true}`},
	}
	var f openai.Fields
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte(tt.body)
			if tt.endpoint == "" {
				tt.endpoint = "chat"
			}
			if err := openai.Inspect(body, tt.endpoint, &f); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a second attempt sends the same
				if got := string(bytes.Join(f.Rewrite(body, &openai.Engine{Kind: "vllm"}, tt.salt), nil)); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
			if string(body) != tt.body {
				t.Errorf("got the body changed to %s", body)
			}
		})
	}
}

func TestInspectAllocatesNothing(t *testing.T) {
	body := chatBody(100 << 10)
	var f openai.Fields
	allocs := testing.AllocsPerRun(20, func() {
		if err := openai.Inspect(body, "chat", &f); err != nil {
			t.Fatal(err)
		}
		f.Rewrite(body, &openai.Engine{Kind: "vllm"}, "org")
	})
	if allocs > 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// Whatever a caller writes with escapes, what is decoded of it stays small, for Fields are kept for the next request.
func TestInspectDecodesLittle(t *testing.T) {
	escapes := strings.Repeat(`\u0061`, 1<<20)
	for name, body := range map[string]string{
		"key":           `{"model":"m","` + escapes + `":1}`,
		"inner key":     `{"model":"m","messages":[{"content":[{"` + escapes + `":1}]}]}`,
		"model":         `{"model":"` + escapes + `"}`,
		"stream option": `{"model":"m","stream":true,"stream_options":{"` + escapes + `":1}}`,
		"media":         `{"model":"m","messages":[{"content":[{"image_url":"` + escapes + `"}]}]}`,
	} {
		var f openai.Fields
		text := []byte(body)
		took := allocatedBytes(func() { _ = openai.Inspect(text, "chat", &f) })
		if took > 64<<10 {
			t.Errorf("%s: got %d bytes allocated, want little", name, took)
		}
	}
}

func allocatedBytes(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzInspect checks that we accept and read what encoding/json does, apart from what we refuse by design, and that what
// Rewrite gives is JSON that says the same but for what was asked.
func FuzzInspect(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","stream":true,"stream_options":{"include_usage":false},"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}]}`,
		`{"mod\u0065l":"a\ud83d\ude00","n":1.5e-7,"a":[true,false,null,-0,"\\\"\/"]}`,
		`{"store":true,"model":"m","x":null,"metadata":{},"top_k":1,"store2":false}`, `{"metadata":null , "store":false,"user":"u","model":"m" ,"service_tier":"auto"}`,
		`{"model":"m","cache_salt":"x","chat_template_kwargs":{"a":{}}}`, ` { } `, `{"model":1}`, "{\"model\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	var fields openai.Fields
	f.Fuzz(func(t *testing.T, body []byte) {
		err := openai.Inspect(body, "chat", &fields)
		if err == nil {
			checkAccepted(t, body, &fields)
			return
		}
		var refused *openai.RequestError
		if !errors.As(err, &refused) || !utf8.ValidString(refused.Message) {
			t.Fatalf("got %v", err)
		}
		if strings.Contains(refused.Message, "not valid JSON") && json.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
			t.Fatalf("refused %q: %v", body, err)
		}
	})
}

func checkAccepted(t *testing.T, body []byte, f *openai.Fields) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(body, &want); err != nil {
		t.Fatalf("accepted %q: %v", body, err)
	}
	var model string
	if err := json.Unmarshal(want["model"], &model); err != nil || model != f.Model {
		t.Fatalf("got model %q, want %q (%v)", f.Model, model, err)
	}
	var stream bool
	if len(want["stream"]) > 0 {
		if err := json.Unmarshal(want["stream"], &stream); err != nil || stream != f.Stream {
			t.Fatalf("got stream %v, want %v (%v)", f.Stream, stream, err)
		}
	}
	to := &openai.Engine{Kind: "trtllm"}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(bytes.Join(f.Rewrite(body, to, "org"), nil), &got); err != nil {
		t.Fatalf("rewrote %q to no JSON: %v", body, err)
	}
	var salt string
	if err := json.Unmarshal(got["cache_salt"], &salt); err != nil || salt != "org" && !strings.HasPrefix(salt, "org:") {
		t.Fatalf("got salt %q (%v)", salt, err)
	}
	var options map[string]any
	if stream {
		if err := json.Unmarshal(got["stream_options"], &options); err != nil || options["include_usage"] != true {
			t.Fatalf("got options %v (%v)", options, err)
		}
	}
	for _, m := range []map[string]json.RawMessage{want, got} {
		delete(m, "cache_salt")
		delete(m, "stream_options")
	}
	if f.Refused(to) != nil {
		return // it would not be sent
	}
	for name, value := range want {
		if _, kept := got[name]; !kept && (string(value) == "null" || string(value) == "false" || slices.Contains(inert, name)) {
			delete(want, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// chatBody is a chat of about n bytes, with an escape about each 20 bytes.
func chatBody(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"meta-llama/Meta-Llama-3-8B-Instruct","stream":true,"temperature":0.7,"messages":[`)
	for i := 0; b.Len() < n-20; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		text := strings.Repeat(`a few words and so\n`, min(40, max(1, (n-b.Len())/20)))
		b.WriteString(`{"role":"user","content":"` + text + `"}`)
	}
	b.WriteString(`],"max_tokens":100}`)
	return b.Bytes()
}

func BenchmarkInspect(b *testing.B) {
	image := []byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` +
		strings.Repeat("QUJD", 10<<18) + `"}}]}]}`)
	bodies := map[string][]byte{"image10MB": image}
	for _, n := range []int{1 << 10, 10 << 10, 100 << 10, 10 << 20} {
		bodies["chat"+strconv.Itoa(n>>10)+"KB"] = chatBody(n)
	}
	for name, body := range bodies {
		b.Run(name, func(b *testing.B) {
			var f openai.Fields
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := openai.Inspect(body, "chat", &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
