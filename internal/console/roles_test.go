package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/console"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// TestRoles holds every page against the roles of admins: auditors see all and have no form that changes something; billing sees what has to do with bills.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	record, month := w.used("acme", "m/one"), w.now.Format("2006-01")
	_, token := w.token("acme", tenant.ScopeInference)
	w.fleet.waiting = []fleet.Waiting{{Model: "m/one", Org: "acme", Request: "r-1", Place: 1, Since: w.now}}
	const ok, no = http.StatusOK, http.StatusForbidden
	auditor, billing := w.browser(w.operator), w.browser(w.operator)
	if got := auditor.signIn(tokens[access.Auditor]); got.status != http.StatusSeeOther {
		t.Fatalf("signing in: got %d %s", got.status, got.body)
	}
	billing.signIn(tokens[access.Billing])
	for path, want := range map[string]int{ // of billing
		"/models": no, "/model/m/one": no, "/tokens": no, "/queue": no, "/fleet": no, "/activations": no, "/pools": no, "/audit": no, "/kit": no,
		"/usage": ok, "/usage.csv": ok, "/requests": ok, "/request/" + record.ID: ok, "/invoices": ok, "/invoice/acme/" + month: ok,
	} {
		got := billing.get(path)
		if got.status != want || want == no && !strings.Contains(got.body, "This page needs an admin token of the role operator or auditor; bill has the role billing.") {
			t.Errorf("%s of billing: got %d %s, want %d", path, got.status, got.body, want)
		}
		page := auditor.get(path)
		if page.status != ok {
			t.Errorf("%s of an auditor: got %d %s", path, page.status, page.body)
		}
		for _, f := range formsOf(page.body) {
			if kind := kindOf(f.path); kind != "/signout" && kind != "/payer" && path != "/pools" {
				t.Errorf("%s of an auditor has a form to %s", path, f.path)
			}
		}
	}
	if got := auditor.get("/pools"); !strings.Contains(got.body, "What if?") || strings.Contains(got.body, "<button>Change</button>") {
		t.Errorf("/pools of an auditor: got %s, want to ask and not to change", got.body)
	}
	if got := billing.get("/"); got.status != http.StatusSeeOther || got.location != "/usage" {
		t.Errorf("the first page of billing: got %d to %q", got.status, got.location)
	}
	if got := billing.get("/usage"); strings.Contains(got.body, `href="/fleet"`) || !strings.Contains(got.body, "bill, billing") {
		t.Errorf("got %s, want no link to what billing may not see, and who it is", got.body)
	}
	for _, path := range []string{"/tokens", "/tokens/" + token.ID + "/revoke", "/queue", "/hold/m/one", "/stop/m/one", "/pools/h100"} {
		for name, b := range map[string]*browser{"ana": auditor, "bill": billing} {
			if got := b.do(http.MethodPost, path, nil); got.status != no || !strings.Contains(got.body, "This change needs an admin token of the role operator; "+name) {
				t.Errorf("%s of %s: got %d %s, want it refused by role", path, name, got.status, got.body)
			}
		}
	}
	if len(w.fleet.held) > 0 {
		t.Errorf("held %v", w.fleet.held)
	}
	if got := w.entries(audit.Query{Actor: "ana"}); len(got) != 6 || got[0].Error == "" {
		t.Errorf("got %+v, want each attempt in the audit log", got)
	}
}

// TestRoles_EndWithTheirToken: who signed in with a token that is no longer one is signed out.
func TestRoles_EndWithTheirToken(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.operator)
	b.signIn(tokens[access.Auditor])
	if got := b.get("/fleet"); got.status != http.StatusOK {
		t.Fatalf("got %d", got.status)
	}
	commit, err := w.admins.Prepare(nil)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if got := b.get("/fleet"); got.status != http.StatusSeeOther || !strings.HasPrefix(got.location, "/signin") {
		t.Errorf("got %d to %q, want to sign in", got.status, got.location)
	}
	c := w.browser(w.caller)
	if got := c.signIn(tokens[access.Billing]); got.status != http.StatusForbidden {
		t.Errorf("at the callers' side (%s): got %d, want no admin there", console.CallerBase, got.status)
	}
}
