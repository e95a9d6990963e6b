package tenant_test

import (
	"errors"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestConfigure_ListsMayNameWhatWasAddedAndKeepWhatIsGone(t *testing.T) {
	tenants := newTenants(t, "a", "b")
	createOrg(t, tenants, "acme", "a", "b")
	secret, _ := createToken(t, tenants, tenant.NewToken{Org: "acme", Models: []string{"b"}})
	tenants.Configure([]string{"a", "c"})
	grant, err := tenants.Authenticate(secret)
	if err != nil || !grant.Allows("b") || grant.Allows("c") {
		t.Errorf("got %v, %v, want the lists as they were", grant, err)
	}
	createOrg(t, tenants, "new", "c")
	_, err = tenants.CreateOrg(t.Context(), tenant.NewOrg{Name: "late", Models: []string{"b"}})
	var invalid *tenant.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != "models" {
		t.Errorf("a model that is gone: got %v, want an error at models", err)
	}
}
