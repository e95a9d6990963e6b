package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const tokensPath = "/v1/organization/tokens"

// managed is an answer about tokens.
type managed struct {
	Object, ID, Org, Name, Token string
	Scopes, Models               []string
	RPM                          *int
	BudgetUSD                    *string    `json:"budget_usd"`
	ExpiresAt                    *time.Time `json:"expires_at"`
	RevokedAt                    *time.Time `json:"revoked_at"`
	LastUsedAt                   *time.Time `json:"last_used_at"`
	Deleted                      bool
}

type managedList struct {
	Object  string
	Data    []managed
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// manager makes a token with tokens:manage and more.
func (w *world) manager(org string, n tenant.NewToken) string {
	n.Scopes = append(n.Scopes, tenant.ScopeTokensManage)
	secret, _ := w.newToken(org, n)
	return secret
}

// manage asks about tokens and reads the answer.
func manage[T any](w *world, method, path, secret, body string, status int) (answer T) {
	w.Helper()
	a := w.do(call{method: method, path: path, secret: secret, body: body})
	w.must(a.err)
	if a.StatusCode != status {
		w.Fatalf("%s %s: got %d %s, want %d", method, path, a.StatusCode, a.text, status)
	}
	w.must(json.Unmarshal([]byte(a.text), &answer))
	return answer
}

func TestTokens_AnOrganisationsPeopleMakeListAndRevokeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		secret := w.manager("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeModelsRead}})
		w.newToken("other", tenant.NewToken{})
		time.Sleep(time.Second) // so that it is the newest
		made := manage[managed](w, "POST", tokensPath, secret, `{"name": "ci", "models": ["`+chatModel+`"], "rpm": 60, "budget_usd": "2.5", "expires": "30d"}`, 201)
		if made.Object != "organization.token" || made.Org != "acme" || made.Name != "ci" || *made.RPM != 60 || *made.BudgetUSD != "2.50" ||
			!cmp.Equal(made.Scopes, []string{"inference", "models:read"}) || !cmp.Equal(made.Models, []string{chatModel}) || time.Until(*made.ExpiresAt) != 30*24*time.Hour {
			t.Errorf("got %+v", made)
		}
		if a := w.do(call{body: chat(chatModel), secret: made.Token}); a.StatusCode != 200 {
			t.Errorf("the secret: got %d %s, want it to work", a.StatusCode, a.text)
		}
		w.wantCode(w.do(call{body: chat(rareModel), secret: made.Token}), 403, "permission_denied")

		list := manage[managedList](w, "GET", tokensPath, secret, "", 200)
		if len(list.Data) != 3 || list.HasMore || *list.FirstID != list.Data[0].ID || *list.LastID != made.ID || list.Object != "list" {
			t.Errorf("got %+v, want the organisation's three tokens", list)
		}
		for _, one := range list.Data {
			if one.Token != "" || one.Org != "acme" {
				t.Errorf("got %+v, want no secret, and none of another organisation", one)
			}
		}
		if last := list.Data[2]; last.LastUsedAt == nil {
			t.Errorf("got %+v, want when it was used", last)
		}
		for range 2 { // again changes nothing
			if gone := manage[managed](w, "DELETE", tokensPath+"/"+made.ID, secret, "", 200); !gone.Deleted || gone.ID != made.ID || gone.Object != "organization.token.deleted" {
				t.Errorf("got %+v, want it revoked", gone)
			}
		}
		w.wantCode(w.do(call{body: chat(chatModel), secret: made.Token}), 401, "invalid_api_key")
		if list := manage[managedList](w, "GET", tokensPath, secret, "", 200); list.Data[2].RevokedAt == nil {
			t.Errorf("got %+v, want to see that it was revoked", list.Data[2])
		}
		if a := w.do(call{method: "HEAD", path: tokensPath, secret: secret}); a.StatusCode != 200 {
			t.Errorf("HEAD: got %d", a.StatusCode)
		}
		for path, allow := range map[string]string{tokensPath: "GET, HEAD, POST, OPTIONS", tokensPath + "/x": "DELETE, OPTIONS"} {
			if a := w.do(call{method: "OPTIONS", path: path, secret: "-"}); a.StatusCode != 204 || a.Header.Get("Allow") != allow {
				t.Errorf("OPTIONS %s: got %d, %q", path, a.StatusCode, a.Header.Get("Allow"))
			}
		}
	})
}

func TestTokens_OfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		secret := w.manager("acme", tenant.NewToken{})
		theirs, id := w.newToken("other", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeModelsRead}})
		unknown := w.do(call{method: "DELETE", path: tokensPath + "/" + strings.Repeat("x", len(id)), secret: secret})
		foreign := w.do(call{method: "DELETE", path: tokensPath + "/" + id, secret: secret})
		w.wantCode(unknown, 404, "not_found")
		w.wantCode(foreign, 404, "not_found")
		if strings.ReplaceAll(unknown.text, strings.Repeat("x", len(id)), id) != foreign.text {
			t.Errorf("got %s and %s: the answers tell which ids exist", unknown.text, foreign.text)
		}
		w.wantCode(w.do(call{method: "GET", path: tokensPath + "?after=" + id, secret: secret}), 400, "invalid_request")
		if a := w.do(call{method: "GET", path: "/v1/models", secret: theirs}); a.StatusCode != 200 {
			t.Errorf("got %d %s, want another organisation's token untouched", a.StatusCode, a.text)
		}
	})
}

func TestTokens_GiveNoMoreThanTheirMakerHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		end := time.Now().Add(10 * 24 * time.Hour)
		narrow := w.manager("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference}, Models: []string{chatModel}, ExpiresAt: end})
		for body, want := range map[string]struct{ param, says string }{
			`{"scopes": ["usage:read"]}`: {"scopes", "has not the scope usage:read"},
			`{}`:                         {"scopes", "models:read"}, // the default has it
			`{"scopes": ["inference"], "models": ["` + rareModel + `"]}`: {"models", "may not use the model"},
			`{"scopes": ["inference"], "models": ["made/up"]}`:           {"models", "may not use the model"},
			`{"scopes": ["inference"], "expires": "11d"}`:                {"expires", "ends with it or sooner"},
		} {
			a := w.do(call{path: tokensPath, secret: narrow, body: body})
			w.wantCode(a, 403, "permission_denied")
			if !strings.Contains(a.text, want.says) || !strings.Contains(a.text, `"param":"`+want.param+`"`) {
				t.Errorf("%s: got %s, want it to name %s and say %q", body, a.text, want.param, want.says)
			}
		}
		made := manage[managed](w, "POST", tokensPath, narrow, `{"scopes": ["inference", "tokens:manage"]}`, 201)
		if !cmp.Equal(made.Models, []string{chatModel}) || made.ExpiresAt == nil || !made.ExpiresAt.Equal(end.Truncate(time.Microsecond)) {
			t.Errorf("got %+v, want its maker's model and end", made)
		}
		// What it has made makes no more than that either.
		w.wantCode(w.do(call{path: tokensPath, secret: made.Token, body: `{"scopes": ["usage:read"]}`}), 403, "permission_denied")

		// Of an organisation with few models, nobody gives more.
		_, err := w.tenants.UpdateOrg(context.Background(), "acme", tenant.OrgChange{Models: &[]string{chatModel}})
		w.must(err)
		wide := w.manager("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference}})
		a := w.do(call{path: tokensPath, secret: wide, body: `{"scopes": ["inference"], "models": ["` + rareModel + `"]}`})
		w.wantCode(a, 400, "invalid_request")
	})
}

func TestTokens_BadRequestsNameTheField(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		secret := w.manager("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeModelsRead}})
		for body, want := range map[string]struct{ param, says string }{
			``: {"", "empty"}, `[]`: {"", "not a JSON object"},
			`{"org": "other"}`:          {"org", "unknown; possible are name, scopes"},
			`{"nam": "x"}`:              {"nam", "unknown"},
			`{"scopes": ["root"]}`:      {"scopes", "there is no scope"},
			`{"expires": "soon"}`:       {"expires", "time span"},
			`{"rpm": -1}`:               {"rpm", "out of range"},
			`{"budget_usd": 5}`:         {"budget_usd", "a string"},
			`{"budget_usd": "1e9"}`:     {"budget_usd", "decimal"},
			`{"name": "a\u0000"}`:       {"name", "control character"},
			`{"keepalive": "loud"}`:     {"keepalive", "off, comment or chunk"},
			`{"name": 1}`:               {"name", "a string"},
			`{"name": "a", "name": ""}`: {"name", "twice"},
		} {
			a := w.do(call{path: tokensPath, secret: secret, body: body})
			w.wantCode(a, 400, "invalid_request")
			if !strings.Contains(a.text, want.says) || want.param != "" && !strings.Contains(a.text, `"param":"`+want.param+`"`) {
				t.Errorf("%s: got %s, want it to name %q and say %q", body, a.text, want.param, want.says)
			}
		}
		w.wantCode(w.do(call{path: tokensPath, secret: secret, body: strings.Repeat(" ", 65<<10)}), 413, "request_too_large")
		w.wantCode(w.do(call{path: tokensPath, secret: secret, body: "{}", header: map[string]string{"Content-Encoding": "gzip"}}), 415, "unsupported_encoding")
		for query, param := range map[string]string{"?limit=0": "limit", "?limit=101": "limit", "?cursor=x": "cursor", "?after=tok_none": "after"} {
			a := w.do(call{method: "GET", path: tokensPath + query, secret: secret})
			w.wantCode(a, 400, "invalid_request")
			if !strings.Contains(a.text, `"param":"`+param+`"`) {
				t.Errorf("%s: got %s, want it to name %s", query, a.text, param)
			}
		}
		w.wantCode(w.do(call{method: "PUT", path: tokensPath, secret: secret}), 405, "method_not_allowed")
		w.wantCode(w.do(call{method: "GET", path: tokensPath + "/tok_x", secret: secret}), 405, "method_not_allowed")
	})
}

func TestTokens_ComeInPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		secret := w.manager("acme", tenant.NewToken{})
		want := map[string]bool{}
		for i := range 23 { // at one moment: time stands still here
			_, id := w.newToken("acme", tenant.NewToken{Name: fmt.Sprint(i)})
			want[id] = true
		}
		if first := manage[managedList](w, "GET", tokensPath, secret, "", 200); len(first.Data) != 20 || !first.HasMore {
			t.Errorf("got %d, more %v; want 20 of 25", len(first.Data), first.HasMore)
		}
		seen, after := map[string]bool{}, ""
		for pages := 0; ; pages++ {
			list := manage[managedList](w, "GET", tokensPath+"?limit=5"+after, secret, "", 200)
			for _, one := range list.Data {
				if seen[one.ID] {
					t.Errorf("%s came twice", one.ID)
				}
				seen[one.ID] = true
				delete(want, one.ID)
			}
			if !list.HasMore {
				break
			}
			if after = "&after=" + *list.LastID; pages > 10 {
				t.Fatal("there is no last page")
			}
		}
		if len(seen) != 25 || len(want) != 0 {
			t.Errorf("got %d of 25 tokens; missing %v", len(seen), want)
		}
		end := manage[managedList](w, "GET", tokensPath+"?limit=100"+after, secret, "", 200)
		last := manage[managedList](w, "GET", tokensPath+"?after="+*end.LastID, secret, "", 200)
		if len(last.Data) != 0 || last.FirstID != nil || last.LastID != nil || last.HasMore {
			t.Errorf("got %+v after the last, want nothing", last)
		}
	})
}

// A token that another server has just revoked, of which this one has not heard yet, makes no more tokens.
func TestTokens_ARevokedMakerMakesNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		secret := w.manager("acme", tenant.NewToken{})
		g, err := w.tenants.Authenticate(secret)
		w.must(err)
		_, err = w.tenants.RevokeToken(context.Background(), g.TokenID)
		w.must(err)
		if _, _, err := w.tenants.Delegate(context.Background(), g, tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeTokensManage}}); err == nil {
			t.Error("it has made one")
		}
		w.wantCode(w.do(call{path: tokensPath, secret: secret, body: `{"scopes": ["tokens:manage"]}`}), 401, "invalid_api_key")
	})
}
