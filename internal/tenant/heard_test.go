package tenant_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Tokens that are known work for five minutes after the store was last heard; then nobody can say whether they were revoked. One that is not known may be
// there all the same.
func TestAuthenticate_WhileTheStoreIsDown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := storetest.TryOpen(t, path)
		if err != nil {
			t.Fatal(err)
		}
		tenants, err := tenant.New(t.Context(), s, tenant.Config{})
		if err != nil {
			t.Fatal(err)
		}
		createOrg(t, tenants, "acme")
		secret, _ := createToken(t, tenants, tenant.NewToken{Org: "acme"})
		revoked, token := createToken(t, tenants, tenant.NewToken{Org: "acme"})
		if _, err := tenants.RevokeToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		unknown := tenant.NewSecret()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { tenants.Run(ctx) })
		time.Sleep(time.Hour)
		wantAuth(t, tenants, secret, nil)
		wantAuth(t, tenants, unknown, tenant.ErrInvalidToken)

		s.Close()
		for _, row := range []struct {
			after          time.Duration
			known, unknown error
		}{
			{4 * time.Second, nil, tenant.ErrInvalidToken},
			{2 * time.Second, nil, tenant.ErrUnheard},
			{4*time.Minute + 53*time.Second, nil, tenant.ErrUnheard},
			{2 * time.Second, tenant.ErrUnheard, tenant.ErrUnheard},
			{time.Hour, tenant.ErrUnheard, tenant.ErrUnheard},
		} {
			time.Sleep(row.after)
			wantAuth(t, tenants, secret, row.known)
			wantAuth(t, tenants, unknown, row.unknown)
			wantAuth(t, tenants, revoked, tenant.ErrRevoked)
			wantAuth(t, tenants, "pl_short", tenant.ErrInvalidToken)
		}
		cancel()
		running.Wait()
		wantAuth(t, tenants, secret, nil) // nobody follows: it is this process's own
	})
}
