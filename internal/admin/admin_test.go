package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestDocumentHasEveryRouteAndNoOther(t *testing.T) {
	var documented []string
	for _, o := range document().Operations() {
		documented = append(documented, o.String())
		if diff := cmp.Diff(document().QueryOf(o), admin.Query(o.String())); diff != "" {
			t.Errorf("%s: parameters of the query (-in the document +in the app):\n%s", o, diff)
		}
	}
	routes := admin.Routes()
	slices.Sort(routes)
	if diff := cmp.Diff(documented, routes); diff != "" {
		t.Errorf("routes (-in the document +in the app):\n%s", diff)
	}
}

func TestUnknownParametersAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, route := range admin.Routes() {
		method, path, _ := strings.Cut(route, " ")
		status, body, _ := w.ask(method, strings.NewReplacer("{id}", "x", "{name}", "x").Replace(path)+"?mood=good", "")
		if status != 400 || codeOf(body) != "invalid_request" || paramOf(body) != "mood" {
			t.Errorf("%s: got %d %s, want a 400 at mood", route, status, body)
		}
	}
}

func TestTokenIsNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := []string{"GET /healthz", "GET /readyz", "GET /openapi.json"}
	for _, route := range append(admin.Routes(), "GET /api/nothing", "GET /") {
		method, path, _ := strings.Cut(route, " ")
		want := http.StatusUnauthorized
		if slices.Contains(open, route) {
			want = http.StatusOK
		}
		for name, header := range map[string]string{
			"none": "", "wrong": "Bearer " + strings.Repeat("x", len(adminToken)), "prefix": "Bearer " + adminToken[:10],
			"longer": "Bearer " + adminToken + "x", "basic": "Basic " + adminToken, "bare": adminToken,
		} {
			if got, body, _ := w.ask(method, strings.NewReplacer("{id}", "x", "{name}", "x").Replace(path), "", "Authorization", header); got != want {
				t.Errorf("%s, token %s: got %d %s, want %d", route, name, got, body, want)
			}
		}
	}
}

func TestLoopbackListenerAnswersOnlyToLoopbackNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8081": 200, "127.0.0.1": 200, "127.9.9.9:1": 200, "[::1]:8081": 200, "admin.localhost": 200,
		"evil.example": 403, "evil.example:8081": 403, "127.0.0.1.evil.example": 403, "10.0.0.1:8081": 403, "localhost.evil.example": 403,
	} {
		for _, path := range []string{"/healthz", "/api/orgs"} {
			if got, body, _ := w.ask("GET", path, "", "Host", host); got != want {
				t.Errorf("Host %s, %s: got %d %s, want %d", host, path, got, body, want)
			}
		}
	}
	if admin.LoopbackHost("") || !admin.LoopbackHost("::1") || !admin.LoopbackHost("LOCALHOST.") {
		t.Error("want ::1 and LOCALHOST. taken for loopback, and an empty host not")
	}
}

func TestHead_AnswersWhereALoadBalancerLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json"} {
		if status, body, _ := w.ask("HEAD", path, ""); status != 200 || body != "" {
			t.Errorf("%s: got %d %q, want 200 and no body", path, status, body)
		}
	}
	if status, _, _ := w.ask("HEAD", "/api/orgs", ""); status != 405 {
		t.Errorf("/api/orgs: got %d, want 405", status)
	}
}

func TestWrongPathsAndMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for request, want := range map[string]string{
		"GET /":                        "404 not_found",
		"GET /api":                     "404 not_found",
		"GET /api/orgs/":               "404 not_found",
		"GET /API/orgs":                "404 not_found",
		"GET /api/audit/1":             "404 not_found",
		"PUT /api/orgs":                "405 method_not_allowed",
		"DELETE /api/models/acme/a":    "405 method_not_allowed",
		"GET /api/models/acme/none":    "404 model_not_found",
		"GET /api/models/none/explain": "404 model_not_found",
		"POST /api/models/none/start":  "404 model_not_found",
		"GET /api/orgs/none":           "404 not_found",
		"PATCH /api/pools/none":        "404 not_found",
		"DELETE /api/tokens/none":      "404 not_found",
		"GET /api/usage?form=2026":     "400 invalid_request",
	} {
		method, path, _ := strings.Cut(request, " ")
		status, body, header := w.ask(method, path, "")
		if got := fmt.Sprint(status, " ", codeOf(body)); got != want {
			t.Errorf("%s: got %s, want %s", request, body, want)
		}
		if allow := header.Get("Allow"); (status == 405) != (allow != "") {
			t.Errorf("%s: got Allow %q with %d", request, allow, status)
		}
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.client.CreateOrg(t.Context(), admin.NewOrg{Name: "acme"})
	check(t, err)
	for _, tt := range []struct{ method, path, body, param, says string }{
		{"POST", "/api/orgs", ``, "", "empty"},
		{"POST", "/api/orgs", `{"name": "x"`, "", "not valid JSON"},
		{"POST", "/api/orgs", `{"name" "x"}`, "", "not valid JSON"},
		{"POST", "/api/orgs", `[]`, "", "not a JSON object"},
		{"POST", "/api/orgs", `{"name": "x"} {}`, "", "more after"},
		{"POST", "/api/orgs", `{"name": "x", "colour": "blue"}`, "colour", "unknown; possible are name, models"},
		{"POST", "/api/orgs", `{"Name": "x"}`, "Name", "unknown"},
		{"POST", "/api/orgs", `{"name": "x", "name": "y"}`, "name", "twice"},
		{"POST", "/api/orgs", `{"name": 5}`, "name", "must be a string"},
		{"POST", "/api/orgs", `{"name": "x", "models": "acme/a"}`, "models", "must be a list"},
		{"POST", "/api/orgs", `{"name": "x", "models": ["acme/none"]}`, "models", "acme/none"},
		{"POST", "/api/orgs", `{"name": "x", "budget_usd": 5}`, "budget_usd", "must be a string"},
		{"POST", "/api/orgs", `{"name": "x", "budget_usd": "5,00"}`, "budget_usd", "decimal"},
		{"POST", "/api/orgs", `{"name": "x", "budget_usd": "-5"}`, "budget_usd", "decimal"},
		{"POST", "/api/orgs", `{"name": "x", "budget_usd": "0.0000000001"}`, "budget_usd", "nine decimals"},
		{"POST", "/api/orgs", `{"name": "x", "budget_usd": "9223372036.854775808"}`, "budget_usd", "9 billion"},
		{"POST", "/api/orgs", `{"name": "x", "budget_usd": "` + strings.Repeat("0", 100) + `"}`, "budget_usd", "at most 64"},
		{"POST", "/api/orgs", `{"name": "x", "budget_period": "hourly"}`, "budget_period", "monthly"},
		{"POST", "/api/orgs", `{"name": "x", "concurrency": -5}`, "concurrency", "out of range"},
		{"POST", "/api/orgs", `{"name": "x", "concurrency": 1.5}`, "concurrency", "a whole number"},
		{"POST", "/api/orgs", `{"name": "x", "concurrency": 99999999999999999999}`, "concurrency", "a whole number"},
		{"POST", "/api/orgs", `{"name": "x", "concurrency": "5"}`, "concurrency", "a whole number"},
		{"PATCH", "/api/orgs/acme", `{"budget_raise": {"budget_usd": "5", "until": "2099-12-31", "why": "x"}}`, "budget_raise", "no budget"},
		{"PATCH", "/api/orgs/acme", `{"budget_raise": {"budget_usd": "5", "until": "someday", "why": "x"}}`, "budget_raise.until", "2026-12-31"},
		{"PATCH", "/api/orgs/acme", `{"budget_raise": {"budget_usd": "x", "until": "2099-12-31", "why": "x"}}`, "budget_raise.budget_usd", "decimal"},
		{"PATCH", "/api/orgs/acme", `{"budget_raise": {"usd": "5"}}`, "budget_raise.usd", "budget_raise.budget_usd, budget_raise.until"},
		{"PATCH", "/api/orgs/acme", `{"budget_raise": "5"}`, "budget_raise", "an object"},
		{"POST", "/api/orgs", `{"name": "no spaces"}`, "name", ""},
		{"POST", "/api/orgs", `{"name": "acme"}`, "name", "exists"},
		{"PATCH", "/api/orgs/acme", `{"state": "asleep"}`, "state", "active or suspended"},
		{"PATCH", "/api/orgs/acme", `{"state": "active", "now": true}`, "now", "suspended"},
		{"PATCH", "/api/orgs/acme", `{"now": true}`, "now", "suspended"},
		{"POST", "/api/tokens", `{"name": "ci"}`, "org", "missing"},
		{"POST", "/api/tokens", `{"org": "acme", "rpm": -5}`, "rpm", "out of range"},
		{"POST", "/api/tokens", `{"org": "acme", "scopes": ["root"]}`, "scopes", "root"},
		{"POST", "/api/tokens", `{"org": "acme", "keepalive": "loud"}`, "keepalive", ""},
		{"POST", "/api/tokens", `{"org": "acme", "expires": "soon"}`, "expires", "time span"},
		{"POST", "/api/tokens", `{"org": "acme", "expires": "2020-01-01T00:00:00Z"}`, "expires", "passed"},
		{"POST", "/api/models/acme/a/start", `{"for": "-1m"}`, "for", "time span"},
		{"POST", "/api/models/acme/a/start", `{"for": "0s"}`, "for", "longer"},
		{"POST", "/api/models/acme/a/stop", `{"now": true}`, "now", "unknown"},
		{"GET", "/api/orgs?limit=5", ``, "limit", "no parameters"},
		{"GET", "/api/usage?from=yesterday", ``, "from", "no moment"},
		{"GET", "/api/usage?from=2026-03-02&to=2026-03-01", ``, "to", "after from"},
		{"GET", "/api/usage?from=2026-03-01&to=2026-03-01", ``, "to", "after from"},
		{"GET", "/api/usage?by=year", ``, "by", "model, token, day"},
		{"GET", "/api/usage?org=a&org=b", ``, "org", "twice"},
		{"GET", "/api/usage/records?limit=0", ``, "limit", "1 to 1000"},
		{"GET", "/api/usage/records?limit=1001", ``, "limit", "1 to 1000"},
		{"GET", "/api/usage/records?cursor=none", ``, "cursor", ""},
		{"GET", "/api/events?after=x", ``, "after", "no id"},
		{"POST", "/api/config", `{"name": "p.hcl"}`, "content", "missing"},
		{"POST", "/api/config", `{"content": "x"}`, "name", "missing"},
		{"POST", "/api/config", `{"name": "a\nb", "content": "x"}`, "name", "control character"},
		{"POST", "/api/config", `{"name": "p.hcl", "content": "x", "path": "/"}`, "path", "unknown"},
		{"POST", "/api/config?dry_run=yes", `{"name": "p.hcl", "content": "x"}`, "dry_run", "neither true nor false"},
		{"POST", "/api/import", `{"name": "o.hcl"}`, "content", "missing"},
		{"POST", "/api/import", `{"content": "x"}`, "name", "missing"},
		{"POST", "/api/import", `{"name": "a\nb", "content": "x"}`, "name", "control character"},
		{"POST", "/api/import?dry_run=1", `{"name": "o.hcl", "content": "x"}`, "dry_run", "neither true nor false"},
		{"POST", "/api/import", `{"name": "o.hcl", "content": "org \"a\" {}", "hashes": [{"org": "a", "name": "t", "sha256": "x"}]}`, "hashes", "64 hexadecimal"},
		{"POST", "/api/import", `{"name": "o.hcl", "content": "org \"a\" { rpm = -1 }"}`, "content", "o.hcl:1: rpm: -1"},
		{"POST", "/api/config?dry=true", `{"name": "p.hcl", "content": "x"}`, "dry", "possible are dry_run"},
	} {
		status, body, _ := w.ask(tt.method, tt.path, tt.body)
		if status != 400 || codeOf(body) != "invalid_request" || !strings.Contains(body, tt.says) || paramOf(body) != tt.param {
			t.Errorf("%s %s %s: got %d %s, want a 400 at %q that says %q", tt.method, tt.path, tt.body, status, body, tt.param, tt.says)
		}
	}
	if got := len(w.fleet.held) + len(w.fleet.stopped) + len(w.fleet.files); got != 0 {
		t.Errorf("%d models were held or stopped, or files applied, by refused requests", got)
	}
}

func TestLargeAndEncodedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if status, body, _ := w.ask("POST", "/api/orgs", `{"name":"x"}`, "Content-Encoding", "gzip"); status != 415 {
		t.Errorf("gzip: got %d %s, want 415", status, body)
	}
	if status, body, _ := w.ask("POST", "/api/orgs", strings.Repeat(" ", 2<<20)); status != 413 || codeOf(body) != "request_too_large" {
		t.Errorf("2 MiB: got %d %s, want 413", status, body)
	}
	if status, body, _ := w.ask("GET", "/api/orgs", "", "X-Large", strings.Repeat("x", 32<<10)); status != 431 {
		t.Errorf("a header of 32 KiB: got %d %s, want 431", status, body)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	var cause error
	w := newWorld(t, func(c *admin.Config) { c.Ready = func() error { return cause } })
	if err := w.client.Ready(t.Context()); err != nil {
		t.Errorf("got %v, want ready", err)
	}
	cause = errors.New("shutting down")
	if err := w.client.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("got %v, want to read why not", err)
	}
}

func TestMetricsAreThoseOfAllSetsAndTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var b strings.Builder
	check(t, w.client.Metrics(t.Context(), &b))
	for _, want := range []string{`pilotlight_test_total{model="acme/a"} 1`, "process_resident_memory_bytes", "go_goroutines"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("metrics have no %s:\n%s", want, b.String())
		}
	}
}

func TestClient_SaysWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := *w.client
	wrong.Token = "wrong"
	var refused *openai.Error
	if _, err := wrong.Orgs(t.Context()); !errors.As(err, &refused) || refused.Status != 401 || !strings.Contains(err.Error(), "PILOTLIGHT_ADMIN_TOKEN") {
		t.Errorf("wrong token: got %v, want a 401 that names PILOTLIGHT_ADMIN_TOKEN", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	nobody := *w.client
	nobody.BaseURL = "http://" + ln.Addr().String()
	check(t, ln.Close())
	if _, err := nobody.Orgs(t.Context()); err == nil || !strings.Contains(err.Error(), "pilotlight dev") {
		t.Errorf("no server: got %v, want a hint to start one", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.client.Orgs(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestClient_OtherServerIsNotOurs(t *testing.T) {
	other := &http.Client{Transport: roundTrip(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: 502, Status: "502 Bad Gateway", Body: io.NopCloser(strings.NewReader("<html>"))}
	})}
	c := &admin.Client{BaseURL: "http://proxy.example", HTTP: other}
	if _, err := c.Models(t.Context()); err == nil || !strings.Contains(err.Error(), "right address") {
		t.Errorf("got %v, want to read that this is no Pilotlight", err)
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func TestNew_NeedsItsParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := admin.Config{Fleet: w.fleet, Tuner: w.fleet, Config: w.fleet, Tenants: w.tenants, Ledger: w.ledger, Audit: w.audit, Admins: admins(t)}
	if _, err := admin.New(c); err != nil {
		t.Errorf("got %v", err)
	}
	c.Ledger = nil
	if _, err := admin.New(c); err == nil {
		t.Error("a config without a ledger was taken")
	}
}

func TestServe_EndsAlsoBeforeItHasBegun(t *testing.T) {
	server, ln := bare(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Serve(ended, ln); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepting afterwards: got %v, want the listener closed", err)
	}
}

func TestServe_FailsWithItsListener(t *testing.T) {
	server, ln := bare(t)
	check(t, ln.Close())
	if err := server.Serve(t.Context(), ln); err == nil {
		t.Error("got nil although the listener was closed by another")
	}
}

// bare is a server that nothing serves yet, with a listener for it.
func bare(t *testing.T) (*admin.Server, net.Listener) {
	t.Helper()
	w := newWorld(t)
	server, err := admin.New(admin.Config{Fleet: w.fleet, Tuner: w.fleet, Config: w.fleet, Tenants: w.tenants, Ledger: w.ledger, Audit: w.audit, Admins: admins(t)})
	check(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return server, ln
}
