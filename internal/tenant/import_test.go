package tenant_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func hashOf(secret string) *[sha256.Size]byte {
	sum := sha256.Sum256([]byte(secret))
	return &sum
}

// imports imports, and gives the differences as lines.
func imports(t *testing.T, tenants *tenant.Tenants, dry bool, hashes map[tenant.TokenName][sha256.Size]byte, orgs ...tenant.OrgImport) []string {
	t.Helper()
	done, err := tenants.Import(context.Background(), orgs, hashes, dry)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for _, c := range done.Changes {
		lines = append(lines, c.String())
	}
	return lines
}

func TestImport_MakesThemSoAndASecondTimeChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := newTenants(t, "a", "b")
		createOrg(t, tenants, "kept")
		mine, given := tenant.NewSecret(), tenant.NewSecret()
		soft, chunk, end := true, "chunk", time.Now().UTC().Add(time.Hour)
		of := change(600, 32, 250)
		of.Soft, of.Raise = &soft, &tenant.Raise{Limit: 500, Until: end, Why: "launch"}
		wanted := []tenant.OrgImport{
			{Name: "acme", Change: tenant.OrgChange{Models: &[]string{"b", "a"}, Limits: of}, Tokens: []tenant.TokenImport{
				{Name: "ci", Hash: hashOf(mine), Scopes: &[]tenant.Scope{tenant.ScopeUsageRead}, Models: &[]string{"a"}, Keepalive: &chunk, ExpiresAt: &end, Limits: change(1, 0, 0)},
				{Name: "web"},
			}},
			{Name: "bare"},
		}
		hashes := map[tenant.TokenName][sha256.Size]byte{{Org: "acme", Name: "web"}: *hashOf(given)}
		want := []string{
			`+ org "acme"`, `~ org "acme": models [] -> ["a", "b"]`, `~ org "acme": rpm 0 -> 600`, `~ org "acme": concurrency 0 -> 32`,
			`~ org "acme": budget_usd "0.00" -> "0.00000025"`, `~ org "acme": budget_soft false -> true`,
			`~ org "acme": budget_raise none -> {budget_usd = "0.0000005", until = "` + end.Format(time.RFC3339Nano) + `", why = "launch"}`,
			`+ org "acme" token "ci"`, `~ org "acme" token "ci": scopes [] -> ["usage:read"]`, `~ org "acme" token "ci": models [] -> ["a"]`,
			`~ org "acme" token "ci": keepalive "" -> "chunk"`, `~ org "acme" token "ci": expires "" -> "` + end.Format(time.RFC3339Nano) + `"`,
			`~ org "acme" token "ci": rpm 0 -> 1`, `+ org "acme" token "web"`,
			`~ org "acme" token "web": scopes [] -> ["inference", "models:read"]`, `+ org "bare"`,
		}
		if diff := cmp.Diff(want, imports(t, tenants, true, nil, wanted...)); diff != "" {
			t.Errorf("dry (-want +got):\n%s", diff)
		}
		wantAuth(t, tenants, mine, tenant.ErrInvalidToken)
		if diff := cmp.Diff(want, imports(t, tenants, false, hashes, wanted...)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		g, err := tenants.Authenticate(mine)
		if err != nil || !g.Has(tenant.ScopeUsageRead) || g.Has(tenant.ScopeInference) || g.OrgLimits.RPM != 600 || g.TokenLimits.RPM != 1 || !g.Allows("a") || g.Allows("b") {
			t.Errorf("got %+v, %v, want what was imported", g, err)
		}
		wantAuth(t, tenants, given, nil)

		before := tenants.Changes()
		for _, dry := range []bool{true, false} {
			if again := imports(t, tenants, dry, nil, wanted...); len(again) != 0 || tenants.Changes() != before {
				t.Errorf("again: got %q and %d changes, want none", again, tenants.Changes()-before)
			}
		}
		time.Sleep(2 * time.Hour) // the raise has ended, and the token: the file is as good as before
		wantAuth(t, tenants, mine, tenant.ErrExpired)
		if late := imports(t, tenants, false, nil, wanted...); len(late) != 0 {
			t.Errorf("later: got %q, want no change", late)
		}
		if orgs, err := tenants.Orgs(t.Context()); err != nil || len(orgs) != 3 {
			t.Errorf("got %+v, %v, want the one that the import does not name kept", orgs, err)
		}
	})
}

func TestImport_LeavesWhatItDoesNotName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := newTenants(t)
		createOrg(t, tenants, "acme", "a")
		setLimits(t, tenants, "acme", change(5, 6, 100))
		setLimits(t, tenants, "acme", tenant.LimitsChange{Raise: &tenant.Raise{Limit: 200, Until: time.Now().Add(time.Hour), Why: "x"}})
		secret, token := createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "ci", Scopes: []tenant.Scope{tenant.ScopeUsageRead}})
		createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "other"})
		nine := 9
		got := imports(t, tenants, false, nil, tenant.OrgImport{Name: "acme", Change: tenant.OrgChange{Limits: tenant.LimitsChange{RPM: &nine}}, Tokens: []tenant.TokenImport{
			{Name: "ci", Limits: tenant.LimitsChange{RPM: &nine}},
		}})
		if diff := cmp.Diff([]string{`~ org "acme": rpm 5 -> 9`, `~ org "acme" token "ci": rpm 0 -> 9`}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		g, err := tenants.Authenticate(secret)
		if err != nil || g.TokenID != token.ID || !g.Has(tenant.ScopeUsageRead) || g.OrgLimits.Concurrency != 6 || g.OrgLimits.Budget.At(time.Now()) != 200 || g.Allows("b") {
			t.Errorf("got %+v, %v, want all else as it was", g, err)
		}
		// Found by its hash, a token takes another name.
		got = imports(t, tenants, false, nil, tenant.OrgImport{Name: "acme", Tokens: []tenant.TokenImport{{Name: "build", Hash: hashOf(secret)}}})
		if diff := cmp.Diff([]string{`~ org "acme" token "build": name "ci" -> "build"`}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestImport_SaysEverythingThatIsWrongAndChangesNothing(t *testing.T) {
	tenants := newTenants(t, "a", "b")
	createOrg(t, tenants, "acme", "a")
	createOrg(t, tenants, "other")
	theirs, _ := createToken(t, tenants, tenant.NewToken{Org: "other", Name: "x"})
	revoked, gone := createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "gone"})
	if _, err := tenants.RevokeToken(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	same, _ := createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "same"})
	createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "twice"})
	createToken(t, tenants, tenant.NewToken{Org: "acme", Name: "twice"})
	past, loud, odd, hourly := time.Now().Add(-time.Hour), "loud", tenant.OrgState("asleep"), tenant.Period("hourly")
	bad := change(-1, -2, 100)
	bad.Period, bad.Raise = &hourly, &tenant.Raise{Limit: 50, Until: time.Now().Add(time.Hour), Why: "x"}
	_, err := tenants.Import(t.Context(), []tenant.OrgImport{
		{Name: "fine", Tokens: []tenant.TokenImport{{Name: "secret"}}},
		{Name: "no name", Change: tenant.OrgChange{Models: &[]string{"c", "d"}, State: &odd, Limits: bad}},
		{Name: "acme", Tokens: []tenant.TokenImport{
			{Name: "a\n", Hash: hashOf("1"), Scopes: &[]tenant.Scope{"root"}, Models: &[]string{"b"}, Keepalive: &loud, ExpiresAt: &past, Limits: change(0, -1, 0)},
			{Name: "theirs", Hash: hashOf(theirs)},
			{Name: "revoked", Hash: hashOf(revoked)},
			{Name: "twice"},
			{Name: "doubled", Hash: hashOf("1")},
			{Name: "same"},
			{Name: "the same", Hash: hashOf(same)},
			{Name: "given"},
		}},
	}, map[tenant.TokenName][sha256.Size]byte{{Org: "acme", Name: "given"}: *hashOf(theirs)}, false)
	var all *tenant.ImportError
	if !errors.As(err, &all) {
		t.Fatalf("got %v, want an ImportError", err)
	}
	got := map[string]string{}
	for _, p := range all.Problems {
		key := strings.Join([]string{p.Org, p.Token, p.Field}, "|")
		got[key] += p.Message + ";"
	}
	for key, says := range map[string]string{
		"no name||name": "not an organisation's name", "no name||models": `"d"`, "no name||state": "asleep", "no name||rpm": "-1", "no name||concurrency": "-2",
		"no name||budget_period": "hourly", "no name||budget_raise": "not more than",
		"acme|a\n|name": "control character", "acme|a\n|scopes": "root", "acme|a\n|models": "may not use", "acme|a\n|keepalive": "loud", "acme|a\n|expires": "is past",
		"acme|a\n|concurrency": "out of range", "acme|theirs|sha256": "another organisation", "acme|revoked|sha256": gone.ID, "acme|twice|": "2 tokens of this name",
		"acme|doubled|sha256": "another token of this import", "acme|the same|": "the same one", "acme|given|sha256": "another token", "fine|secret|": "no sha256",
	} {
		if !strings.Contains(got[key], says) {
			t.Errorf("%s: got %q, want %q", key, got[key], says)
		}
		delete(got, key)
	}
	if len(got) != 0 {
		t.Errorf("and besides: %q", got)
	}
	if orgs, err := tenants.Orgs(t.Context()); err != nil || len(orgs) != 2 {
		t.Errorf("got %+v, %v, want nothing changed", orgs, err)
	}
}

func TestImport_NamesNewTokensThatHaveNoHash(t *testing.T) {
	tenants := newTenants(t)
	hundred := fleet.NanoUSD(100)
	found, err := tenants.Import(t.Context(), []tenant.OrgImport{
		{Name: "acme", Change: tenant.OrgChange{Limits: tenant.LimitsChange{Budget: &hundred}}, Tokens: []tenant.TokenImport{{Name: "a"}, {Name: "b", Hash: hashOf("x")}, {Name: "c"}}},
	}, nil, true)
	if err != nil || !cmp.Equal(found.Missing, []tenant.TokenName{{Org: "acme", Name: "a"}, {Org: "acme", Name: "c"}}) {
		t.Errorf("got %+v, %v, want a and c", found, err)
	}
}
