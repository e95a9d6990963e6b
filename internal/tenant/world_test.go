package tenant_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.OnBoth(m)) }

// open gives the tenants of one store file; several may be open at once, as if by several servers.
func open(t testing.TB, path string, models ...string) *tenant.Tenants {
	t.Helper()
	tenants, err := tenant.New(context.Background(), storetest.Open(t, path), tenant.Config{Models: models})
	if err != nil {
		t.Fatal(err)
	}
	return tenants
}

func newTenants(t testing.TB, models ...string) *tenant.Tenants {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "p.db"), models...)
}

func createOrg(t testing.TB, tenants *tenant.Tenants, name string, models ...string) {
	t.Helper()
	if _, err := tenants.CreateOrg(context.Background(), tenant.NewOrg{Name: name, Models: models}); err != nil {
		t.Fatal(err)
	}
}

func createToken(t testing.TB, tenants *tenant.Tenants, n tenant.NewToken) (string, *tenant.Token) {
	t.Helper()
	secret, token, err := tenants.CreateToken(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func wantAuth(t *testing.T, tenants *tenant.Tenants, secret string, want error) {
	t.Helper()
	if g, err := tenants.Authenticate(secret); !errors.Is(err, want) || (g == nil) != (want != nil) {
		t.Errorf("authenticating: got %v, %v, want error %v", g, err, want)
	}
}
