package router_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/router"
)

var noScopes tenant.NewToken // the usual ones

func TestErrors_OfRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		narrow, _ := w.newToken("acme", tenant.NewToken{Models: []string{rareModel}})
		reader, _ := w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeModelsRead}})
		revoked, id := w.newToken("acme", noScopes)
		if _, err := w.tenants.RevokeToken(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		suspended, _ := w.newToken("lapsed", noScopes)
		if _, err := w.tenants.SuspendOrg(context.Background(), "lapsed"); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name   string
			call   call
			status int
			code   string
			says   string
		}{
			{"broken JSON", call{body: `{"model":`}, 400, "invalid_request", ""},
			{"no body", call{}, 400, "invalid_request", ""},
			{"no model", call{body: `{"messages":[]}`}, 400, "invalid_request", "model"},
			{"duplicate model", call{body: `{"model":"a","messages":[],"model":"b"}`}, 400, "invalid_request", "model"},
			{"escaped duplicate", call{body: `{"model":"a","messages":[],"mod\u0065l":"b"}`}, 400, "invalid_request", "model"},
			{"control field", call{body: chat(chatModel, `,"lora_request":{"lora_name":"x"}`)}, 400, "invalid_request", "lora_request"},
			{"remote media", call{body: `{"model":"` + chatModel + `","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://10.0.0.1/x"}}]}]}`}, 400, "invalid_request", "image_url"},
			{"bad max wait", call{body: chat(chatModel), header: map[string]string{"X-Pilotlight-Max-Wait": "soon"}}, 400, "invalid_request", "X-Pilotlight-Max-Wait"},
			{"bad keep-alive", call{body: chat(chatModel), header: map[string]string{"X-Pilotlight-Keepalive": "loud"}}, 400, "invalid_request", "X-Pilotlight-Keepalive"},
			{"no token", call{body: chat(chatModel), secret: "-"}, 401, "invalid_api_key", ""},
			{"mistyped token", call{body: chat(chatModel), secret: w.secret[:len(w.secret)-1] + "!"}, 401, "invalid_api_key", ""},
			{"unknown token", call{body: chat(chatModel), secret: tenant.NewSecret()}, 401, "invalid_api_key", ""},
			{"revoked token", call{body: chat(chatModel), secret: revoked}, 401, "invalid_api_key", "revoked"},
			{"scope", call{body: chat(chatModel), secret: reader}, 403, "permission_denied", "inference"},
			{"model not allowed", call{body: chat(chatModel), secret: narrow}, 403, "permission_denied", chatModel},
			{"suspended", call{body: chat(chatModel), secret: suspended}, 403, "permission_denied", "suspended"},
			{"unknown model", call{body: chat("nobody/nothing")}, 404, "model_not_found", "nobody/nothing"},
			{"endpoint of the model", call{path: "/v1/completions", body: `{"model":"` + rareModel + `","prompt":"a"}`}, 404, "unsupported_endpoint", "/v1/chat/completions"},
			{"embeddings", call{path: "/v1/embeddings", body: `{"model":"` + chatModel + `","input":"a"}`}, 404, "unsupported_endpoint", "chat"},
			{"responses", call{path: "/v1/responses", body: `{"model":"` + chatModel + `","input":"a"}`}, 404, "unsupported_endpoint", "chat"},
			{"messages", call{path: "/v1/messages", body: `{"model":"` + chatModel + `","messages":[{"role":"user","content":"a"}],"max_tokens":3}`}, 404, "unsupported_endpoint", "chat"},
			{"unknown path", call{path: "/v2/nothing", body: "{}"}, 404, "not_found", ""},
			{"wrong method", call{method: "DELETE"}, 405, "method_not_allowed", ""},
			{"no such method", call{method: "BREW"}, 405, "method_not_allowed", ""},
			{"compressed", call{body: chat(chatModel), header: map[string]string{"Content-Encoding": "gzip"}}, 415, "unsupported_encoding", ""},
			{"large", call{body: chat(chatModel, `,"x":"`+strings.Repeat("y", 33<<20)+`"`)}, 413, "request_too_large", ""},
			{"only if hot", call{body: chat(chatModel), header: map[string]string{"X-Pilotlight-Max-Wait": "0s"}}, 503, "not_hot", ""},
			{"never fits", call{body: chat(hugeModel)}, 503, "no_capacity", ""},
		} {
			a := w.do(tt.call)
			w.named(tt.name, func() {
				w.wantCode(a, tt.status, tt.code)
				if !strings.Contains(a.text, tt.says) {
					w.Errorf("got %s, want it to say %q", a.text, tt.says)
				}
				if a.StatusCode == 405 && a.Header.Get("Allow") == "" {
					w.Errorf("got no Allow")
				}
				if a.StatusCode == 503 && a.Header.Get("Retry-After") == "" {
					w.Errorf("got no Retry-After")
				}
				if want := map[bool]string{true: "false"}[tt.name == "never fits" || tt.name == "only if hot"]; a.Header.Get("X-Should-Retry") != want {
					w.Errorf("x-should-retry: got %q, want %q", a.Header.Get("X-Should-Retry"), want)
				}
			})
		}
		if got := w.host.launches(); got != 0 {
			t.Errorf("got %d launches by refused requests, want none", got)
		}
		w.records(0)
		if got := w.metric(`pilotlight_requests_total{model="",code="401"}`); got != "4" {
			t.Errorf("got %q, want the four 401 counted without a model", got)
		}
	})
}

func TestErrors_AllowedControlFieldPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		if a := w.do(call{body: chat(rareModel, `,"lora_request":{"lora_name":"x"}`)}); a.StatusCode != 200 {
			t.Errorf("got %d %s, want it allowed", a.StatusCode, a.text)
		}
	})
}

func TestErrors_QueueFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Minute, model: func(m *fleet.Model) { m.Queue.Limit = 4 }})
		answers := make(chan answer, 5)
		for range 5 {
			go func() { answers <- w.do(call{body: chat(chatModel)}) }()
		}
		counts := map[int]int{}
		for range 5 {
			a := <-answers
			counts[a.StatusCode]++
			if a.StatusCode == 429 {
				w.wantCode(a, 429, "queue_full")
				if a.Header.Get("Retry-After") == "" {
					t.Error("got no Retry-After")
				}
			}
		}
		if counts[200] != 4 || counts[429] != 1 {
			t.Errorf("got %v, want four answers and one 429", counts)
		}
	})
}

func TestErrors_ActivationFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Second})
		w.host.fail = "exit status 1"
		w.wantCode(w.do(call{body: chat(chatModel)}), 503, "activation_failed")
	})
}

func TestErrors_Overloaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Minute, router: func(c *router.Config) { c.Accounts = account.New(account.Config{Memory: 64 << 10}) }})
		first := make(chan answer, 1)
		go func() { first <- w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 60<<10)+`"`)}) }()
		synctest.Wait()
		w.wantCode(w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 30<<10)+`"`)}), 503, "overloaded")
		<-first
		if a := w.do(call{body: chat(chatModel, `,"user":"`+strings.Repeat("y", 60<<10)+`"`)}); a.StatusCode != 200 {
			t.Errorf("got %d, want the budget given back", a.StatusCode)
		}
	})
}

func TestErrors_EveryCodeOfTheContractIsInTheMap(t *testing.T) {
	want := map[string]int{
		"invalid_request": 400, "context_length_exceeded": 400, "method_not_allowed": 405, "request_timeout": 408, "request_too_large": 413,
		"unsupported_encoding": 415, "headers_too_large": 431, "http_version": 505, "invalid_api_key": 401,
		"permission_denied": 403, "model_not_found": 404, "unsupported_endpoint": 404, "not_found": 404,
		"rate_limit_exceeded": 429, "concurrency_limit_exceeded": 429, "queue_full": 429, "budget_exceeded": 429,
		"engine_error": 502, "upstream_timeout": 504, "no_capacity": 503, "activation_failed": 503,
		"activation_timeout": 503, "not_hot": 503, "overloaded": 503, "shutting_down": 503,
	}
	answers := router.Codes(90 * time.Second)
	if len(answers) != len(want) {
		t.Errorf("got %d codes, want %d", len(answers), len(want))
	}
	for _, a := range answers {
		if a.Status != want[a.Code] {
			t.Errorf("%s: got status %d, want %d", a.Code, a.Status, want[a.Code])
		}
		retryAfter := a.Status == 503 || a.Status == 429 && a.Code != "budget_exceeded"
		if got := a.Header["Retry-After"]; (got == "90") != retryAfter {
			t.Errorf("%s: got Retry-After %q", a.Code, got)
		}
		if hopeless := a.Code == "budget_exceeded" || a.Code == "http_version"; (a.Header["X-Should-Retry"] == "false") != hopeless {
			t.Errorf("%s: got x-should-retry %q", a.Code, a.Header["X-Should-Retry"])
		}
		if a.Type == "" || a.Type == "insufficient_quota" != (a.Code == "budget_exceeded") {
			t.Errorf("%s: got type %q", a.Code, a.Type)
		}
	}
}

func TestRetryAfter_IsBetween1And120(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond: "1", time.Second: "1", 1500 * time.Millisecond: "2", time.Hour: "120", 0: "120",
	} {
		if got := router.RetryAfter(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestAmounts_AreShownAsEverywhere(t *testing.T) {
	for _, n := range []fleet.NanoUSD{0, 1, 9, 10, 2_291_667, 18_333_333, 91_666_667, 500_000_000, 1e9, 8_250_000_000, 1_000_000_001, 120_000_000} {
		if got, want := router.AppendUSD(n), n.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestMethods_HeadAndOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		a := w.do(call{method: http.MethodHead, path: "/v1/models"})
		if a.StatusCode != 200 || a.text != "" {
			t.Errorf("HEAD: got %d %q", a.StatusCode, a.text)
		}
		a = w.do(call{method: http.MethodOptions, secret: "-"})
		if a.StatusCode != 204 || a.Header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("OPTIONS: got %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
		}
	})
}
