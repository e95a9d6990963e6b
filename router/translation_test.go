package router_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// speaks is a setup whose models are offered in dialects too.
func speaks(more ...setup) setup {
	var s setup
	if len(more) > 0 {
		s = more[0]
	}
	s.model = func(m *fleet.Model) {
		m.Endpoints = append(m.Endpoints, fleet.EndpointResponses, fleet.EndpointMessages)
	}
	return s
}

func messages(more ...string) call {
	return call{path: "/v1/messages", body: `{"model":"` + chatModel + `","max_tokens":9,"messages":[{"role":"user","content":"hi"}]` + strings.Join(more, "") + `}`}
}

func responses(more ...string) call {
	return call{path: "/v1/responses", body: `{"model":"` + chatModel + `","input":"hi"` + strings.Join(more, "") + `}`}
}

// eventTypes gives the types of a stream's events, in order, and the data of the last of each.
func eventTypes(t *testing.T, text string) (types []string, last map[string]string) {
	t.Helper()
	last = map[string]string{}
	for event := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(event, ":") {
			continue
		}
		first, data, _ := strings.Cut(event, "\n")
		kind := strings.TrimPrefix(first, "event: ")
		types, last[kind] = append(types, kind), strings.TrimPrefix(data, "data: ")
	}
	return types, last
}

func TestTranslation_EnginesGetAChatAndCallersTheirOwnAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		var path, body string
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			path, body = r.URL.Path, string(b)
			r.Body = io.NopCloser(strings.NewReader(body))
			answerChat(rw, r)
		})
		n := 0
		for _, row := range []struct {
			call call
			says []string
		}{
			{messages(`,"system":"be brief"`), []string{`"type":"message"`, `"text":"hello"`, `"stop_reason":"end_turn"`, `"input_tokens":5`, `"output_tokens":3`}},
			{responses(`,"instructions":"be brief"`), []string{`"object":"response"`, `"text":"hello"`, `"status":"completed"`, `"input_tokens":5`, `"output_tokens":3`, `"store":false`}},
		} {
			a := w.do(row.call)
			for _, s := range row.says {
				if a.StatusCode != 200 || !strings.Contains(a.text, s) {
					t.Errorf("%s: got %d %s, want %s in it", row.call.path, a.StatusCode, a.text, s)
				}
			}
			if path != "/v1/chat/completions" || !strings.Contains(body, `"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]`) {
				t.Errorf("%s: the engine got %s %s, want a chat", row.call.path, path, body)
			}
			n++
			r := w.lastRecord(n)
			if r.Status != ledger.Complete || r.PromptTokens != 5 || r.CompletionTokens != 3 || a.Header.Get("X-Pilotlight-Billed-Ms") == "" {
				t.Errorf("%s: got record %+v, want it complete with the engine's usage", row.call.path, r)
			}
		}
	})
}

func TestTranslation_Streams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		w.heat(chatModel)
		a := w.do(messages(stream))
		types, last := eventTypes(t, a.text)
		want := []string{
			"message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
		}
		if !slices.Equal(types, want) || !strings.Contains(last["message_delta"], `"output_tokens":3`) || a.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("messages: got %v, %s", types, last["message_delta"])
		}
		if a.Header.Get("Request-Id") != a.Header.Get("X-Request-Id") || !strings.Contains(last["message_start"], "msg_"+a.Header.Get("X-Request-Id")) {
			t.Errorf("messages: got request-id %q and %s, want the request's ID", a.Header.Get("Request-Id"), last["message_start"])
		}
		a = w.do(responses(stream))
		types, last = eventTypes(t, a.text)
		if types[0] != "response.created" || types[len(types)-1] != "response.completed" || !strings.Contains(last["response.completed"], `"text":"abc"`) ||
			!strings.Contains(last["response.completed"], `"total_tokens":8`) || strings.Contains(a.text, "[DONE]") {
			t.Errorf("responses: got %v, %s", types, last["response.completed"])
		}
		for _, r := range w.records(3)[1:] {
			if r.Status != ledger.Complete || r.PromptTokens != 5 || r.CompletionTokens != 3 {
				t.Errorf("got record %+v, want it complete with the engine's usage", r)
			}
		}
	})
}

// Keep-alives come in the dialect's own events while a model starts, in order with what follows.
func TestTranslation_Keepalives(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		call    call
		mode    string
		first   string // the stream begins with it
		ping    string // an event that is there so often
		pings   int
		comment bool
	}{
		{messages(stream), "comment", ": pilotlight state=", "ping", 2, true},
		{messages(stream), "chunk", "event: ping\n", "ping", 2, false},
		{messages(stream), "off", "event: message_start\n", "ping", 0, false},
		{responses(stream), "comment", ": pilotlight state=", "response.in_progress", 1, true},
		{responses(stream), "chunk", "event: response.created\n", "response.in_progress", 2, false},
	} {
		t.Run(row.call.path+" "+row.mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, speaks(setup{load: 40 * time.Second}))
				row.call.header = map[string]string{"X-Pilotlight-Keepalive": row.mode}
				a := w.do(row.call)
				types, _ := eventTypes(t, a.text)
				got := 0
				for _, kind := range types {
					if kind == row.ping {
						got++
					}
				}
				if !strings.HasPrefix(a.text, row.first) || got != row.pings || strings.Contains(a.text, ": pilotlight start=cold") != row.comment {
					t.Errorf("got %d of %s in %q, want %d behind %q", got, row.ping, a.text, row.pings, row.first)
				}
				if last := types[len(types)-1]; last != "message_stop" && last != "response.completed" {
					t.Errorf("got %s at the end of %q", last, a.text)
				}
			})
		})
	}
}

func TestTranslation_KeepalivesGoOnInMidStream(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		call   call
		mode   string
		engine http.HandlerFunc
		ping   string
		pings  int
	}{
		{messages(stream), "comment", pausing(answerChat), "event: ping", 2},
		{messages(stream), "chunk", pausing(answerChat), "event: ping", 2},
		{responses(stream), "chunk", pausing(answerChat), "event: response.in_progress", 3},
		{responses(stream), "comment", pausing(answerChat), ": pilotlight state=ready", 2},
	} {
		t.Run(row.call.path+" "+row.mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, speaks())
				w.heat(chatModel)
				w.engines.swap(row.engine)
				row.call.header = map[string]string{"X-Pilotlight-Keepalive": row.mode}
				a := w.do(row.call)
				if got := strings.Count(a.text, row.ping); got != row.pings || a.err != nil {
					t.Errorf("got %d of %s in %q (%v), want %d", got, row.ping, a.text, a.err, row.pings)
				}
				if r := w.lastRecord(2); r.Status != ledger.Complete {
					t.Errorf("got record %+v, want it complete", r)
				}
			})
		})
	}
}

// pausing is an engine that falls silent for 40 s behind its first token.
func pausing(then http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		events(rw, token("before"))
		time.Sleep(40 * time.Second)
		then(rw, r)
	}
}

// A failure behind keep-alives, and one in the middle, is the dialect's own event; nobody pays.
func TestTranslation_FailuresInStreams(t *testing.T) {
	t.Parallel()
	cut := func(rw http.ResponseWriter, _ *http.Request) { events(rw, token("a")); die(rw) }
	strange := func(rw http.ResponseWriter, _ *http.Request) {
		events(rw, token("a"), `data: {"choices":[{"index":0,"delta":{"content":7}}]}`+"\n\n", usageChunk, "data: [DONE]\n\n")
	}
	for _, row := range []struct {
		name   string
		engine http.HandlerFunc
		call   call
		says   string
	}{
		{"messages cut", cut, messages(stream), `"type":"api_error"`},
		{"messages strange", strange, messages(stream), `"type":"api_error"`},
		{"responses cut", cut, responses(stream), `"status":"failed","error":{"code":"server_error"`},
		{"responses strange", strange, responses(stream), `"status":"failed","error":{"code":"server_error"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, speaks())
				w.heat(chatModel)
				w.engines.swap(row.engine)
				a := w.do(row.call)
				types, last := eventTypes(t, a.text)
				if !slices.Contains(types, "error") || !strings.Contains(a.text, row.says) || strings.Contains(a.text, "message_stop") || strings.Contains(a.text, "completed") && strings.Contains(a.text, "response.completed") {
					t.Errorf("got %v, %s, want an error event that says %s, and no end", types, last["error"], row.says)
				}
				if !strings.Contains(a.text, `"a"`) {
					t.Errorf("got %s, want what the engine has said before", a.text)
				}
				if r := w.lastRecord(2); r.Status != ledger.EngineError || r.Billed != 0 {
					t.Errorf("got record %+v, want an engine error that costs nothing", r)
				}
			})
		})
	}
}

func TestTranslation_FailureBehindKeepalives(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		call call
		says string
	}{
		{messages(stream), `{"type":"error","error":{"type":"overloaded_error"`},
		{responses(stream), `"error":{"message":`},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, speaks(setup{load: 40 * time.Second}))
			w.host.fail = "no GPU found"
			a := w.do(row.call)
			if a.StatusCode != 200 || !strings.Contains(a.text, row.says) || !strings.Contains(a.text, "activation_failed") {
				t.Errorf("%s: got %d %q, want an error event that says %s", row.call.path, a.StatusCode, a.text, row.says)
			}
		})
	}
}

// An answer that is no chat is the engine's failure, told before anything is committed.
func TestTranslation_AnswersThatAreNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		w.heat(chatModel)
		w.engines.swap(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, `{"choices":[]}`) })
		a := w.do(messages())
		w.wantCode(a, 502, "engine_error")
		if r := w.lastRecord(2); r.Billed != 0 {
			t.Errorf("got record %+v, want it to cost nothing", r)
		}
	})
}

// Anthropic's callers get Anthropic's errors, wherever a request fails; others OpenAI's.
func TestTranslation_ErrorsInTheDialectsShape(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		image := `{"model":"` + chatModel + `","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://10.0.0.1/x"}}]}]}`
		reader, _ := w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeModelsRead}})
		for _, row := range []struct {
			name   string
			call   call
			status int
			kind   string
			code   string
			says   string
		}{
			{"no token", call{path: "/v1/messages", body: messages().body, secret: "-"}, 401, "authentication_error", "invalid_api_key", ""},
			{"scope", call{path: "/v1/messages", body: messages().body, secret: reader}, 403, "permission_error", "permission_denied", ""},
			{"field", messages(`,"container":"c"`), 400, "invalid_request_error", "invalid_request", "container"},
			{"broken", call{path: "/v1/messages", body: "{"}, 400, "invalid_request_error", "invalid_request", ""},
			{"image", call{path: "/v1/messages", body: image}, 400, "invalid_request_error", "invalid_request", "messages[0].content[0].source.url"},
			{"model", call{path: "/v1/messages", body: `{"model":"nobody/nothing","max_tokens":9,"messages":[]}`}, 404, "not_found_error", "model_not_found", ""},
			{"version", call{path: "/v1/messages", body: messages().body, header: map[string]string{"Anthropic-Version": "1999-01-01"}}, 400, "invalid_request_error", "invalid_request", "2023-06-01"},
			{"method", call{method: "GET", path: "/v1/messages"}, 405, "invalid_request_error", "method_not_allowed", ""},
			{"below", call{path: "/v1/messages/count_tokens", body: messages().body}, 404, "not_found_error", "not_found", ""},
			{"hot", call{path: "/v1/messages", body: messages().body, header: map[string]string{"X-Pilotlight-Max-Wait": "0s"}}, 503, "overloaded_error", "not_hot", ""},
		} {
			a := w.do(row.call)
			var e struct {
				Type      string
				RequestID string `json:"request_id"`
				Error     struct {
					Type, Message string
					Details       struct {
						Code string `json:"error_code"`
					}
				}
			}
			err := json.Unmarshal([]byte(a.text), &e)
			if err != nil || a.StatusCode != row.status || e.Type != "error" || e.Error.Type != row.kind || e.Error.Details.Code != row.code ||
				!strings.Contains(e.Error.Message, row.says) || e.RequestID != a.Header.Get("X-Request-Id") {
				t.Errorf("%s: got %d %s, want %d %s %s", row.name, a.StatusCode, a.text, row.status, row.kind, row.code)
			}
		}
		a := w.do(responses(`,"store":true`))
		w.wantCode(a, 400, "invalid_request")
		if !strings.Contains(a.text, `"param":"store"`) {
			t.Errorf("got %s, want the field in param", a.text)
		}
		a = w.do(responses(`,"previous_response_id":"resp_1"`))
		w.wantCode(a, 400, "invalid_request")
	})
}

func TestTranslation_TokenOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, speaks())
		c := messages()
		c.secret, c.header = "-", map[string]string{"X-Api-Key": w.secret, "Anthropic-Version": "2023-06-01", "Anthropic-Beta": "some-beta"}
		if a := w.do(c); a.StatusCode != 200 {
			t.Errorf("got %d %s, want x-api-key taken", a.StatusCode, a.text)
		}
		c.path, c.body = "", chat(chatModel)
		w.wantCode(w.do(c), 401, "invalid_api_key")
	})
}

// What OpenAI's and the engines' tables say of a chat holds for one that was translated too.
func TestTranslation_FirstAttemptThatFailsIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := speaks()
		add := s.model
		s.model = func(m *fleet.Model) { add(m); m.Instances.Min = min(2, m.Instances.Max) }
		w := newWorld(t, s)
		w.heat(chatModel)
		time.Sleep(time.Minute)
		calls := 0
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			if calls++; calls == 1 {
				die(rw)
			}
			answerChat(rw, r)
		})
		a := w.do(messages(stream))
		if types, _ := eventTypes(t, a.text); calls != 2 || types[len(types)-1] != "message_stop" {
			t.Errorf("got %d calls and %s, want a second engine to answer", calls, a.text)
		}
	})
}

func TestTranslation_EmbeddingsArePassedThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{model: func(m *fleet.Model) { m.Endpoints = []fleet.Endpoint{fleet.EndpointEmbeddings} }})
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/v1/embeddings" || !strings.Contains(string(b), `"input":["a","b"]`) {
				t.Errorf("the engine got %s %s", r.URL.Path, b)
			}
			fmt.Fprint(rw, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}`)
		})
		a := w.do(call{path: "/v1/embeddings", body: `{"model":"` + chatModel + `","input":["a","b"],"encoding_format":"base64"}`})
		if a.StatusCode != 200 || !strings.Contains(a.text, `"embedding":[1,0]`) {
			t.Errorf("got %d %s", a.StatusCode, a.text)
		}
		if r := w.lastRecord(1); r.PromptTokens != 7 || r.CompletionTokens != 0 || r.Status != ledger.Complete {
			t.Errorf("got record %+v, want the engine's usage", r)
		}
		a = w.do(call{body: chat(chatModel)})
		w.wantCode(a, 404, "unsupported_endpoint")
		if !strings.Contains(a.text, "embeddings (POST /v1/embeddings)") {
			t.Errorf("got %s, want it to say what the model supports", a.text)
		}
	})
}
