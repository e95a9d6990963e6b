package router_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/router"
)

func TestModels_OnlyThoseThatTheTokenMayUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		narrow, _ := w.newToken("acme", tenant.NewToken{Models: []string{chatModel}, Scopes: []tenant.Scope{tenant.ScopeModelsRead}})
		inference, _ := w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference}})
		usage, _ := w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeUsageRead}})
		for secret, want := range map[string][]string{narrow: {chatModel}, inference: {chatModel, rareModel, hugeModel}} {
			a := w.do(call{method: "GET", path: "/v1/models", secret: secret})
			var list struct {
				Object string
				Data   []struct{ ID string }
			}
			if err := json.Unmarshal([]byte(a.text), &list); err != nil || list.Object != "list" {
				t.Fatalf("got %s, %v", a.text, err)
			}
			var got []string
			for _, m := range list.Data {
				got = append(got, m.ID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		w.wantCode(w.do(call{method: "GET", path: "/v1/models", secret: usage}), 403, "permission_denied")
		w.wantCode(w.do(call{method: "GET", path: "/v1/models", secret: "-"}), 401, "invalid_api_key")

		want := map[string]any{"gpus": 1., "state": "hot", "price_usd_per_second": "0.002291667", "context_length": 8192.}
		for _, path := range []string{
			"/v1/models/" + chatModel, "/v1/models/" + url.PathEscape(chatModel), "/api/integrations/dgx/v1/models/" + chatModel,
		} {
			a := w.do(call{method: "GET", path: path, secret: narrow})
			var m struct {
				ID, Object string
				Pilotlight map[string]any
			}
			if err := json.Unmarshal([]byte(a.text), &m); err != nil || m.ID != chatModel || m.Object != "model" {
				t.Fatalf("%s: got %s, %v", path, a.text, err)
			}
			if diff := cmp.Diff(want, m.Pilotlight); diff != "" {
				t.Error(diff)
			}
		}
		w.wantCode(w.do(call{method: "GET", path: "/v1/models/" + rareModel, secret: narrow}), 404, "model_not_found")
		w.wantCode(w.do(call{method: "GET", path: "/v1/models/no/such", secret: narrow}), 404, "model_not_found")
	})
}

func TestUsage_OfTheOrgAndReceiptsOfTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		plain, _ := w.newToken("acme", noScopes)
		other, _ := w.newToken("other", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeUsageRead}})
		for secret, id := range map[string]string{plain: "one/1", other: "two"} {
			if a := w.do(call{body: chat(chatModel), secret: secret, header: map[string]string{"X-Request-Id": id}}); a.StatusCode != 200 {
				t.Fatalf("got %+v", a)
			}
		}
		records := w.records(2)
		a := w.do(call{method: "GET", path: "/v1/usage?by=token"})
		var page struct {
			Usage []struct {
				Org, Model, Token_id string
				Requests             int
				Billed_us            int64
			}
			Next_cursor *string
		}
		if err := json.Unmarshal([]byte(a.text), &page); err != nil || len(page.Usage) != 1 || page.Usage[0].Org != "acme" || page.Usage[0].Requests != 1 {
			t.Errorf("got %s, %v; want the organisation's own usage", a.text, err)
		}
		for _, by := range []string{"day,token", "hour&from=2000-01-01&to=2000-01-31"} {
			a := w.do(call{method: "GET", path: "/v1/usage?by=" + by})
			if err := json.Unmarshal([]byte(a.text), &page); err != nil || len(page.Usage) != 1 || page.Usage[0].Org != "acme" || !strings.Contains(a.text, `"2000-01-01`) {
				t.Errorf("by %s: got %s, %v", by, a.text, err)
			}
		}
		w.wantCode(w.do(call{method: "GET", path: "/v1/usage?by=hour"}), 400, "invalid_request")
		w.wantCode(w.do(call{method: "GET", path: "/v1/usage", secret: plain}), 403, "permission_denied")
		w.wantCode(w.do(call{method: "GET", path: "/v1/usage?from=yesterday"}), 400, "invalid_request")
		w.wantCode(w.do(call{method: "GET", path: "/v1/usage?by=mood"}), 400, "invalid_request")

		// Without the scope, a token sees its own receipt; with it, not those of others.
		a = w.do(call{method: "GET", path: "/v1/usage/one%2F1", secret: plain})
		var receipt map[string]any
		if err := json.Unmarshal([]byte(a.text), &receipt); err != nil || a.StatusCode != 200 {
			t.Fatalf("got %d %s, %v", a.StatusCode, a.text, err)
		}
		for _, r := range records {
			if r.RequestID == "one/1" && (receipt["id"] != r.ID || receipt["billed_us"] != float64(r.Billed.Microseconds()) || receipt["cost_usd"] != r.Cost.String()) {
				t.Errorf("got %v, want %+v", receipt, r)
			}
		}
		w.wantCode(w.do(call{method: "GET", path: "/v1/usage/one/1"}), 404, "not_found")
		w.wantCode(w.do(call{method: "GET", path: "/v1/usage/two"}), 404, "not_found")
	})
}

func TestOpenPaths_NeedNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waiting := errors.New("no answer yet from Nomad")
		degraded := []string{"nomad cannot be reached"}
		w := newWorld(t, setup{router: func(c *router.Config) {
			c.Ready, c.Degraded = func() error { return waiting }, func() []string { return degraded }
		}})
		for _, path := range []string{"/healthz", "/openapi.json"} {
			if a := w.do(call{method: "GET", path: path, secret: "-"}); a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: got %d %v", path, a.StatusCode, a.Header)
			}
		}
		a := w.do(call{method: "GET", path: "/readyz", secret: "-"})
		w.wantCode(a, 503, "overloaded")
		if !strings.Contains(a.text, waiting.Error()) {
			t.Errorf("got %s, want what is missing", a.text)
		}
		waiting = nil
		if a := w.do(call{method: "GET", path: "/readyz", secret: "-"}); a.StatusCode != 200 || a.text != `{"degraded":["nomad cannot be reached"],"status":"ok"}` {
			t.Errorf("got %d %s, want ready, and what is lacking", a.StatusCode, a.text)
		}
		degraded = nil
		if a := w.do(call{method: "GET", path: "/readyz", secret: "-"}); a.StatusCode != 200 || a.text != `{"status":"ok"}` {
			t.Errorf("got %d %s, want ready", a.StatusCode, a.text)
		}
	})
}

func TestAliases_ServeTheSameAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		a := w.do(call{path: "/api/integrations/dgx/v1/chat/completions", body: chat(chatModel, stream)})
		if a.StatusCode != 200 || !strings.HasSuffix(a.text, "[DONE]\n\n") {
			t.Errorf("got %d %s", a.StatusCode, a.text)
		}
	})
}

func TestRequestID_IsKeptIfVisibleElseReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		for id, kept := range map[string]bool{
			"a": true, strings.Repeat("x", 128): true, "~!@#[]{}": true,
			"": false, strings.Repeat("x", 129): false, "a b": false, "é": false,
		} {
			a := w.do(call{method: "GET", path: "/healthz", header: map[string]string{"X-Request-Id": id}})
			if got := a.Header.Get("X-Request-Id"); (got == id) != kept || got == "" {
				t.Errorf("%q: got %q", id, got)
			}
		}
	})
}

func TestMaxWait_IsClampedToTheModels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Hour})
		for header, want := range map[string]time.Duration{"2s": 2 * time.Second, "5h": 9 * time.Minute, "": 9 * time.Minute} {
			h := map[string]string{}
			if header != "" {
				h["X-Pilotlight-Max-Wait"] = header
			}
			began := time.Now()
			w.wantCode(w.do(call{body: chat(chatModel), header: h}), http.StatusServiceUnavailable, "activation_timeout")
			if got := time.Since(began); got != want {
				t.Errorf("%q: waited %v, want %v", header, got, want)
			}
		}
	})
}

func TestOnlyHot_IsServedByAHotModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		a := w.do(call{body: chat(chatModel), header: map[string]string{"X-Pilotlight-Max-Wait": "0s"}})
		if a.StatusCode != 200 || a.Header.Get("X-Pilotlight-Start") != "hot" {
			t.Errorf("got %d, start %q", a.StatusCode, a.Header.Get("X-Pilotlight-Start"))
		}
	})
}

func TestMetrics_AreBoundedAndHavePrometheusBuckets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{load: time.Second})
		if got := w.metric(`pilotlight_requests_total{model="` + chatModel + `",code="200"}`); got != "0" {
			t.Errorf("got %q requests before the first, want 0", got)
		}
		w.heat(chatModel)
		for i := range 50 {
			w.do(call{body: chat("made-up/" + strings.Repeat("x", i))})
		}
		if got := w.metric(`pilotlight_requests_total{model="",code="404"}`); got != "50" {
			t.Errorf("got %q unknown models, want 50 in one series", got)
		}
		for _, line := range []string{
			`pilotlight_requests_total{model="` + chatModel + `",code="200"}`,
			`pilotlight_request_seconds_bucket{model="` + chatModel + `",le="+Inf"}`,
			`pilotlight_ttft_seconds_bucket{model="` + chatModel + `",start="cold",le="+Inf"}`,
		} {
			if got := w.metric(line); got != "1" {
				t.Errorf("%s: got %q, want 1", line, got)
			}
		}
	})
}
