package tenant_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestAuthenticate_GivesWhatTheTokenWasCreatedWith(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	plain, token := createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "ci"})
	g, err := tenants.Authenticate(plain)
	if err != nil {
		t.Fatal(err)
	}
	if g.Org != "acme" || g.TokenID != token.ID || g.Keepalive != "" {
		t.Errorf("got %+v of token %+v", g, token)
	}
	for scope, want := range map[tenant.Scope]bool{
		tenant.ScopeInference: true, tenant.ScopeModelsRead: true, tenant.ScopeUsageRead: false, tenant.ScopeTokensManage: false,
	} {
		if g.Has(scope) != want {
			t.Errorf("default scope %s: got %v, want %v", scope, !want, want)
		}
	}
	special, _ := createToken(t, tenants, tenant.NewToken{
		Org: "acme", Scopes: []tenant.Scope{tenant.ScopeUsageRead}, Keepalive: "chunk",
	})
	g, err = tenants.Authenticate(special)
	if err != nil || g.Keepalive != "chunk" || !g.Has(tenant.ScopeUsageRead) || g.Has(tenant.ScopeInference) {
		t.Errorf("got %+v, %v, want usage:read alone and chunk", g, err)
	}
}

func TestAllows_IsTheIntersectionOfOrgAndToken(t *testing.T) {
	tenants := newTenants(t)
	for _, row := range []struct {
		org, token     []string
		allows, denies string // space separated
	}{
		{nil, nil, "a b", ""},
		{[]string{"a", "b"}, nil, "a b", "c"},
		{nil, []string{"a"}, "a", "b"},
		{[]string{"a", "b"}, []string{"b"}, "b", "a c"},
	} {
		name := fmt.Sprintf("org%d", len(row.org)*10+len(row.token))
		createOrg(t, tenants, name, row.org...)
		secret, _ := createToken(t, tenants, tenant.NewToken{Org: name, Models: row.token})
		g, err := tenants.Authenticate(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range strings.Fields(row.allows) {
			if !g.Allows(m) {
				t.Errorf("org %v, token %v: %s is denied", row.org, row.token, m)
			}
		}
		for _, m := range strings.Fields(row.denies) {
			if g.Allows(m) {
				t.Errorf("org %v, token %v: %s is allowed", row.org, row.token, m)
			}
		}
	}
}

func TestUpdateOrg_NarrowsItsTokensAtOnceAndNeverToAll(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	secret, _ := createToken(t, tenants, tenant.NewToken{Org: "acme", Models: []string{"a"}})
	if _, err := tenants.UpdateOrg(t.Context(), "acme", tenant.OrgChange{Models: &[]string{"b"}}); err != nil {
		t.Fatal(err)
	}
	g, err := tenants.Authenticate(secret)
	if err != nil || g.Allows("a") || g.Allows("b") {
		t.Errorf("got %+v, %v, want nothing allowed: the lists have nothing in common", g, err)
	}
}

func TestAuthenticate_SaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		tenants := newTenants(t)
		createOrg(t, tenants, "acme")
		secret, token := createToken(t, tenants, tenant.NewToken{Org: "acme"})
		short, _ := createToken(t, tenants, tenant.NewToken{Org: "acme", ExpiresAt: time.Now().Add(time.Hour)})
		wantAuth(t, tenants, secret, nil)
		wantAuth(t, tenants, tenant.NewSecret(), tenant.ErrInvalidToken)
		wantAuth(t, tenants, "", tenant.ErrInvalidToken)

		time.Sleep(time.Hour - time.Microsecond)
		wantAuth(t, tenants, short, nil)
		time.Sleep(time.Microsecond)
		wantAuth(t, tenants, short, tenant.ErrExpired)

		if _, err := tenants.SuspendOrg(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, tenants, secret, tenant.ErrOrgSuspended)
		if _, err := tenants.ResumeOrg(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, tenants, secret, nil)

		first, err := tenants.RevokeToken(ctx, token.ID)
		if err != nil {
			t.Fatal(err)
		}
		wantAuth(t, tenants, secret, tenant.ErrRevoked)
		time.Sleep(time.Minute)
		changes := tenants.Changes()
		again, err := tenants.RevokeToken(ctx, token.ID)
		if tenants.Changes() != changes {
			t.Error("revoking again counts as a change")
		}
		if diff := cmp.Diff(first, again); diff != "" || err != nil {
			t.Errorf("revoked again (-first +again):\n%s%v", diff, err)
		}
	})
}

func TestRevokeToken_HoldsWhenTheCallerHasLeft(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	secret, token := createToken(t, tenants, tenant.NewToken{Org: "acme"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tenants.RevokeToken(ctx, token.ID)
	_, auth := tenants.Authenticate(secret)
	if (err == nil) != errors.Is(auth, tenant.ErrRevoked) {
		t.Errorf("revoking said %v, but authenticating says %v", err, auth)
	}
}

func TestRun_SeesChangesOfOtherServersWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		here, there := open(t, path), open(t, path)
		var running sync.WaitGroup
		running.Go(func() {
			if err := there.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(123 * time.Millisecond)

		createOrg(t, here, "acme", "a")
		createOrg(t, here, "other")
		secret, token := createToken(t, here, tenant.NewToken{Org: "acme"})
		kept, _ := createToken(t, here, tenant.NewToken{Org: "other"})
		wantAuth(t, here, secret, nil)
		time.Sleep(time.Second)
		wantAuth(t, there, secret, nil)

		if _, err := here.SuspendOrg(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, here, secret, tenant.ErrOrgSuspended)
		time.Sleep(time.Second)
		wantAuth(t, there, secret, tenant.ErrOrgSuspended)

		if _, err := here.RevokeToken(ctx, token.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wantAuth(t, there, secret, tenant.ErrRevoked)
		wantAuth(t, there, kept, nil)
		cancel()
		running.Wait()
	})
}

func TestRun_KeepsWhatIsKnownWhileTheStoreFails(t *testing.T) {
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
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { tenants.Run(ctx) })
		s.Close()
		time.Sleep(time.Minute)
		wantAuth(t, tenants, secret, nil)
		cancel()
		running.Wait()
	})
}

func TestNew_KnowsWhatAFormerLifeWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	first := open(t, path)
	createOrg(t, first, "acme", "b", "a", "b")
	at := time.Now().Add(time.Hour)
	secret, token := createToken(t, first, tenant.NewToken{Org: "acme", Name: "n", Models: []string{"a"}, ExpiresAt: at})
	second := open(t, path)
	got, err := second.Tokens(t.Context(), "acme")
	if diff := cmp.Diff([]tenant.Token{*token}, got); diff != "" || err != nil {
		t.Errorf("(-created +read):\n%s%v", diff, err)
	}
	wantAuth(t, second, secret, nil)
	org, err := second.Org(t.Context(), "acme")
	if err != nil || !cmp.Equal(org.Models, []string{"a", "b"}) || org.State != tenant.Active {
		t.Errorf("got %+v, %v, want models a and b, active", org, err)
	}
}

func TestImportToken_UsesASecretAgain(t *testing.T) {
	tenants := newTenants(t)
	ctx := t.Context()
	for range 2 {
		if _, err := tenants.EnsureOrg(ctx, "dev"); err != nil {
			t.Fatal(err)
		}
	}
	createOrg(t, tenants, "other")
	secret := tenant.NewSecret()
	first, err := tenants.ImportToken(ctx, secret, tenant.NewToken{Org: "dev", Name: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	wantAuth(t, tenants, secret, nil)
	again, err := tenants.ImportToken(ctx, secret, tenant.NewToken{Org: "dev", Name: "changed"})
	if diff := cmp.Diff(first, again); diff != "" || err != nil {
		t.Errorf("imported again (-first +again):\n%s%v", diff, err)
	}
	if _, err := tenants.ImportToken(ctx, secret, tenant.NewToken{Org: "other"}); !errors.Is(err, tenant.ErrExists) {
		t.Errorf("for another organisation: got %v, want %v", err, tenant.ErrExists)
	}
	if _, err := tenants.RevokeToken(ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.ImportToken(ctx, secret, tenant.NewToken{Org: "dev"}); !errors.Is(err, tenant.ErrRevoked) {
		t.Errorf("after revoking: got %v, want %v", err, tenant.ErrRevoked)
	}
}

func TestInvalidChanges_NameTheField(t *testing.T) {
	tenants := newTenants(t, "a", "b")
	ctx := t.Context()
	createOrg(t, tenants, "acme", "a")
	token := func(n tenant.NewToken) error {
		if n.Org == "" {
			n.Org = "acme"
		}
		_, _, err := tenants.CreateToken(ctx, n)
		return err
	}
	org := func(name string, models ...string) error {
		_, err := tenants.CreateOrg(ctx, tenant.NewOrg{Name: name, Models: models})
		return err
	}
	_, revoke := tenants.RevokeToken(ctx, "tok_none")
	_, suspend := tenants.SuspendOrg(ctx, "none")
	_, show := tenants.Org(ctx, "none")
	_, imported := tenants.ImportToken(ctx, "pl_typo", tenant.NewToken{Org: "acme"})
	_, update := tenants.UpdateOrg(ctx, "acme", tenant.OrgChange{Models: &[]string{"typo"}})
	for name, row := range map[string]struct {
		got   error
		field string
		is    error
	}{
		"no name":         {org(""), "name", nil},
		"a slash":         {org("a/b"), "name", nil},
		"a space":         {org("a b"), "name", nil},
		"a leading dot":   {org(".a"), "name", nil},
		"65 characters":   {org(strings.Repeat("a", 65)), "name", nil},
		"a line's end":    {org("a\n"), "name", nil},
		"unknown model":   {org("new", "typo"), "models", nil},
		"update":          {update, "models", nil},
		"twice":           {org("acme"), "", tenant.ErrExists},
		"token's org":     {token(tenant.NewToken{Org: "none"}), "", tenant.ErrNotFound},
		"token's scope":   {token(tenant.NewToken{Scopes: []tenant.Scope{"root"}}), "scopes", nil},
		"token's model":   {token(tenant.NewToken{Models: []string{"typo"}}), "models", nil},
		"not the org's":   {token(tenant.NewToken{Models: []string{"b"}}), "models", nil},
		"token's mode":    {token(tenant.NewToken{Keepalive: "loud"}), "keepalive", nil},
		"token's expiry":  {token(tenant.NewToken{ExpiresAt: time.Now().Add(-time.Second)}), "expires_at", nil},
		"token's name":    {token(tenant.NewToken{Name: "a\x00"}), "name", nil},
		"imported typo":   {imported, "token", nil},
		"revoke unknown":  {revoke, "", tenant.ErrNotFound},
		"suspend unknown": {suspend, "", tenant.ErrNotFound},
		"show unknown":    {show, "", tenant.ErrNotFound},
	} {
		var invalid *tenant.InvalidError
		switch {
		case row.is != nil && !errors.Is(row.got, row.is):
			t.Errorf("%s: got %v, want %v", name, row.got, row.is)
		case row.field != "" && (!errors.As(row.got, &invalid) || invalid.Field != row.field):
			t.Errorf("%s: got %v, want an InvalidError of field %s", name, row.got, row.field)
		}
	}
	orgs, err := tenants.Orgs(ctx)
	if err != nil || len(orgs) != 1 {
		t.Errorf("refused changes left traces: got %v, %v, want acme alone", orgs, err)
	}
}

func TestSecrets_AreNeverStoredOrListed(t *testing.T) {
	storetest.SkipOnPostgres(t, "it looks into the file")
	dir := t.TempDir()
	tenants := open(t, filepath.Join(dir, "p.db"))
	createOrg(t, tenants, "acme")
	secret, _ := createToken(t, tenants, tenant.NewToken{Org: "acme"})
	tokens, err := tenants.Tokens(t.Context(), "acme")
	if err != nil || len(tokens) != 1 {
		t.Fatalf("got %v, %v, want one token", tokens, err)
	}
	listed, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(secret))
	if body := secret[3:40]; strings.Contains(string(listed), body) || strings.Contains(string(listed), fmt.Sprintf("%x", sum)) {
		t.Errorf("the list shows the secret or its hash: %s", listed)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	hashes := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), secret[3:20]) {
			t.Errorf("%s holds the secret", file)
		}
		hashes += strings.Count(string(data), string(sum[:]))
	}
	if hashes == 0 {
		t.Error("no file holds the secret's hash: the test looks at the wrong files")
	}
}

func TestAuthenticate_AllocatesNothing(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	secret, _ := createToken(t, tenants, tenant.NewToken{Org: "acme", Models: []string{"a", "b"}})
	if n := testing.AllocsPerRun(1000, func() {
		g, err := tenants.Authenticate(secret)
		if err != nil || !g.Has(tenant.ScopeInference) || !g.Allows("b") {
			t.Fatal("denied")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// TestAuthenticate_AFloodOfBadTokensCostsNoMore: a token that nobody has costs a hash and a look at memory, as one that works does: no memory is kept
// for it, and the store is not asked, so that it needs no limit of its own.
func TestAuthenticate_AFloodOfBadTokensCostsNoMore(t *testing.T) {
	tenants := newTenants(t)
	unknown := tenant.NewSecret()
	for name, secret := range map[string]string{
		"unknown": unknown, "mistyped": unknown[:len(unknown)-1] + "_", "short": "pl_", "long": strings.Repeat("pl_", 100_000), "empty": "",
	} {
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := tenants.Authenticate(secret); !errors.Is(err, tenant.ErrInvalidToken) {
				t.Fatalf("%s: got %v, want it refused", name, err)
			}
		}); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	tenants := newTenants(b)
	createOrg(b, tenants, "acme")
	secret, _ := createToken(b, tenants, tenant.NewToken{Org: "acme"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tenants.Authenticate(secret); err != nil {
			b.Fatal(err)
		}
	}
}

func TestReview_SaysWhatIsLeftOfAGrant(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	plain, token := createToken(t, tenants, tenant.NewToken{Org: "acme"})
	g, err := tenants.Authenticate(plain)
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, since time.Time, cut bool, want error) {
		t.Helper()
		if got, err := tenants.Review(g, since); !errors.Is(err, want) || (got == nil) != (want != nil) {
			t.Errorf("%s: got %v, %v; want error %v", what, got, err, want)
		}
		if tenants.Cut(g, since) != cut {
			t.Errorf("%s: got cut %v, want %v", what, !cut, cut)
		}
	}
	before := time.Now()
	want("as it was", before, false, nil)
	changes := []func() error{
		func() error { _, err := tenants.SuspendOrg(t.Context(), "acme"); return err },
		func() error { _, err := tenants.ResumeOrg(t.Context(), "acme"); return err },
		func() error { _, err := tenants.CutOrg(t.Context(), "acme"); return err },
		func() error { _, err := tenants.ResumeOrg(t.Context(), "acme"); return err },
		func() error {
			_, err := tenants.UpdateOrg(t.Context(), "acme", tenant.OrgChange{Models: &[]string{"b"}})
			return err
		},
		func() error { _, err := tenants.RevokeToken(t.Context(), token.ID); return err },
	}
	do := func(n int) {
		t.Helper()
		if err := changes[n](); err != nil {
			t.Fatal(err)
		}
	}
	do(0)
	want("suspended", before, false, tenant.ErrOrgSuspended)
	do(1)
	want("resumed", before, false, nil)
	do(2)
	want("cut", before, true, tenant.ErrOrgSuspended)
	do(3)
	want("resumed after a cut: what came before it", before, true, tenant.ErrOrgSuspended)
	later := time.Now().Add(time.Second)
	want("resumed after a cut: what came after it", later, false, nil)
	do(4)
	if now, err := tenants.Review(g, later); err != nil || now.Allows("a") || !g.Allows("a") {
		t.Errorf("got %v, %v; want the model gone from what is allowed now, and the grant as it was", now, err)
	}
	do(5)
	want("revoked", later, false, tenant.ErrRevoked)
}

func TestFollow_TellsOfChangesAndExpiries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "p.db")
		ours, theirs := open(t, path), open(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan time.Time, 100)
		var all sync.WaitGroup
		all.Go(func() { ours.Follow(ctx, func() { told <- time.Now() }) })
		all.Go(func() { ours.Run(ctx) })
		defer all.Wait()
		defer cancel()
		quiet := func(what string) {
			t.Helper()
			time.Sleep(2 * time.Second)
			for len(told) > 0 {
				<-told
			}
			time.Sleep(time.Minute)
			if len(told) > 0 {
				t.Errorf("%s: told though nothing has changed", what)
			}
		}
		within := func(what string, d time.Duration) {
			t.Helper()
			began := time.Now()
			if at := <-told; at.Sub(began) > d {
				t.Errorf("%s: told after %v, want within %v", what, at.Sub(began), d)
			}
		}
		quiet("at first")
		createOrg(t, ours, "acme")
		within("our own change", 0)
		quiet("after our own")
		createOrg(t, theirs, "other")
		within("another server's change", time.Second)
		createToken(t, ours, tenant.NewToken{Org: "acme", ExpiresAt: time.Now().Add(10 * time.Minute)})
		quiet("after a token was made")
		time.Sleep(10*time.Minute - 62*time.Second - time.Nanosecond)
		within("an expiry", time.Second+time.Nanosecond)
		quiet("after an expiry")
	})
}
