package tenant_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// wantUsed asserts when the one token of a store was last used, as whoever shares the store sees it.
func wantUsed(t *testing.T, what string, tenants *tenant.Tenants, want time.Time) {
	t.Helper()
	tokens, err := tenants.Tokens(t.Context(), "")
	if err != nil || len(tokens) != 1 {
		t.Fatalf("got %d tokens, %v", len(tokens), err)
	}
	got := tokens[0].LastUsedAt
	if want.IsZero() != (got == nil) || got != nil && !got.Equal(want.Truncate(time.Minute)) {
		t.Errorf("%s: got %v, want %v", what, got, want.Truncate(time.Minute))
	}
}

// running runs what follows the store until the returned function is called.
func running(t *testing.T, tenants *tenant.Tenants) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := tenants.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { cancel(); wait.Wait() }
}

func TestLastUsed_IsWrittenEachMinuteAndAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		here, there := open(t, path), open(t, path)
		stop := running(t, here)
		createOrg(t, here, "acme")
		secret, token := createToken(t, here, tenant.NewToken{Org: "acme"})
		wantUsed(t, "unused", here, time.Time{})
		changes := here.Changes()

		time.Sleep(30 * time.Second)
		first := time.Now()
		wantAuth(t, here, secret, nil)
		wantUsed(t, "at once, where it was used", here, first)
		wantUsed(t, "elsewhere, before a minute", there, time.Time{})
		time.Sleep(time.Minute)
		wantUsed(t, "elsewhere, after a minute", there, first)
		if here.Changes() != changes {
			t.Error("a use counts as a change of what tokens allow")
		}

		time.Sleep(time.Hour)
		if _, err := here.UpdateToken(t.Context(), token.ID, tenant.TokenChange{Limits: change(5, 5, 5)}); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, "after a change of the token", here, first)
		last := time.Now()
		wantAuth(t, here, secret, nil)
		stop()
		wantUsed(t, "after the end", open(t, path), last)
	})
}

func TestLastUsed_RefusedUsesDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := newTenants(t)
		createOrg(t, tenants, "acme")
		secret, token := createToken(t, tenants, tenant.NewToken{Org: "acme"})
		if _, err := tenants.RevokeToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, tenants, secret, tenant.ErrRevoked)
		wantUsed(t, "revoked", tenants, time.Time{})
	})
}

// Two servers write in any order: the later use stands.
func TestLastUsed_TheLatestOfAllServersCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		early := open(t, path)
		createOrg(t, early, "acme")
		secret, _ := createToken(t, early, tenant.NewToken{Org: "acme"})
		late := open(t, path)
		wantAuth(t, early, secret, nil)
		time.Sleep(10 * time.Minute)
		last := time.Now()
		wantAuth(t, late, secret, nil)
		running(t, late)()
		running(t, early)() // writes what is older
		wantUsed(t, "later", open(t, path), last)
	})
}

func TestLastUsed_OfManyTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		tenants := open(t, path)
		createOrg(t, tenants, "acme")
		var secrets []string
		org := tenant.OrgImport{Name: "acme"} // in one transaction
		for i := range 300 {                  // more than one batch
			secrets = append(secrets, tenant.NewSecret())
			org.Tokens = append(org.Tokens, tenant.TokenImport{Name: fmt.Sprint(i), Hash: hashOf(secrets[i])})
		}
		imports(t, tenants, false, nil, org)
		stop := running(t, tenants)
		used := time.Now()
		for _, s := range secrets {
			wantAuth(t, tenants, s, nil)
		}
		stop()
		tokens, err := open(t, path).Tokens(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			if token.LastUsedAt == nil || !token.LastUsedAt.Equal(used.Truncate(time.Minute)) {
				t.Fatalf("got %v of token %s, want %v", token.LastUsedAt, token.Name, used)
			}
		}
	})
}
