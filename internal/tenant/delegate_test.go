package tenant_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// manager makes a token that may make others, and gives what it is granted.
func manager(t *testing.T, tenants *tenant.Tenants, n tenant.NewToken) (*tenant.Grant, *tenant.Token) {
	t.Helper()
	n.Scopes = append(n.Scopes, tenant.ScopeTokensManage)
	secret, token := createToken(t, tenants, n)
	g, err := tenants.Authenticate(secret)
	if err != nil {
		t.Fatal(err)
	}
	return g, token
}

// A grant may be a moment older than what another server has just written: the store decides.
func TestDelegate_GoesByTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		here, there := open(t, path), open(t, path)
		createOrg(t, here, "acme")
		only := tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeTokensManage}}
		revoked, token := manager(t, here, tenant.NewToken{Org: "acme"})
		expired, _ := manager(t, here, tenant.NewToken{Org: "acme", ExpiresAt: time.Now().Add(time.Minute)})
		suspended, _ := manager(t, here, tenant.NewToken{Org: "acme"})
		if _, made, err := here.Delegate(t.Context(), expired, only); err != nil || made.ExpiresAt == nil || time.Until(*made.ExpiresAt) != time.Minute {
			t.Errorf("got %+v, %v, want its maker's end", made, err)
		}
		if _, err := there.RevokeToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for want, maker := range map[error]*tenant.Grant{tenant.ErrRevoked: revoked, tenant.ErrExpired: expired} {
			if _, _, err := here.Delegate(t.Context(), maker, only); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		if _, err := there.SuspendOrg(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := here.Delegate(t.Context(), suspended, only); !errors.Is(err, tenant.ErrOrgSuspended) {
			t.Errorf("got %v, want %v", err, tenant.ErrOrgSuspended)
		}
		if tokens, err := there.Tokens(t.Context(), "acme"); err != nil || len(tokens) != 4 {
			t.Errorf("got %d tokens, %v, want no more than were made rightly", len(tokens), err)
		}
	})
}

func TestDelegate_AnOrganisationHasSoManyTokensAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := newTenants(t)
		org := tenant.OrgImport{Name: "acme"}
		for i := range 999 {
			var hash [sha256.Size]byte
			binary.BigEndian.PutUint64(hash[:], uint64(i))
			org.Tokens = append(org.Tokens, tenant.TokenImport{Name: fmt.Sprint(i), Hash: &hash})
		}
		imports(t, tenants, false, nil, org)
		createOrg(t, tenants, "other")
		createToken(t, tenants, tenant.NewToken{Org: "other"})
		g, token := manager(t, tenants, tenant.NewToken{Org: "acme"}) // an operator's are not refused
		only := tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeTokensManage}}
		full := func(what string, want bool) (made *tenant.Token) {
			t.Helper()
			_, made, err := tenants.Delegate(t.Context(), g, only)
			var invalid *tenant.InvalidError
			if got := errors.As(err, &invalid) && strings.Contains(invalid.Message, "1000 tokens"); got != want || !want && err != nil {
				t.Errorf("%s: got %v, want it refused: %v", what, err, want)
			}
			return made
		}
		full("with 1,000", true)
		all, err := tenants.Tokens(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all[:2] {
			if one.ID == token.ID {
				continue
			}
			if _, err := tenants.RevokeToken(t.Context(), one.ID); err != nil {
				t.Fatal(err)
			}
		}
		full("with one revoked of those of today", true)
		time.Sleep(24 * time.Hour)
		full("a day later", false)
	})
}
