package admin_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Every route is asked without the admin token and with others, among them an organisation's with every scope.
func TestRoutes_OpenOnlyToTheAdminToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.tenants.CreateOrg(t.Context(), tenant.NewOrg{Name: "acme"})
	check(t, err)
	theirs, _, err := w.tenants.CreateToken(t.Context(), tenant.NewToken{Org: "acme", Scopes: tenant.Scopes()})
	check(t, err)
	open := []string{"GET /healthz", "GET /readyz", "GET /openapi.json"}
	asked := 0
	for _, route := range admin.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if slices.Contains(open, route) {
			continue
		}
		path = strings.NewReplacer("{name}", "acme", "{id}", "acme/a").Replace(path)
		for why, header := range map[string]string{
			"no token": "", "another scheme": "Basic " + adminToken, "half of it": "Bearer " + adminToken[:len(adminToken)/2], "more than it": "Bearer " + adminToken + "x",
			"an organisation's": "Bearer " + theirs, "an empty one": "Bearer ",
		} {
			asked++
			if status, body, _ := w.ask(method, path, "{}", "Authorization", header); status != 401 || !strings.Contains(body, "invalid_api_key") {
				t.Errorf("%s with %s: got %d %s, want 401", route, why, status, body)
			}
		}
	}
	if asked < 20*6 {
		t.Errorf("asked %d times: the routes are not all there", asked)
	}
}
