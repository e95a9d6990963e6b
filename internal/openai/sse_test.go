package openai_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const (
	roleChunk  = `data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant"}}]} ` + "\n\n"
	tokenChunk = `data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hel","reasoning_content":""}}]}` + "\n\n"
	usageChunk = `data: {"id":"chatcmpl-17","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":12,"total_tokens":15,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":9}}}` + "\n\n"
)

var doneEvent = string(openai.Done)

// event is an Event that outlives the next Feed.
type event struct {
	Kind      openai.Kind
	Raw, Data string
}

// scan feeds the pieces one by one, each in memory of its own that is spoilt afterwards.
func scan(s *openai.Scanner, pieces ...string) (events []event) {
	take := func() {
		for s.Next() {
			ev := s.Event()
			events = append(events, event{ev.Kind, string(ev.Raw), string(ev.Data)})
		}
	}
	for _, piece := range pieces {
		p := []byte(piece)
		s.Feed(p)
		take()
		for i := range p {
			p[i] = '!'
		}
	}
	s.End()
	take()
	return events
}

func TestScannerFindsEvents(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []event
	}{
		{name: "newlines", stream: "data: a\n\ndata: b\n\n", want: []event{{openai.KindChunk, "data: a\n\n", "a"}, {openai.KindChunk, "data: b\n\n", "b"}}},
		{name: "CRLF", stream: "data: a\r\n\r\ndata: b\r\n\r\n", want: []event{{openai.KindChunk, "data: a\r\n\r\n", "a"}, {openai.KindChunk, "data: b\r\n\r\n", "b"}}},
		{name: "CR", stream: "data: a\r\rdata: b\r\r", want: []event{{openai.KindChunk, "data: a\r\r", "a"}, {openai.KindChunk, "data: b\r\r", "b"}}},
		{name: "mixed", stream: "data: a\r\n\ndata: b\n\r\n", want: []event{{openai.KindChunk, "data: a\r\n\n", "a"}, {openai.KindChunk, "data: b\n\r\n", "b"}}},
		{name: "data of two lines", stream: "data: a\ndata:b\n\n", want: []event{{openai.KindChunk, "data: a\ndata:b\n\n", "a\nb"}}},
		{name: "data of three lines, CRLF", stream: "data: a\r\ndata\r\ndata:  c\r\n\r\n", want: []event{{openai.KindChunk, "data: a\r\ndata\r\ndata:  c\r\n\r\n", "a\n\n c"}}},
		{name: "comment", stream: ": ping\n\ndata: a\n\n", want: []event{{openai.KindComment, ": ping\n\n", ""}, {openai.KindChunk, "data: a\n\n", "a"}}},
		{name: "comment in an event", stream: ": ping\nid: 1\nretry: 5\ndata: a\n\n", want: []event{{openai.KindChunk, ": ping\nid: 1\nretry: 5\ndata: a\n\n", "a"}}},
		{name: "blank lines", stream: "\n\ndata: a\n\n", want: []event{{openai.KindComment, "\n", ""}, {openai.KindComment, "\n", ""}, {openai.KindChunk, "data: a\n\n", "a"}}},
		{name: "byte order mark", stream: "\uFEFFdata: a\n\n", want: []event{{openai.KindChunk, "data: a\n\n", "a"}}},
		{name: "mark before a blank line", stream: "\uFEFF\n\uFEFFdata: a\n\n", want: []event{{openai.KindComment, "\n", ""}, {openai.KindComment, "\uFEFFdata: a\n\n", ""}}},
		{name: "no event is whole", stream: "data: a\n"},
		{name: "cut in the last event", stream: "data: a\n\ndata: {\"b", want: []event{{openai.KindChunk, "data: a\n\n", "a"}}},
		{name: "another field", stream: "database: a\n\n", want: []event{{openai.KindComment, "database: a\n\n", ""}}},
	}
	for _, tt := range tests {
		for _, size := range []int{1, 2, 3, 1000} {
			var pieces []string
			for rest := tt.stream; rest != ""; rest = rest[min(size, len(rest)):] {
				pieces = append(pieces, rest[:min(size, len(rest))])
			}
			var s openai.Scanner
			if diff := cmp.Diff(tt.want, scan(&s, pieces...)); diff != "" {
				t.Errorf("%s, pieces of %d: %s", tt.name, size, diff)
			}
		}
	}
}

func TestScannerTellsKinds(t *testing.T) {
	chunk := func(choices, more string) string { return `{"id":"x","choices":` + choices + more + `}` }
	choice := func(content string) string { return `[{"index":0,"delta":{"content":` + content + `}}]` }
	usage := `,"usage":{"prompt_tokens":1,"completion_tokens":2}`
	known := openai.Usage{PromptTokens: 1, CompletionTokens: 2, Known: true}
	tests := []struct {
		name, data string
		kind       openai.Kind
		usage      openai.Usage
	}{
		{name: "token", data: chunk(choice(`"a"`), ""), kind: openai.KindChunk},
		{name: "done", data: "[DONE]", kind: openai.KindDone},
		{name: "done, spaced", data: " [DONE] ", kind: openai.KindDone},
		{name: "done in a text", data: chunk(choice(`"[DONE]"`), ""), kind: openai.KindChunk},
		{name: "usage", data: chunk("[]", usage), kind: openai.KindUsage, usage: known},
		{name: "usage, spaced", data: `{ "choices" : [ ] , "usage" : { "prompt_tokens" : 1 , "completion_tokens" : 2 } }`, kind: openai.KindUsage, usage: known},
		{name: "usage first", data: `{"usage":{"completion_tokens":2,"prompt_tokens":1},"choices":[]}`, kind: openai.KindUsage, usage: known},
		{name: "continuous usage", data: chunk(choice(`"a"`), usage), kind: openai.KindChunk, usage: known},
		{name: "null usage", data: chunk(choice(`"a"`), `,"usage":null`), kind: openai.KindChunk},
		{name: "null usage, then usage", data: chunk("[]", `,"x":{"usage": null}`+usage), kind: openai.KindUsage, usage: known},
		{name: "the word usage", data: chunk(choice(`"usage"`), ""), kind: openai.KindChunk},
		{name: "usage in a text", data: chunk(choice(`"\"usage\":{\"prompt_tokens\":9}"`), ""), kind: openai.KindChunk},
		{name: "usage after a backslash", data: chunk(choice(`"\\"`), `,"a":["usage"]`), kind: openai.KindChunk},
		{name: "usage further in", data: chunk(choice(`"a"`), `,"timings":{"usage":{"prompt_tokens":9}}`), kind: openai.KindChunk},
		{name: "usage that is a text", data: chunk("[]", `,"usage":"x"`), kind: openai.KindUsage},
		{name: "usage without choices", data: `{"id":"x"` + usage + `}`, kind: openai.KindUsage, usage: known},
		{name: "usage and null choices", data: chunk("null", usage), kind: openai.KindUsage, usage: known},
		{name: "error", data: `{"error":{"message":"m"}}`, kind: openai.KindError},
		{name: "error as a text", data: `{"error":"m"}`, kind: openai.KindError},
		{name: "error as an object of that name", data: `{"object":"error","message":"m","code":500}`, kind: openai.KindError},
		{name: "null error", data: chunk(choice(`"a"`), `,"error":null`), kind: openai.KindChunk},
		{name: "the word error", data: chunk(choice(`"error"`), ""), kind: openai.KindChunk},
		{name: "error in a text", data: chunk(choice(`"{\"error\":1}"`), ""), kind: openai.KindChunk},
		{name: "error further in", data: chunk(choice(`"a"`), `,"x":{"error":1}`), kind: openai.KindChunk},
		{name: "no JSON", data: `"usage":1,"error":1`, kind: openai.KindChunk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s openai.Scanner
			got := scan(&s, "data: "+tt.data+"\n\n")
			if len(got) != 1 || got[0].Kind != tt.kind || s.Usage() != tt.usage {
				t.Errorf("got %v, %v; want kind %v, %v", got, s.Usage(), tt.kind, tt.usage)
			}
		})
	}
	var s openai.Scanner
	if got := scan(&s, "event: error\ndata: boom\n\ndata: a\n\n"); got[0].Kind != openai.KindError || got[1].Kind != openai.KindChunk {
		t.Errorf("got %v, want the event of type error and then a chunk", got)
	}
}

func TestScannerGivesAWholeStreamInOrder(t *testing.T) {
	stream := roleChunk + strings.Repeat(tokenChunk, 5) + usageChunk + doneEvent
	var s openai.Scanner
	for range 2 { // the second time after Reset
		var kinds []openai.Kind
		var raw strings.Builder
		for _, ev := range scan(&s, stream[:300], stream[300:]) {
			kinds = append(kinds, ev.Kind)
			raw.WriteString(ev.Raw)
		}
		want := []openai.Kind{1, 1, 1, 1, 1, 1, openai.KindUsage, openai.KindDone}
		if diff := cmp.Diff(want, kinds); diff != "" || raw.String() != stream {
			t.Errorf("got kinds %s, stream %q", diff, raw.String())
		}
		if want := (openai.Usage{PromptTokens: 12, CompletionTokens: 3, Known: true}); s.Usage() != want || s.Buffered() != 0 {
			t.Errorf("got %v and %d bytes left; want %v, 0", s.Usage(), s.Buffered(), want)
		}
		s.Reset()
	}
	if s.Usage().Known {
		t.Error("got usage after Reset, want none")
	}
}

func TestScannerTellsWhatIsLeft(t *testing.T) {
	var s openai.Scanner
	s.Feed([]byte("data: a\n\ndata: b"))
	for s.Next() {
	}
	if s.Buffered() != len("data: b") {
		t.Errorf("got %d bytes left, want 7", s.Buffered())
	}
}

func TestScannerRefusesEventsAboveItsLimit(t *testing.T) {
	for _, pieces := range [][]string{
		{"data: aaaaaaaaaa\n\n"},
		{"data: ok\n\ndata: aaaaaa", "aaaa\n\n"},
		{"data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	} {
		s := openai.Scanner{Limit: 16}
		for _, ev := range scan(&s, pieces...) {
			if ev.Data != "ok" {
				t.Errorf("got %v", ev)
			}
		}
		if !errors.Is(s.Err(), openai.ErrEventTooLarge) {
			t.Errorf("%q: got %v, want ErrEventTooLarge", pieces, s.Err())
		}
	}
	s := openai.Scanner{Limit: 16}
	if got := scan(&s, "data: 12345678\n\n"); len(got) != 1 || s.Err() != nil {
		t.Errorf("got %v, %v; want an event of just the limit", got, s.Err())
	}
}

func TestScannerAllocatesNothing(t *testing.T) {
	stream := []byte(roleChunk + strings.Repeat(tokenChunk, 20) + usageChunk + doneEvent)
	var s openai.Scanner
	allocs := testing.AllocsPerRun(20, func() {
		s.Reset()
		for p := stream; len(p) > 0; p = p[min(100, len(p)):] {
			s.Feed(p[:min(100, len(p))])
			for s.Next() {
			}
		}
	})
	if allocs > 0 || !s.Usage().Known {
		t.Errorf("got %v allocations, usage %v; want 0 and known", allocs, s.Usage())
	}
}

// FuzzScanner checks that a stream gives the same events however it is cut, that nothing of it is lost, and that its data
// is what the simplest reading of the standard gives.
func FuzzScanner(f *testing.F) {
	f.Add([]byte(roleChunk+tokenChunk+usageChunk+doneEvent), uint64(1))
	f.Add([]byte("\uFEFFdata: a\r\ndata:b\r\rid: 1\n\r\n: c\n\n\n"), uint64(2))
	f.Add([]byte("event: error\rdata\rdata: \"usage\": {\r\n\r\n\r"), uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		s := openai.Scanner{Limit: 1 << 20}
		whole := scan(&s, string(stream))
		var pieces []string
		random := rand.New(rand.NewPCG(seed, 0))
		for rest := string(stream); rest != ""; {
			n := random.IntN(min(len(rest), 9) + 1)
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		cut := openai.Scanner{Limit: 1 << 20}
		if diff := cmp.Diff(whole, scan(&cut, pieces...)); diff != "" {
			t.Fatalf("pieces %q: %s", pieces, diff)
		}
		if s.Usage() != cut.Usage() || s.Buffered() != cut.Buffered() {
			t.Fatalf("got %v, %d in pieces; want %v, %d", cut.Usage(), cut.Buffered(), s.Usage(), s.Buffered())
		}
		var raw strings.Builder
		var data []string
		for _, ev := range whole {
			raw.WriteString(ev.Raw)
			if ev.Kind != openai.KindComment {
				data = append(data, ev.Data)
			}
		}
		rest := strings.TrimPrefix(string(stream), "\uFEFF")
		if raw.Len() > len(rest) { // its last event has no blank line, and its data is whole
			rest += "\n\n"
		}
		if !strings.HasPrefix(rest, raw.String()) {
			t.Fatalf("got the stream %q, want %q", raw.String(), rest)
		}
		if diff := cmp.Diff(simple(rest), data); diff != "" {
			t.Fatal(diff)
		}
	})
}

// simple reads a whole stream by the letter of the standard.
func simple(stream string) (data []string) {
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var event []string
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "" && event != nil:
			data, event = append(data, strings.Join(event, "\n")), nil
		case name == "data":
			event = append(event, strings.TrimPrefix(value, " "))
		}
	}
	return data
}

func BenchmarkScanner(b *testing.B) {
	for name, ev := range map[string]string{"chat": tokenChunk, "completions": `data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"Hel","token_ids":null,"logprobs":null,"context_logits":null,"finish_reason":null,"stop_reason":null,"disaggregated_params":null}],"usage":null}` + "\n\n"} {
		b.Run(name, func(b *testing.B) {
			var s openai.Scanner
			p := []byte(ev)
			b.ReportAllocs()
			for b.Loop() {
				s.Feed(p)
				for s.Next() {
				}
			}
		})
	}
}

func TestReadAnswer(t *testing.T) {
	for body, want := range map[string]openai.Usage{
		`{"id":"x","choices":[{"message":{"content":"\"usage\":{"}}],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2},"prompt_token_ids":null}`: {PromptTokens: 7, CompletionTokens: 2, Known: true},
		`{"choices":[1],"usage":null}`: {}, `{"choices":[1]}`: {}, "\n{\"choices\":[1],\"usage\":{}}\n": {},
		`{"choices":[1],"usage":{"prompt_tokens":7,"completion_tokens":null}}`: {PromptTokens: 7, Known: true},
	} {
		if got, whole := openai.ReadAnswer([]byte(body), "choices"); got.Usage != want || !whole || !got.Possible(8) {
			t.Errorf("%s: got %+v, %v; want %v", body, got, whole, want)
		}
	}
	for _, body := range []string{
		``, `null`, `[{"usage":{"prompt_tokens":7}}]`, `{"choices":[]}`, `{"choices":null}`, `{}`, `{"choices":{"a":1}}`, `{"choices":[1]`, `{"choices":[1]} x`,
		`<html><body>hello</body></html>`, "\x1f\x8b\x08\x00", `{"error":{"message":"m"},"choices":[1]}`, `{"object":"error","message":"m"}`, `{"output":[1]}`,
	} {
		if got, whole := openai.ReadAnswer([]byte(body), "choices"); whole {
			t.Errorf("%s: got %+v, want no answer", body, got)
		}
	}
	if _, whole := openai.ReadAnswer([]byte(`{"object":"list","data":[{}],"usage":{"prompt_tokens":7,"total_tokens":7}}`), "data"); !whole {
		t.Errorf("got no answer of another list's")
	}
}

func TestUsage_Possible(t *testing.T) {
	const context = 100
	for usage, want := range map[string]bool{
		`{"prompt_tokens":100,"completion_tokens":0}`: true, `{"prompt_tokens":60,"completion_tokens":40}`: true,
		`{"prompt_tokens":-1,"completion_tokens":4}`: false, `{"prompt_tokens":6,"completion_tokens":-4}`: false,
		`{"prompt_tokens":1.5}`: false, `{"prompt_tokens":"6"}`: false, `{"prompt_tokens":1e3}`: false, `{"completion_tokens":99999999999999999999}`: false,
		`{"prompt_tokens":101}`: false, `{"completion_tokens":101}`: false,
	} {
		body := `{"choices":[{}],"usage":` + usage + `}`
		if a, _ := openai.ReadAnswer([]byte(body), "choices"); a.Possible(context) != want {
			t.Errorf("%s: got %v, want %v", usage, !want, want)
		}
	}
	if a, _ := openai.ReadAnswer([]byte(`{"choices":[{},{"a":[]},{}],"usage":{"prompt_tokens":7,"completion_tokens":250}}`), "choices"); !a.Possible(context) {
		t.Errorf("three answers may be three times as long as the context")
	}
	for data, want := range map[string]bool{
		`{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":250}}`: true, `{"choices":[],"usage":{"prompt_tokens":700}}`: false, `{"usage":{"completion_tokens":-1}}`: false,
	} {
		var s openai.Scanner
		scan(&s, "data: "+data+"\n\n")
		if s.Usage().Possible(context) != want {
			t.Errorf("%s: got %v, want %v", data, !want, want)
		}
	}
}

func TestScanner_KnowsTheEndOfAnAnswer(t *testing.T) {
	const stop = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	for stream, want := range map[string]bool{
		"data: " + stop + "\n\n": true, "data: " + stop: true, "data: " + stop + "\n": true, "data: " + stop + "\r": true, "data: " + stop + "\r\n": true,
		"data: " + stop + "\n\n: bye\n\n":                                                                      true,
		`data: {"choices":[{"finish_reason" : "length"}]}` + "\n\n":                                            true,
		`data: {"choices":[{"finish_reason":null}]}` + "\n\n":                                                  false,
		`data: {"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason":null}]}` + "\n\n": false,
		`data: {"choices":[{"delta":{"content":"finish_reason"}}]}` + "\n\n":                                   false,
		"data: " + stop[:len(stop)-1]:                                                                          false,
	} {
		var s openai.Scanner
		if scan(&s, stream); s.Finished() != want {
			t.Errorf("%q: got %v, want %v", stream, !want, want)
		}
	}
}
