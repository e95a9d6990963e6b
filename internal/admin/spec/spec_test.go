package spec_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/admin/spec"
)

const (
	org   = `{"name":"a","state":"active","models":[],"rpm":null,"concurrency":null,"budget_usd":null,"budget_period":"monthly","budget_soft":false,"budget_raise":null,"created_at":"2026-03-01T12:00:00.000000Z"}`
	event = `{"id":"x-1","at":"2026-03-01T12:00:00.000000Z","model":"m","instance":"i","from":"","to":"starting","reason":"","gpu_us":0,"waited_us":0}`
	chat  = `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}`
	fault = `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"not_found"}}`
)

func TestCheck(t *testing.T) {
	operators, callers := load(t, admin.OpenAPI()), load(t, admin.PublicOpenAPI())
	const json, sse = "application/json", "text/event-stream"
	for _, tt := range []struct {
		name, method, path string
		sent               string // the request's body
		status             int
		media, body, wrong string // wrong: what the error says; empty = none
	}{
		{"as documented", "GET", "/api/orgs/a", "", 200, json, org, ""},
		{"with a charset", "GET", "/api/orgs/a", "", 200, json + "; charset=utf-8", org, ""},
		{"an error", "GET", "/api/orgs/a", "", 404, json, fault, ""},
		{"an event", "GET", "/api/events?after=x-1", "", 200, sse, ": hello\n\nid: 1\ndata: " + event + "\n\n", ""},
		{"a stream of an engine", "POST", "/v1/chat/completions", chat, 200, sse, "data: {\"id\":1}\n\ndata: [DONE]\n\n", ""},
		{"an id with slashes", "GET", "/api/models/a/b/c/explain", "", 404, json, fault, ""},
		{"an unknown path refused", "GET", "/nowhere", "", 404, json, fault, ""},
		{"a request that was taken", "POST", "/api/orgs", `{"name":"a"}`, 201, json, org, ""},
		{"a request that was refused", "POST", "/api/orgs", `{"name":1}`, 400, json, fault, ""},

		{"a field too many", "GET", "/api/orgs/a", "", 200, json, strings.Replace(org, `"name"`, `"colour":1,"name"`, 1), "colour"},
		{"a field too few", "GET", "/api/orgs/a", "", 200, json, strings.Replace(org, `"state":"active",`, ``, 1), "state"},
		{"a time without microseconds", "GET", "/api/orgs/a", "", 200, json, strings.Replace(org, `.000000Z`, `Z`, 1), "created_at"},
		{"another status", "GET", "/api/orgs/a", "", 202, json, org, "202"},
		{"another type", "GET", "/api/orgs/a", "", 200, "text/plain", org, "text/plain"},
		{"another schema", "GET", "/api/models/a/explain", "", 200, json, org, "explain"},
		{"an error of another shape", "GET", "/api/orgs/a", "", 404, json, `{"error":"not found"}`, "error"},
		{"an error of an unknown code", "GET", "/api/orgs/a", "", 404, json, strings.Replace(fault, `"not_found"`, `"oops"`, 1), "code"},
		{"an event of another shape", "GET", "/api/events", "", 200, sse, "data: {}\n\n", "missing"},
		{"an unknown path answered", "GET", "/nowhere", "", 200, json, `{}`, "not in the document"},
		{"an unknown path refused in another shape", "GET", "/nowhere", "", 404, json, `{}`, "error"},
		{"no JSON", "GET", "/api/orgs/a", "", 200, json, `{`, "decoded"},
		{"a request that should have been refused", "POST", "/api/orgs", `{"name":1}`, 201, json, org, "name"},
		{"a field that should have been refused", "POST", "/api/orgs", `{"name":"a","colour":1}`, 201, json, org, "colour"},
		{"a body where there is none", "GET", "/api/orgs/a", `{"name":"a"}`, 200, json, org, "body"},
		{"a parameter that should have been refused", "GET", "/api/queue?limit=many", "", 200, json, `{"waiting":[],"all":0}`, "limit"},
	} {
		request := httptest.NewRequest(tt.method, tt.path, nil)
		request.Header.Set("Authorization", "Bearer x")
		if tt.sent != "" {
			request.Header.Set("Content-Type", json)
		}
		s := operators
		if strings.HasPrefix(tt.path, "/v1/") {
			s = callers
		}
		response := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.media}}}
		err := s.Check(request, []byte(tt.sent), response, []byte(tt.body))
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.wrong)
		}
	}
}

func TestLoad_RefusesWhatLeadsNowhere(t *testing.T) {
	broken := strings.Replace(string(admin.OpenAPI()), `"#/components/schemas/Scope"`, `"#/components/schemas/Scoop"`, 1)
	if _, err := spec.Load([]byte(broken)); err == nil {
		t.Error("a reference to a schema that does not exist was taken")
	}
}

func TestLoad_RefusesWhatIsNotOpenAPI(t *testing.T) {
	for _, broken := range []string{
		strings.Replace(string(admin.OpenAPI()), `"responses":`, `"answers":`, 1),
		strings.Replace(string(admin.OpenAPI()), `"in":"path"`, `"in":"way"`, 1),
		strings.Replace(string(admin.OpenAPI()), `"3.1.0"`, `"4.0.0"`, 1),
		`{}`, ``,
	} {
		if _, err := spec.Load([]byte(broken)); err == nil {
			t.Errorf("%.80s was taken", broken)
		}
	}
}

func load(t *testing.T, document []byte) *spec.Spec {
	t.Helper()
	s, err := spec.Load(document)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each listener's document has its own operations alone, and no component that none of them needs.
func TestOperations_AreThoseOfTheListener(t *testing.T) {
	if text := string(admin.PublicOpenAPI()); strings.Contains(text, "/api/orgs") || strings.Contains(text, "adminToken") || strings.Contains(text, "Orphan") {
		t.Error("the public document speaks of what is the operators'")
	}
	if text := string(admin.OpenAPI()); strings.Contains(text, "/v1/models") || strings.Contains(text, "orgToken") || strings.Contains(text, "ChatRequest") {
		t.Error("the admin document speaks of what is the callers'")
	}
	var public []string
	for _, o := range load(t, admin.PublicOpenAPI()).Operations() {
		public = append(public, o.String())
	}
	want := "DELETE /v1/organization/tokens/{id}, GET /health, GET /healthz, GET /openapi.json, GET /readyz, GET /v1/invoices, GET /v1/invoices/{month}, GET /v1/invoices/{month}/receipts, GET /v1/models, GET /v1/models/{id}, " +
		"GET /v1/organization/tokens, GET /v1/usage, GET /v1/usage/{request_id}, POST /v1/chat/completions, POST /v1/completions, POST /v1/embeddings, " +
		"POST /v1/messages, POST /v1/organization/tokens, POST /v1/responses"
	if got := strings.Join(public, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
