package router_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// TestAudit_TokensOfAnOrganisationsPeople: what they change is in the audit log under their token's ID, and what they fail to do is not: they could fill it.
func TestAudit_TokensOfAnOrganisationsPeople(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		secret, id := w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeTokensManage, tenant.ScopeInference}})
		made := w.do(call{path: tokensPath, secret: secret, body: `{"name": "n", "scopes": ["inference"]}`, header: map[string]string{"X-Request-Id": "the-first"}})
		_, rest, _ := strings.Cut(made.text, `"id":"`)
		token, _, _ := strings.Cut(rest, `"`)
		_, rest, _ = strings.Cut(made.text, `"token":"`)
		itsSecret, _, _ := strings.Cut(rest, `"`)
		for _, body := range []string{`{"scopes": ["usage:read"]}`, `{"mood": 1}`, `{"rpm": -1}`} {
			if a := w.do(call{path: tokensPath, secret: secret, body: body}); a.StatusCode/100 != 4 {
				t.Errorf("%s: got %d %s", body, a.StatusCode, a.text)
			}
		}
		for range 2 { // the second time there is nothing to revoke
			if a := w.do(call{method: "DELETE", path: tokensPath + "/" + token, secret: secret, header: map[string]string{"X-Request-Id": "the-last"}}); a.StatusCode != 200 {
				t.Errorf("revoking: got %d %s", a.StatusCode, a.text)
			}
		}
		page, _, err := w.audit.List(t.Context(), audit.Query{})
		w.must(err)
		var got []string
		for _, e := range page {
			got = append(got, fmt.Sprint(e.Request, " ", e.Actor, " ", e.Org, " ", e.Via, " ", e.Action, " ", e.Subject, e.Error))
			if e.From == "" || itsSecret == "" || strings.Contains(string(e.After), itsSecret) {
				t.Errorf("got %+v, want from where, and no secret", e)
			}
		}
		want := fmt.Sprintf("the-last %[1]s acme api token.revoke token/%[2]s, the-first %[1]s acme api token.create token/%[2]s", id, token)
		if strings.Join(got, ", ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}
