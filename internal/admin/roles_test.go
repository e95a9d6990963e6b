package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
)

// forBilling is what the role billing may ask, beside what is open.
var forBilling = []string{
	"GET /api/usage", "GET /api/usage/records", "GET /api/invoices", "GET /api/invoices/{org}/{month}", "GET /api/invoices/{org}/{month}/receipts",
	"POST /api/invoices", "POST /api/corrections",
}

// may says what a role may ask: operators all, auditors all that reads, and what only computes.
func may(role access.Role, route string) bool {
	open := []string{"GET /healthz", "GET /readyz", "GET /openapi.json"}
	switch {
	case slices.Contains(open, route) || role == access.Operator:
		return true
	case role == access.Auditor:
		return strings.HasPrefix(route, "GET ") || route == "POST /api/pools/{name}/what-if"
	}
	return slices.Contains(forBilling, route)
}

// TestRoles_EveryRouteOfEveryRole asks each route with each role's token: what is refused names the role that is needed, and changes nothing.
func TestRoles_EveryRouteOfEveryRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := 0
	for _, route := range admin.Routes() {
		if route == "GET /api/events" {
			continue // has no end; its right is that of the other lists
		}
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{name}", "none", "{id}", "none", "{org}", "none", "{month}", "2026-01").Replace(path)
		for _, role := range access.Roles() {
			asked++
			sent := `{"mood": 1}`
			if method == "GET" {
				sent = ""
			}
			status, body, _ := w.ask(method, path, sent, "Authorization", "Bearer "+tokens[role])
			refused := status == 403 && codeOf(body) == "permission_denied"
			if status == 401 || refused == may(role, route) {
				t.Errorf("%s by %s: got %d %s, want it refused: %v", route, role, status, body, !may(role, route))
			}
			if refused && (!strings.Contains(body, "this needs an admin token of the role ") || !strings.Contains(body, "has the role "+string(role))) {
				t.Errorf("%s by %s: got %s, want to read which role it needs", route, role, body)
			}
		}
	}
	if asked < 100 {
		t.Errorf("asked %d times: the routes are not all there", asked)
	}
	if status, body, _ := w.ask("GET", "/api/events?mood=good", "", "Authorization", "Bearer "+tokens[access.Billing]); status != 403 {
		t.Errorf("following events by billing: got %d %s", status, body)
	}
	orgs, err := w.tenants.Orgs(t.Context())
	check(t, err)
	if len(orgs) > 0 || len(w.fleet.stopped) > 0 || len(w.fleet.held) > 0 {
		t.Errorf("something was changed: %v, %v, %v", orgs, w.fleet.stopped, w.fleet.held)
	}
}

// TestRoles_AreInTheAuditLog: by name, what is refused included.
func TestRoles_AreInTheAuditLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask("POST", "/api/orgs", `{"name": "acme"}`, "Authorization", "Bearer "+tokens[access.Operator])
	w.ask("POST", "/api/orgs", `{"name": "zoo"}`, "Authorization", "Bearer "+tokens[access.Auditor])
	w.ask("GET", "/api/orgs", "", "Authorization", "Bearer "+tokens[access.Auditor])
	var got []string
	for _, e := range w.entries(audit.Query{}) {
		got = append(got, fmt.Sprintf("%s %s: %s", e.Actor, e.Action, e.Error))
	}
	want := `ana org.create: this needs an admin token of the role operator; "ana" has the role auditor, otto org.create: `
	if strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
