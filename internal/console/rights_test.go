package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// TestRights holds every page against every kind of visitor.
func TestRights(t *testing.T) {
	w := newWorld(t)
	record, month := w.used("acme", "m/one"), w.now.Format("2006-01")
	visitors := []struct {
		name   string
		signIn func() *browser
	}{
		{"nobody", func() *browser { return w.browser(w.operator) }},
		{"operator", func() *browser { b := w.browser(w.operator); b.signIn(adminToken); return b }},
		{"inference", func() *browser { return w.signedIn(tenant.ScopeInference) }},
		{"usage:read", func() *browser { return w.signedIn(tenant.ScopeUsageRead) }},
		{"tokens:manage", func() *browser { return w.signedIn(tenant.ScopeTokensManage) }},
	}
	const in, ok, no = http.StatusSeeOther, http.StatusOK, http.StatusForbidden
	for _, page := range []struct {
		path string
		want [5]int // by visitor
	}{
		{"/", [5]int{in, ok, ok, ok, ok}},
		{"/models?q=one&sort=-gpus&state=cold", [5]int{in, ok, ok, ok, ok}},
		{"/model/m/one", [5]int{in, ok, ok, ok, ok}},
		{"/tokens", [5]int{in, ok, no, no, ok}},
		{"/usage", [5]int{in, ok, no, ok, no}},
		{"/usage?by=day&sort=requests", [5]int{in, ok, no, ok, no}},
		{"/usage.csv", [5]int{in, ok, no, ok, no}},
		{"/requests", [5]int{in, ok, no, ok, no}},
		{"/request/" + record.ID, [5]int{in, ok, no, ok, no}},
		{"/invoices", [5]int{in, ok, no, ok, no}},
		{"/invoice/acme/" + month, [5]int{in, ok, no, ok, no}},
		{"/fleet", [5]int{in, ok, no, no, no}},
		{"/queue", [5]int{in, ok, no, no, no}},
		{"/activations", [5]int{in, ok, no, no, no}},
		{"/pools", [5]int{in, ok, no, no, no}},
		{"/audit", [5]int{in, ok, no, no, no}},
		{"/kit", [5]int{in, ok, no, no, no}},
	} {
		for i, v := range visitors {
			if got := v.signIn().get(page.path); got.status != page.want[i] {
				t.Errorf("%s of %s: got %d, want %d\n%s", page.path, v.name, got.status, page.want[i], got.body)
			}
		}
	}
}

// signedIn is a browser of somebody of the organisation acme, at the admin address.
func (w *world) signedIn(scopes ...tenant.Scope) *browser {
	w.t.Helper()
	secret, _ := w.token("acme", scopes...)
	b := w.browser(w.operator)
	if got := b.signIn(secret); got.status != http.StatusSeeOther {
		w.t.Fatalf("signing in: got %d\n%s", got.status, got.body)
	}
	return b
}

// TestRights_AtTheCallersSide: operators do not sign in where callers do, and their pages are not there.
func TestRights_AtTheCallersSide(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.caller)
	if got := b.signIn(adminToken); got.status != http.StatusForbidden {
		t.Errorf("the admin token: got %d, want it refused", got.status)
	}
	secret, _ := w.token("acme", tenant.Scopes()...)
	if got := b.signIn(secret); got.status != http.StatusSeeOther || got.location != "/console/" {
		t.Errorf("signing in: got %d to %q", got.status, got.location)
	}
	for _, path := range []string{"/fleet", "/queue", "/pools", "/audit", "/activations", "/kit"} {
		if got := b.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want it not there", path, got.status)
		}
	}
	if got := b.get("/usage"); got.status != http.StatusOK {
		t.Errorf("/usage: got %d", got.status)
	}
}

// TestOrganisations_SeeNothingOfEachOther: whatever an address names, an organisation sees its own.
func TestOrganisations_SeeNothingOfEachOther(t *testing.T) {
	w := newWorld(t)
	theirs := w.used("zoo", "m/two")
	w.used("acme", "m/one")
	_, token := w.token("zoo", tenant.ScopeInference)
	secret, _ := w.token("acme", tenant.Scopes()...)
	if _, err := w.tenants.UpdateOrg(t.Context(), "acme", tenant.OrgChange{Models: &[]string{"m/one"}}); err != nil {
		t.Fatal(err)
	}
	b := w.browser(w.operator)
	b.signIn(secret)
	for _, path := range []string{"/usage?org=zoo", "/usage.csv?org=zoo", "/requests?org=zoo", "/tokens?org=zoo&all=1", "/models", "/usage?by=token&org=zoo"} {
		got := b.get(path)
		if got.status != http.StatusOK || strings.Contains(got.body, "zoo</") || strings.Contains(got.body, "zoo,") || strings.Contains(got.body, token.ID) || strings.Contains(got.body, theirs.ID) || strings.Contains(got.body, "m/two") {
			t.Errorf("%s: got %d, and what is another's:\n%s", path, got.status, got.body)
		}
	}
	for path, what := range map[string]string{"/request/" + theirs.ID: "a receipt", "/model/m/two": "a model that it may not use", "/live?topic=model:m/two": "its state", "/invoice/zoo/" + w.now.Format("2006-01"): "an invoice"} {
		if got := b.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s of another: got %d, want it not there", what, got.status)
		}
	}
	if got := b.get("/usage"); !strings.Contains(got.body, "40 per cent") {
		t.Error("the own budget is not shown")
	}
	if got := b.do(http.MethodPost, "/tokens/"+token.ID+"/revoke", nil); got.status != http.StatusNotFound {
		t.Errorf("revoking another's token: got %d, want it not there", got.status)
	}
	if got := b.do(http.MethodPost, "/tokens", url.Values{"org": {"zoo"}, "scopes": {"inference"}}); got.status != http.StatusOK {
		t.Errorf("a token: got %d", got.status)
	}
	if all, err := w.tenants.Tokens(t.Context(), "zoo"); err != nil || len(all) != 1 {
		t.Errorf("got %d tokens of the other organisation (%v), want the one that it had", len(all), err)
	}
}

// TestTokens_NoMoreRightsThanOnesOwn: whoever may make tokens makes none that may do more.
func TestTokens_NoMoreRightsThanOnesOwn(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(tenant.ScopeTokensManage)
	if got := b.do(http.MethodPost, "/tokens", url.Values{"scopes": {"usage:read"}}); got.status != http.StatusBadRequest || !strings.Contains(got.body, "your own token has no usage:read") {
		t.Errorf("got %d, want the scope refused:\n%s", got.status, got.body)
	}
	for field, value := range map[string]string{"expires": "soon", "rpm": "-1", "concurrency": "many", "budget_usd": "1e3", "models": "nothing/here"} {
		got := b.do(http.MethodPost, "/tokens", url.Values{"scopes": {"tokens:manage"}, "name": {"kept in the form"}, field: {value}})
		if field == "models" {
			continue // any name is allowed where the tenants know no models
		}
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "<b>"+field+"</b>") || !strings.Contains(got.body, "kept in the form") {
			t.Errorf("%s = %q: got %d, want the field named and the form kept\n%s", field, value, got.status, got.body)
		}
	}
}

// TestTokens_EndAndModelsAreTheMakersToo: neither is left behind by making a token, which nothing but the store can tell.
func TestTokens_EndAndModelsAreTheMakersToo(t *testing.T) {
	w := newWorld(t)
	if _, err := w.tenants.EnsureOrg(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(10 * 24 * time.Hour)
	secret, maker, err := w.tenants.CreateToken(t.Context(), tenant.NewToken{
		Org: "acme", Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeTokensManage}, Models: []string{"m/one"}, ExpiresAt: end,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser(w.caller)
	b.signIn(secret)
	for field, value := range map[string]string{"models": "m/two", "expires": "11d"} {
		got := b.do(http.MethodPost, "/tokens", url.Values{"scopes": {"inference"}, field: {value}})
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "<b>"+field+"</b>") {
			t.Errorf("%s = %q: got %d, want it refused\n%s", field, value, got.status, got.body)
		}
	}
	if got := b.do(http.MethodPost, "/tokens", url.Values{"scopes": {"inference"}}); got.status != http.StatusOK {
		t.Errorf("got %d, want a token\n%s", got.status, got.body)
	}
	all, err := w.tenants.Tokens(t.Context(), "acme")
	if err != nil || len(all) != 2 {
		t.Fatalf("got %d tokens, %v, want one more", len(all), err)
	}
	for _, one := range all {
		if len(one.Models) != 1 || one.ExpiresAt == nil || !one.ExpiresAt.Equal(*maker.ExpiresAt) {
			t.Errorf("got %+v, want the maker's models and its end", one)
		}
	}
}

// TestSession_EndsWithItsToken: a revoked token sees nothing more, nor does a session that is old, altered, or of another admin token or key.
func TestSession_EndsWithItsToken(t *testing.T) {
	w := newWorld(t)
	secret, token := w.token("acme", tenant.ScopeInference)
	b := w.browser(w.operator)
	b.signIn(secret)
	if _, err := w.tenants.RevokeToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("with a revoked token: got %d, want the sign-in", got.status)
	}
	operator := w.browser(w.operator)
	operator.signIn(adminToken)
	for name, other := range map[string]http.RoundTripper{
		"another admin token": w.serve(w.open("another-admin-token-0123456789abc", [32]byte{1}).Operator()),
		"another key":         w.serve(w.open(adminToken, [32]byte{2}).Operator()),
		"the callers' side":   w.caller,
	} {
		visitor := *operator
		client := *operator.Client
		client.Transport = other
		visitor.Client = &client
		path := "/"
		if other == w.caller {
			path = "/console/"
		}
		if got := visitor.get(path); got.status != http.StatusSeeOther {
			t.Errorf("with %s: got %d, want the sign-in", name, got.status)
		}
	}
	w.now = w.now.Add(13 * time.Hour)
	if got := operator.get("/"); got.status != http.StatusSeeOther {
		t.Errorf("after 13 hours: got %d, want the sign-in", got.status)
	}
}

func TestSignInLink_WorksOnce(t *testing.T) {
	w := newWorld(t)
	link := w.console.SignInLink("")
	b := w.browser(w.operator)
	if got := b.get(link); got.status != http.StatusSeeOther {
		t.Fatalf("got %d, want to be signed in", got.status)
	}
	if got := b.get("/fleet"); got.status != http.StatusOK {
		t.Errorf("an operator's page: got %d", got.status)
	}
	if got := w.browser(w.operator).get(link); got.status != http.StatusForbidden {
		t.Errorf("the second time: got %d, want it refused", got.status)
	}
	if got := w.browser(w.caller).get(w.console.SignInLink("")); got.status != http.StatusOK {
		t.Errorf("at the callers' side: got %d, want the form", got.status)
	}
	late := w.console.SignInLink("")
	w.now = w.now.Add(2 * time.Hour)
	if got := w.browser(w.operator).get(late); got.status != http.StatusForbidden {
		t.Errorf("after two hours: got %d, want it refused", got.status)
	}
}

// TestSignIn_GoesNowhereElse: where to go back to is a path of ours, whatever a link says.
func TestSignIn_GoesNowhereElse(t *testing.T) {
	w := newWorld(t)
	for to, want := range map[string]string{
		"": "/", "/usage?by=day": "/usage?by=day", "https://evil.test/": "/", "//evil.test": "/", `/\evil.test`: "/", "/\nx": "/", "javascript:alert(1)": "/", "models": "/",
	} {
		got := w.browser(w.operator).do(http.MethodPost, "/signin", url.Values{"token": {adminToken}, "to": {to}})
		if got.status != http.StatusSeeOther || got.location != want {
			t.Errorf("%q: got %d to %q, want %q", to, got.status, got.location, want)
		}
	}
}

// TestOtherSites_ChangeNothing: a form of another site has the cookie left away by browsers; should one send it, the request is refused.
func TestOtherSites_ChangeNothing(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.operator)
	b.signIn(adminToken)
	for _, row := range []struct {
		header []string
		want   int
	}{
		{[]string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{[]string{"Origin", "http://evil.test"}, http.StatusForbidden},
		{[]string{"Origin", "null"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://console.test"}, http.StatusSeeOther},
		{[]string{"Origin", "http://console.test"}, http.StatusSeeOther},
		{nil, http.StatusSeeOther},
	} {
		if got := b.do(http.MethodPost, "/hold/m/one", nil, row.header...); got.status != row.want {
			t.Errorf("%v: got %d, want %d", row.header, got.status, row.want)
		}
	}
	if len(w.fleet.held) != 3 {
		t.Errorf("held %v, want what our own pages asked for", w.fleet.held)
	}
	w.used("acme", "m/one")
	got := b.get("/")
	if c := b.Jar.Cookies(&url.URL{Scheme: "http", Host: "console.test", Path: "/"}); len(c) != 1 {
		t.Fatalf("got cookies %v", c)
	}
	for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
		if got.header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	signIn := w.browser(w.operator).signIn(adminToken)
	if cookie := signIn.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("got the cookie %q, want it kept from scripts and other sites", cookie)
	}
}

var inline = regexp.MustCompile(`(?i)<script(?:>|[^>]*>[^<])|\sstyle=|\son[a-z]+=|javascript:`)

// TestPages_HaveNoInlineScript: what the policy of each page forbids is not in it, whatever words a model or token has.
func TestPages_HaveNoInlineScript(t *testing.T) {
	w := newWorld(t)
	evil := `"><script>alert(1)</script>`
	w.fleet.set(func(s *fleetSnapshot) {
		s.Models[0].Outlook.Reason, s.Models[0].Desired.Reason, s.Models[0].Waiting = evil, evil, 1
	})
	w.fleet.waiting = []fleet.Waiting{{Model: "m/one", Org: evil, Request: evil, Place: 1, Since: w.now}}
	w.token("acme")
	record := w.used("acme", evil)
	b := w.browser(w.operator)
	b.signIn(adminToken)
	for _, path := range []string{
		"/", "/models?q=" + url.QueryEscape(evil), "/model/m/one", "/model/nothing", "/tokens", "/usage", "/usage?month=" + url.QueryEscape(evil),
		"/usage?by=day", "/requests", "/request/" + record.ID, "/fleet", "/queue", "/activations", "/pools", "/kit", "/nothing", "/signin?to=" + url.QueryEscape(evil),
	} {
		got := b.get(path)
		if found := inline.FindString(got.body); found != "" {
			t.Errorf("%s has %q", path, found)
		}
		if got.status >= 500 {
			t.Errorf("%s: got %d\n%s", path, got.status, got.body)
		}
	}
}

// TestChat_IsPaidByWhoAsks: a chat goes to the public API with the visitor's own token, or the one that an operator has named.
func TestChat_IsPaidByWhoAsks(t *testing.T) {
	w := newWorld(t)
	secret, _ := w.token("acme", tenant.ScopeInference)
	caller := w.browser(w.caller)
	caller.signIn(secret)
	chat := func(b *browser) response {
		r := b.do(http.MethodPost, "/chat", nil)
		return r
	}
	if got := chat(caller); got.status != http.StatusBadRequest {
		t.Errorf("an empty chat: got %d, want it refused", got.status)
	}
	operator := w.browser(w.operator)
	operator.signIn(adminToken)
	if got := chat(operator); got.status != http.StatusForbidden {
		t.Errorf("a chat that nobody pays: got %d", got.status)
	}
	if got := operator.do(http.MethodPost, "/payer", url.Values{"token": {"pl_nothing"}}); got.status != http.StatusBadRequest {
		t.Errorf("a payer that is no token: got %d", got.status)
	}
	if got := operator.do(http.MethodPost, "/payer", url.Values{"token": {secret}, "to": {"/model/m/one"}}); got.location != "/model/m/one" {
		t.Errorf("naming who pays: got %d to %q", got.status, got.location)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, operator.base+"/chat", strings.NewReader(`{"model":"m/one"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := operator.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got, want := readAll(t, answer.Body), fmt.Sprintf("data: %s {\"model\":\"m/one\"}\n\n", secret); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQueue_IsChangedByOperators(t *testing.T) {
	w := newWorld(t)
	w.fleet.waiting = []fleet.Waiting{{Model: "m/one", Org: "acme", Request: "r-1", Place: 1, Since: w.now}}
	b := w.browser(w.operator)
	b.signIn(adminToken)
	if got := b.get("/queue"); !strings.Contains(got.body, "r-1") {
		t.Errorf("got %s, want who waits", got.body)
	}
	for _, row := range []struct {
		action, org string
		want        int
	}{
		{"first", "acme", http.StatusSeeOther}, {"end", "acme", http.StatusSeeOther}, {"end", "zoo", http.StatusConflict}, {"", "acme", http.StatusBadRequest},
	} {
		if got := b.do(http.MethodPost, "/queue", url.Values{"action": {row.action}, "model": {"m/one"}, "org": {row.org}}); got.status != row.want {
			t.Errorf("%s of %s: got %d, want %d", row.action, row.org, got.status, row.want)
		}
	}
}
