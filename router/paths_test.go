package router_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPaths_NearlyRightOnesAreToldTheRightOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for _, row := range []struct{ method, path, says string }{
			{"POST", "/v1/v1/chat/completions", "POST /v1/chat/completions"},
			{"POST", "/v1//chat/completions", "POST /v1/chat/completions"},
			{"POST", "//chat/completions", "POST /v1/chat/completions"},
			{"POST", "/chat/completions", "POST /v1/chat/completions"},
			{"POST", "/V1/Chat/Completions", "POST /v1/chat/completions"},
			{"POST", "/v1/chat/completion", "POST /v1/chat/completions"},
			{"POST", "/v1/chat/completions/chat/completions", "POST /v1/chat/completions"},
			{"POST", "/openai/deployments/some/chat/completions", "POST /v1/chat/completions"},
			{"POST", "/v1/engines/some/completions", "POST /v1/completions"},
			{"POST", "/completions", "POST /v1/completions"},
			{"POST", "/embeddings", "POST /v1/embeddings"},
			{"POST", "/v1/v1/messages", "POST /v1/messages"},
			{"GET", "/models", "GET /v1/models"},
			{"GET", "/v1/v1/models", "GET /v1/models"},
			{"GET", "/v1/v1/models/a/b", "GET /v1/models/a/b"},
			{"GET", "/usage", "GET /v1/usage"},
			{"GET", "/organization/tokens", "GET /v1/organization/tokens"},
			{"GET", "/v1/healthz", "GET /healthz"},
			{"POST", "/api/integrations/dgx/chat/completions", "POST /v1/chat/completions"},
			{"POST", "/api/integrations/dgx/v1/v1/chat/completions", "POST /api/integrations/dgx/v1/chat/completions"},
			{"POST", "/", "/v1/chat/completions"},
			{"GET", "/v1", "/v1/chat/completions"},
			{"POST", "/nothing/of/the/kind", "/openapi.json"},
		} {
			a := w.do(call{method: row.method, path: row.path, body: chat(chatModel)})
			w.wantCode(a, 404, "not_found")
			if !strings.Contains(a.text, row.says) {
				t.Errorf("%s %s: got %s, want it to say %s", row.method, row.path, a.text, row.says)
			}
		}
		if a := w.do(call{method: "GET", path: "/v1/" + strings.Repeat("x", 4096) + "/models"}); len(a.text) > 1024 {
			t.Errorf("got %d bytes for a long path, want it not repeated", len(a.text))
		}
	})
}

func TestQuery_UnknownParametersAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for _, row := range []struct{ method, path, param, says string }{
			{"GET", "/v1/usage?month=2026-03", "month", "by, cursor, from, limit, to"},
			{"GET", "/v1/usage?from=2026-03-01&from=2026-04-01", "from", "twice"},
			{"GET", "/v1/usage/some-request?by=day", "by", "no parameters"},
			{"GET", "/v1/models?limit=1", "limit", "no parameters"},
			{"GET", "/v1/models/" + chatModel + "?x", "x", "no parameters"},
			{"GET", "/healthz?x=1", "x", "no parameters"},
			{"GET", "/health?x=1", "x", "no parameters"},
			{"GET", "/readyz?x=1", "x", "no parameters"},
			{"GET", "/openapi.json?x=1", "x", "no parameters"},
			{"POST", "/v1/chat/completions?api-version=2024-10-21", "api-version", "no parameters"},
			{"POST", "/v1/completions?stream=true", "stream", "no parameters"},
			{"POST", "/api/integrations/dgx/v1/chat/completions?a=b", "a", "no parameters"},
		} {
			a := w.do(call{method: row.method, path: row.path, body: chat(chatModel)})
			w.wantCode(a, 400, "invalid_request")
			if !strings.Contains(a.text, `"param":"`+row.param+`"`) || !strings.Contains(a.text, row.says) {
				t.Errorf("%s %s: got %s, want param %s and %q", row.method, row.path, a.text, row.param, row.says)
			}
		}
		if a := w.do(call{method: "GET", path: "/v1/usage?from=2026-03-01&by=model"}); a.StatusCode != 200 {
			t.Errorf("got %d %s for parameters that are known, want 200", a.StatusCode, a.text)
		}
		if a := w.do(call{method: "GET", path: "/v1/models?"}); a.StatusCode != 200 {
			t.Errorf("got %d %s for an empty query, want 200", a.StatusCode, a.text)
		}
	})
}

func TestHealth_IsAnAliasForThoseWhoBeginWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for _, path := range []string{"/health", "/healthz"} {
			if a := w.do(call{method: "GET", path: path, secret: "-"}); a.StatusCode != 200 || a.text != `{"status":"ok"}` {
				t.Errorf("GET %s: got %d %s, want 200 ok", path, a.StatusCode, a.text)
			}
			a := w.do(call{method: http.MethodHead, path: path, secret: "-"})
			if a.StatusCode != 200 || a.text != "" || a.ContentLength != int64(len(`{"status":"ok"}`)) {
				t.Errorf("HEAD %s: got %d %q with length %d, want 200, no body, and its length", path, a.StatusCode, a.text, a.ContentLength)
			}
		}
	})
}
