package openai_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

var receipt = openai.Receipt{
	Start: "cold", Queue: 1500 * time.Microsecond, Activate: 90 * time.Second, TTFT: 12345678 * time.Nanosecond,
	Upstream: 2 * time.Second, Billed: 2 * time.Second, CostUSD: "0.018333333",
}

const receiptJSON = `{"start":"cold","queue_us":1500,"activate_us":90000000,"ttft_us":12345,"upstream_us":2000000,"billed_us":2000000,"cost_usd":"0.018333333"}`

func TestReceiptSaysWhatTheWakeTook(t *testing.T) {
	r := receipt
	r.Wake = 297*time.Millisecond + 999
	want := strings.Replace(receiptJSON, `,"upstream_us"`, `,"wake_us":297000,"upstream_us"`, 1)
	if got := string(openai.AppendReceipt(nil, &r)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// payload gives the JSON of the one event in raw, decoded.
func payload(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var s openai.Scanner
	events := scan(&s, string(raw))
	var v map[string]any
	if len(events) != 1 {
		t.Fatalf("got %d events of %q, want 1", len(events), raw)
	}
	if err := json.Unmarshal([]byte(events[0].Data), &v); err != nil {
		t.Fatalf("%s: %v", events[0].Data, err)
	}
	return v
}

func decoded(t *testing.T, s string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEmptyChunk(t *testing.T) {
	for endpoint, want := range map[string]string{
		"chat":        `{"id":"i","object":"chat.completion.chunk","created":7,"model":"a\"b","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}`,
		"completions": `{"id":"i","object":"text_completion","created":7,"model":"a\"b","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]}`,
	} {
		raw := openai.AppendEmptyChunk(nil, &openai.Head{ID: "i", Model: `a"b`, Endpoint: endpoint, Created: 7})
		if diff := cmp.Diff(decoded(t, want), payload(t, raw)); diff != "" {
			t.Error(endpoint, diff)
		}
	}
}

func TestUsageEventKeepsTheEnginesChunk(t *testing.T) {
	data := strings.TrimSuffix(strings.TrimPrefix(usageChunk, "data: "), "\n\n")
	want := decoded(t, data)
	want["pilotlight"] = decoded(t, receiptJSON)
	for _, data := range []string{data, " " + data + " \n", strings.Replace(data, `,"usage"`, ",\n\"usage\"", 1)} {
		if diff := cmp.Diff(want, payload(t, openai.AppendUsageEvent(nil, []byte(data), &receipt))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestUsageChunkOfOurOwn(t *testing.T) {
	raw := openai.AppendUsageChunk([]byte(nil), &openai.Head{ID: "i", Model: "m", Created: 7}, openai.Usage{PromptTokens: 2, CompletionTokens: 3, Known: true}, &receipt)
	want := decoded(t, `{"id":"i","object":"chat.completion.chunk","created":7,"model":"m","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5},"pilotlight":`+receiptJSON+`}`)
	if diff := cmp.Diff(want, payload(t, raw)); diff != "" {
		t.Error(diff)
	}
	var s openai.Scanner
	if got := scan(&s, string(raw)); got[0].Kind != openai.KindUsage {
		t.Errorf("got kind %v, want usage", got[0].Kind)
	}
}

func TestAppendWithID_ChangesNothingElse(t *testing.T) {
	for data, want := range map[string]string{
		`{"id":"chatcmpl-1","choices":[{"id":"x"}]}`:  `{"id":"chatcmpl-a\"b","choices":[{"id":"x"}]}`,
		`{ "object":"x", "id" : "y" , "choices":[] }`: `{ "object":"x", "id" : "chatcmpl-a\"b" , "choices":[] }`,
		"{\"id\":null,\n\"choices\":[\r\n]}":          `{"id":"chatcmpl-a\"b", "choices":[  ]}`,
		`{"choices":[{"id":"x"}]}`:                    `{"choices":[{"id":"x"}]}`,
		`{"choices":[`:                                `{"choices":[`,
		`[1]`:                                         `[1]`,
	} {
		if got := string(openai.AppendWithID([]byte("> "), []byte(data), `chatcmpl-a"b`)); got != "> "+want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
}
