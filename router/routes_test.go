package router_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// needed are the scopes of which each route needs one, by its path below a prefix. nil = any token will do.
var needed = map[string][]tenant.Scope{
	"POST /chat/completions":   {tenant.ScopeInference},
	"POST /completions":        {tenant.ScopeInference},
	"POST /embeddings":         {tenant.ScopeInference},
	"POST /responses":          {tenant.ScopeInference},
	"POST /messages":           {tenant.ScopeInference},
	"GET /models":              {tenant.ScopeModelsRead, tenant.ScopeInference},
	"GET /models/*":            {tenant.ScopeModelsRead, tenant.ScopeInference},
	"GET /usage":               {tenant.ScopeUsageRead},
	"GET /usage/*":             nil, // only its own token's
	"GET /invoices":            {tenant.ScopeUsageRead},
	"GET /invoices/*":          {tenant.ScopeUsageRead},
	"GET /invoices/*/receipts": {tenant.ScopeUsageRead},

	"GET /organization/tokens":      {tenant.ScopeTokensManage},
	"POST /organization/tokens":     {tenant.ScopeTokensManage},
	"DELETE /organization/tokens/*": {tenant.ScopeTokensManage},
}

// openRoutes need no token at all.
var openRoutes = []string{"GET /healthz", "GET /health", "GET /readyz", "GET /openapi.json"}

// Every route is asked with every token that must not open it, so that one that is added cannot be forgotten.
func TestRoutes_OpenOnlyToTokensWithTheirRights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		all := tenant.NewToken{Scopes: tenant.Scopes()}
		expiring := all
		expiring.ExpiresAt = time.Now().Add(time.Minute)
		expired, _ := w.newToken("acme", expiring)
		revoked, id := w.newToken("acme", all)
		suspended, _ := w.newToken("lapsed", all)
		_, err := w.tenants.RevokeToken(context.Background(), id)
		w.must(err)
		_, err = w.tenants.SuspendOrg(context.Background(), "lapsed")
		w.must(err)
		time.Sleep(2 * time.Minute)
		bad := map[string]struct {
			secret string
			status int
			code   string
		}{
			"none": {"-", 401, "invalid_api_key"}, "mistyped": {w.secret[1:], 401, "invalid_api_key"}, "unknown": {tenant.NewSecret(), 401, "invalid_api_key"},
			"revoked": {revoked, 401, "invalid_api_key"}, "expired": {expired, 401, "invalid_api_key"}, "suspended": {suspended, 403, "permission_denied"},
		}
		scoped := map[tenant.Scope]string{}
		for _, s := range tenant.Scopes() {
			scoped[s], _ = w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{s}})
		}
		foreign, _ := w.newToken("other", all)
		asked, opened := 0, []func(){}
		for _, route := range w.router.Routes() {
			method, path, _ := strings.Cut(route, " ")
			if method == "OPTIONS" || slices.Contains(openRoutes, strings.Replace(route, "HEAD ", "GET ", 1)) {
				continue
			}
			below := path
			for _, prefix := range []string{"/v1", "/api/integrations/dgx/v1"} {
				below = strings.TrimPrefix(below, prefix)
			}
			scopes, known := needed[strings.Replace(method, "HEAD", "GET", 1)+" "+below]
			if !known {
				t.Errorf("%s: say in needed which scopes it needs", route)
				continue
			}
			c := call{method: method, path: strings.Replace(path, "*", chatModel, 1)}
			if method == "POST" {
				c.body = `{"model":"` + chatModel + `","messages":[],"prompt":"a","input":"a","max_tokens":1}`
			}
			if below == "/messages" { // which has an error shape, a header and a way to send a token of its own
				c.header = map[string]string{"anthropic-version": "2023-06-01"}
			}
			refused := func(why, secret string, status int, code string) {
				c.secret = secret
				a := w.do(c)
				asked++
				if a.StatusCode != status || method != "HEAD" && !strings.Contains(a.text, code) && below != "/messages" {
					t.Errorf("%s with a token that is %s: got %d %s, want %d %s", route, why, a.StatusCode, a.text, status, code)
				}
			}
			for why, b := range bad {
				refused(why, b.secret, b.status, b.code)
			}
			for s, secret := range scoped {
				if len(scopes) > 0 && !slices.Contains(scopes, s) {
					refused("of scope "+string(s)+" alone", secret, 403, "permission_denied")
					continue
				}
				opened = append(opened, func() {
					c.secret = secret
					if a := w.do(c); a.StatusCode == 401 || a.StatusCode == 403 {
						t.Errorf("%s with a token of scope %s: got %d %s, want it opened", route, s, a.StatusCode, a.text)
					}
				})
			}
			if owned := strings.NewReplacer("/usage/*", "/usage/theirs", "/tokens/*", "/tokens/"+w.token).Replace(path); owned != path {
				opened = append(opened, func() {
					c.path = owned
					refused("another organisation's", foreign, 404, "not_found")
				})
			}
		}
		if least := 2 * 16 * len(bad); asked < least {
			t.Errorf("asked %d times, want %d or more: the routes are not all there", asked, least)
		}
		if n := len(w.records(0)); n > 0 {
			t.Errorf("got %d requests dispatched", n)
		}
		if a := w.do(call{body: chat(chatModel), header: map[string]string{"X-Request-Id": "theirs"}}); a.StatusCode != 200 {
			t.Fatalf("got %d %s", a.StatusCode, a.text)
		}
		for _, open := range opened {
			open()
		}
		if _, err := w.tenants.Authenticate(w.secret); err != nil {
			t.Errorf("another organisation has revoked a token: %v", err)
		}
	})
}

// Every route is in the OpenAPI document, and no other.
func TestRoutes_AreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var served, documented []string
		for _, route := range w.router.Routes() {
			method, path, _ := strings.Cut(route, " ")
			if method == "HEAD" || method == "OPTIONS" || strings.HasPrefix(path, "/api/integrations/") {
				continue
			}
			served = append(served, route)
		}
		named := regexp.MustCompile(`\{\w+\}`)
		for _, o := range document().Operations() {
			documented = append(documented, named.ReplaceAllString(o.String(), "*"))
		}
		slices.Sort(served)
		slices.Sort(documented)
		if diff := cmp.Diff(documented, served); diff != "" {
			t.Errorf("(-in the document +served):\n%s", diff)
		}
	})
}
