package router_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/router"
)

// echo answers as trtllm-serve does to what its schema lets through and a later check does not: 400, and the request in the words of Python.
func echo(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rw.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(rw, `{"object":"error","message":%q,"type":"BadRequestError","param":null,"code":400}`, "Unknown part or tool in "+string(body))
}

// TestFault_EchoedWordsAreTheCallers: words that an engine in trouble might use, in a caller's own request.
func TestFault_EchoedWordsAreTheCallers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a content part of type cuda":       fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":[{"type":"cuda","text":"hi"}]}]}`, chatModel),
		"a tool called run_cuda_kernel":     chat(chatModel, `,"tools":[{"type":"function","function":{"name":"run_cuda_kernel"}}]`),
		"every word of an engine's trouble": strings.Replace(chat(chatModel), `"hi"`, `"shutting down executor nccl out of memory InternalServerError code 500"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := oneHot(t)
				calls := 0
				w.engines.swap(func(rw http.ResponseWriter, r *http.Request) { calls++; echo(rw, r) })
				const requests = 8
				for range requests {
					a := w.do(call{body: body})
					w.wantCode(a, 400, "invalid_request")
				}
				if calls != requests {
					t.Errorf("got %d calls for %d requests, want none to be sent twice", calls, requests)
				}
				w.engines.swap(answerChat)
				w.wantOthersUnharmed()
				for _, r := range w.records(requests + 2)[1 : requests+1] {
					if r.Billed != 0 {
						t.Errorf("got %+v, want a record that costs nothing", r)
					}
				}
			})
		})
	}
}

// TestFault_StandsInTheContent: an answer of status 200 that is an error carries its own status.
func TestFault_StandsInTheContent(t *testing.T) {
	t.Parallel()
	const callers, engines = `{"error":{"message":"no such tool","type":"BadRequestError","code":400}}`, `{"error":{"message":"boom","type":"InternalServerError","code":500}}`
	for _, tt := range []struct {
		name, mode string
		answer     func(http.ResponseWriter)
		status     int
		code       string
		calls      int
	}{
		{"a body, the caller's", "", func(w http.ResponseWriter) { fmt.Fprint(w, callers) }, 400, "invalid_request", 1},
		{"a body, the engine's", "", func(w http.ResponseWriter) { fmt.Fprint(w, engines) }, 502, "engine_error", 2},
		{"a first event, the caller's", stream, func(w http.ResponseWriter) { events(w, "data: "+callers+"\n\n") }, 400, "invalid_request", 1},
		{"a first event, the engine's", stream, func(w http.ResponseWriter) { events(w, "data: "+engines+"\n\n") }, 502, "engine_error", 2},
		{"a first event without its blank line", stream, func(w http.ResponseWriter) { events(w, "data: "+callers) }, 400, "invalid_request", 1},
		{"a body instead of a stream", stream, func(w http.ResponseWriter) { fmt.Fprint(w, callers) }, 400, "invalid_request", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := twoHot(t)
				calls := 0
				w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { calls++; tt.answer(rw) })
				a := w.do(call{body: chat(chatModel, tt.mode)})
				w.wantCode(a, tt.status, tt.code)
				if calls != tt.calls {
					t.Errorf("got %d calls, want %d", calls, tt.calls)
				}
				if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Billed != 0 {
					t.Errorf("got %+v, want a record that costs nothing", r)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
			events(rw, token("a"))
			time.Sleep(time.Second)
			events(rw, "data: "+callers+"\n\n")
		})
		a := w.do(call{body: chat(chatModel, stream)})
		if !strings.HasPrefix(a.text, token("a")) || !strings.Contains(a.text, `"message":"no such tool","type":"invalid_request_error","param":null,"code":"invalid_request"`) {
			t.Errorf("in mid-stream: got %q, want the caller's error", a.text)
		}
	})
}

// TestFault_WhatIsNoAnswerIsTheEngines: of status 200, but nothing that a probe would take for an answer.
func TestFault_WhatIsNoAnswerIsTheEngines(t *testing.T) {
	t.Parallel()
	zipped := func(w http.ResponseWriter, kind, text string) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
	}
	usage := func(u string) string { return `{"choices":[{"message":{"content":"x"}}],"usage":` + u + `}` }
	chunk := func(u string) string { return `data: {"choices":[],"usage":` + u + "}\n\n" }
	for _, tt := range []struct {
		name, mode string
		answer     func(http.ResponseWriter)
	}{
		{"HTML", "", func(w http.ResponseWriter) { fmt.Fprint(w, "<html><body>hello</body></html>") }},
		{"text", "", func(w http.ResponseWriter) { fmt.Fprint(w, "ok") }},
		{"gzip", "", func(w http.ResponseWriter) { zipped(w, "application/json", wholeReply) }},
		{"no choices", "", func(w http.ResponseWriter) { fmt.Fprint(w, `{"choices":[]}`) }},
		{"cut JSON", "", func(w http.ResponseWriter) { fmt.Fprint(w, wholeReply[:len(wholeReply)-1]) }},
		{"negative usage", "", func(w http.ResponseWriter) { fmt.Fprint(w, usage(`{"prompt_tokens":5,"completion_tokens":-3}`)) }},
		{"usage above the context", "", func(w http.ResponseWriter) { fmt.Fprint(w, usage(`{"prompt_tokens":5,"completion_tokens":8193}`)) }},
		{"a stream of HTML", stream, func(w http.ResponseWriter) { fmt.Fprint(w, "<html><body>hello</body></html>") }},
		{"a stream, zipped", stream, func(w http.ResponseWriter) { zipped(w, "text/event-stream", token("a")+"data: [DONE]\n\n") }},
		{"events of text", stream, func(w http.ResponseWriter) { events(w, "data: hello\n\n", "data: [DONE]\n\n") }},
		{"a stream without a chunk", stream, func(w http.ResponseWriter) { events(w, "data: [DONE]\n\n") }},
		{"a stream with negative usage", stream, func(w http.ResponseWriter) {
			events(w, token("a"), chunk(`{"prompt_tokens":-5,"completion_tokens":3}`), "data: [DONE]\n\n")
		}},
		{"a stream with usage above the context", stream, func(w http.ResponseWriter) {
			events(w, token("a"), chunk(`{"prompt_tokens":8193,"completion_tokens":3}`), "data: [DONE]\n\n")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := twoHot(t)
				w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { tt.answer(rw) })
				a := w.do(call{body: chat(chatModel, tt.mode)})
				if !strings.Contains(a.text, `"code":"engine_error"`) || strings.Contains(a.text, "[DONE]") {
					t.Errorf("got %q, want an engine error", a.text)
				}
				if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Billed != 0 || r.Cost != 0 {
					t.Errorf("got %+v, want a record that costs nothing", r)
				}
			})
		})
	}
}

// TestFault_SpellingsOfAWholeStream: how engines end a stream that is whole.
func TestFault_SpellingsOfAWholeStream(t *testing.T) {
	t.Parallel()
	const stop = `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	const usage = `"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}`
	for name, pieces := range map[string][]string{
		"usage with choices: null":          {token("a"), stop + "\n\n", `data: {"id":"c-1","choices":null,` + usage + "\n\n", "data: [DONE]\n\n"},
		"usage without choices":             {token("a"), stop + "\n\n", `data: {"id":"c-1",` + usage + "\n\n", "data: [DONE]\n\n"},
		"no [DONE] behind the finish":       {token("a"), stop + "\n\n"},
		"no [DONE] behind the usage":        {token("a"), stop + "\n\n", usageChunk},
		"a finish without its blank line":   {token("a"), stop},
		"a [DONE] without its blank line":   {token("a"), stop + "\n\n", usageChunk, "data: [DONE]"},
		"a [DONE] with half its blank line": {token("a"), stop + "\n\n", usageChunk, "data: [DONE]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { events(rw, pieces...) })
				a := w.do(call{body: chat(chatModel, stream)})
				if want := token("a") + stop + "\n\n"; a.err != nil || !strings.HasPrefix(a.text, want) || !strings.HasSuffix(a.text, "\n\ndata: [DONE]") && !strings.HasSuffix(a.text, "\n\ndata: [DONE]\n\n") {
					t.Errorf("got %q, %v; want a whole stream", a.text, a.err)
				}
				if strings.Contains(a.text, `"usage"`) {
					t.Errorf("got %q, want no usage for one who has not asked for it", a.text)
				}
				if r := w.lastRecord(1); r.Status != ledger.Complete {
					t.Errorf("got %+v, want a complete record", r)
				}
			})
		})
	}
}

// TestFault_UsageThatWasNeverToldIsNotZero: neither in the caller's receipt nor in the record.
func TestFault_UsageThatWasNeverToldIsNotZero(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { events(rw, token("a"), "data: [DONE]\n\n") })
		a := w.do(call{body: chat(chatModel, stream, withUsage)})
		if !strings.Contains(a.text, `"choices":[],"usage":null,"pilotlight":{`) {
			t.Errorf("got %q, want a receipt whose usage is null", a.text)
		}
		if r := w.lastRecord(1); !r.TokensUnknown || r.Status != ledger.Complete {
			t.Errorf("got %+v, want a complete record without tokens", r)
		}
	})
}

func TestFault_AWholeErrorIsSaidInTheEnginesWords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(rw, `{"error":%q,"input":%q}`, "1 validation error: top_p: Input should be less than or equal to 1", strings.Repeat("x", 1<<20))
		})
		a := w.do(call{body: chat(chatModel)})
		w.wantCode(a, 400, "invalid_request")
		if !strings.Contains(a.text, "top_p: Input should be less than or equal to 1") {
			t.Errorf("got %q, want the engine's words", a.text)
		}
	})
}

func TestFault_EventLimitIsSettable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{router: func(c *router.Config) { c.EventLimit = 64 << 10 }})
		for _, size := range []int{60 << 10, 70 << 10, 60 << 10} {
			w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) {
				events(rw, token(strings.Repeat("x", size)), usageChunk, "data: [DONE]\n\n")
			})
			if a := w.do(call{body: chat(chatModel, stream)}); strings.Contains(a.text, "[DONE]") != (size < 64<<10) {
				t.Errorf("%d bytes: got %d bytes of answer", size, len(a.text))
			}
		}
	})
}

func TestFault_ALargeEventIsRelayedAndOneAboveTheLimitCountsAgainstNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := oneHot(t)
		large := token(strings.Repeat("x", 5<<20))
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { events(rw, large, usageChunk, "data: [DONE]\n\n") })
		if a := w.do(call{body: chat(chatModel, stream)}); a.err != nil || len(a.text) != len(large)+len("data: [DONE]\n\n") {
			t.Errorf("got %d bytes, %v; want an event of 5 MiB", len(a.text), a.err)
		}
		above := token(strings.Repeat("x", 33<<20))
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { events(rw, token("a"), above, "data: [DONE]\n\n") })
		for range 6 {
			a := w.do(call{body: chat(chatModel, stream)})
			if !strings.Contains(a.text, `"code":"engine_error"`) || !errors.Is(a.err, io.ErrUnexpectedEOF) {
				t.Errorf("got %d bytes, %v; want an error", len(a.text), a.err)
			}
		}
		time.Sleep(time.Second)
		w.engines.swap(answerChat)
		w.wantOthersUnharmed()
		if n := w.probes.Load(); n != 0 {
			t.Errorf("got %d requests of the server's own, want none for a limit of ours", n)
		}
	})
}
