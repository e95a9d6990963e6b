package tenant_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// change makes a LimitsChange of plain values.
func change(rpm, concurrency int, budget fleet.NanoUSD) tenant.LimitsChange {
	return tenant.LimitsChange{RPM: &rpm, Concurrency: &concurrency, Budget: &budget}
}

func setLimits(t *testing.T, tenants *tenant.Tenants, org string, c tenant.LimitsChange) *tenant.Org {
	t.Helper()
	o, err := tenants.UpdateOrg(t.Context(), org, tenant.OrgChange{Limits: c})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestLimits_ReachGrantsOfEveryServerAndSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		here, there := open(t, path), open(t, path)
		var running sync.WaitGroup
		running.Go(func() { there.Run(ctx) })
		createOrg(t, here, "acme")
		weekly, soft := tenant.Weekly, true
		until := time.Now().UTC().Add(time.Hour)
		ofToken := change(7, 2, 3)
		secret, token := createToken(t, here, tenant.NewToken{Org: "acme", Limits: ofToken})
		ofOrg := change(60, 8, 25_000_000_001)
		ofOrg.Period, ofOrg.Soft, ofOrg.Raise = &weekly, &soft, &tenant.Raise{Limit: 30_000_000_000, Until: until, Why: "launch"}
		setLimits(t, here, "acme", ofOrg)
		want := tenant.Limits{RPM: 60, Concurrency: 8, Budget: tenant.Budget{
			Limit: 25_000_000_001, Period: tenant.Weekly, Soft: true, Raise: tenant.Raise{Limit: 30_000_000_000, Until: until, Why: "launch"},
		}}
		wantToken := tenant.Limits{RPM: 7, Concurrency: 2, Budget: tenant.Budget{Limit: 3, Period: tenant.Monthly}}
		time.Sleep(time.Second)
		for name, tenants := range map[string]*tenant.Tenants{"here": here, "there": there, "a later life": open(t, path)} {
			g, err := tenants.Authenticate(secret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]tenant.Limits{want, wantToken}, []tenant.Limits{g.OrgLimits, g.TokenLimits}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			org, ok := tenants.OrgLimits("acme")
			if !ok || org != want {
				t.Errorf("%s: got %+v, %v of the organisation, want %+v", name, org, ok, want)
			}
			if _, ok := tenants.OrgLimits("nobody"); ok {
				t.Errorf("%s: nobody has limits", name)
			}
		}
		g, err := there.Authenticate(secret)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := here.UpdateToken(t.Context(), token.ID, tenant.TokenChange{Limits: change(0, 0, 9)})
		if err != nil || changed.Limits.RPM != 0 || changed.Limits.Budget.Limit != 9 {
			t.Errorf("got %+v, %v, want the token's requests without limit", changed, err)
		}
		setLimits(t, here, "acme", change(0, 0, 0))
		if _, err := here.RevokeToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		org, now := there.Limits(g) // of a token that was revoked meanwhile
		if want := (tenant.Limits{Budget: tenant.Budget{Period: tenant.Weekly}}); org != want || now.Budget.Limit != 9 || g.OrgLimits.RPM != 60 {
			t.Errorf("got %+v and %+v now, %+v when it was shown", org, now, g.OrgLimits)
		}
		cancel()
		running.Wait()
	})
}

func TestLimitsChange_LeavesWhatItDoesNotName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := newTenants(t)
		createOrg(t, tenants, "acme")
		raise := &tenant.Raise{Limit: 500, Until: time.Now().UTC().Add(time.Hour), Why: "launch"}
		five, soft, daily, none, most := 5, true, tenant.Daily, fleet.NanoUSD(0), fleet.NanoUSD(500)
		hundred := fleet.NanoUSD(100)
		for _, row := range []struct {
			what string
			c    tenant.LimitsChange
			want tenant.Limits
		}{
			{"nothing", tenant.LimitsChange{}, tenant.Limits{Budget: tenant.Budget{Period: tenant.Monthly}}},
			{"a budget", tenant.LimitsChange{Budget: &hundred, Period: &daily, Soft: &soft}, tenant.Limits{Budget: tenant.Budget{Limit: 100, Period: tenant.Daily, Soft: true}}},
			{"requests", tenant.LimitsChange{RPM: &five}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 100, Period: tenant.Daily, Soft: true}}},
			{"a raise", tenant.LimitsChange{Raise: raise}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 100, Period: tenant.Daily, Soft: true, Raise: *raise}}},
			{"the same budget", tenant.LimitsChange{Budget: &hundred}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 100, Period: tenant.Daily, Soft: true, Raise: *raise}}},
			{"a budget as high as the raise", tenant.LimitsChange{Budget: &most}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 500, Period: tenant.Daily, Soft: true}}},
			{"no budget", tenant.LimitsChange{Budget: &none}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Period: tenant.Daily}}},
			{"a budget and its raise at once", tenant.LimitsChange{Budget: &hundred, Raise: raise}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 100, Period: tenant.Daily, Raise: *raise}}},
			{"the raise's end", tenant.LimitsChange{Raise: &tenant.Raise{}}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 100, Period: tenant.Daily}}},
			{"it again", tenant.LimitsChange{Raise: raise}, tenant.Limits{RPM: 5, Budget: tenant.Budget{Limit: 100, Period: tenant.Daily, Raise: *raise}}},
		} {
			if got := setLimits(t, tenants, "acme", row.c).Limits; got != row.want {
				t.Errorf("%s: got %+v, want %+v", row.what, got, row.want)
			}
		}
		time.Sleep(time.Hour) // a raise that has ended is in no change's way
		if got := setLimits(t, tenants, "acme", tenant.LimitsChange{}).Limits.Budget.Raise; got != (tenant.Raise{}) {
			t.Errorf("got %+v after its end, want none", got)
		}
	})
}

func TestLimits_ThatCannotBeMeantNameTheField(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	later := time.Now().Add(time.Hour)
	budget := fleet.NanoUSD(100)
	raise := func(r tenant.Raise) tenant.LimitsChange { return tenant.LimitsChange{Budget: &budget, Raise: &r} }
	period, soft := tenant.Period("hourly"), true
	for name, row := range map[string]struct {
		c     tenant.LimitsChange
		field string
		says  string
	}{
		"negative rpm":         {change(-1, 0, 0), "rpm", "0 for no limit"},
		"negative concurrency": {change(0, -1, 0), "concurrency", "0 for no limit"},
		"huge concurrency":     {change(0, math.MaxInt32+1, 0), "concurrency", "out of range"},
		"negative budget":      {change(0, 0, -1), "budget_usd", "less than nothing"},
		"period":               {tenant.LimitsChange{Period: &period}, "budget_period", "monthly, weekly or daily"},
		"soft without budget":  {tenant.LimitsChange{Soft: &soft}, "budget_soft", "no budget"},
		"raise without budget": {tenant.LimitsChange{Raise: &tenant.Raise{Limit: 500, Until: later, Why: "x"}}, "budget_raise", "no budget to raise"},
		"raise without end":    {raise(tenant.Raise{Limit: 500, Why: "x"}), "budget_raise", "until when"},
		"raise in the past":    {raise(tenant.Raise{Limit: 500, Until: time.Now().Add(-time.Second), Why: "x"}), "budget_raise", "ended already"},
		"raise without reason": {raise(tenant.Raise{Limit: 500, Until: later}), "budget_raise", "why"},
		"long reason":          {raise(tenant.Raise{Limit: 500, Until: later, Why: strings.Repeat("x", 201)}), "budget_raise", "200 characters"},
		"reason of two lines":  {raise(tenant.Raise{Limit: 500, Until: later, Why: "a\nb"}), "budget_raise", "control character"},
		"raise that is none":   {raise(tenant.Raise{Limit: 100, Until: later, Why: "x"}), "budget_raise", "not more than"},
	} {
		_, update := tenants.UpdateOrg(t.Context(), "acme", tenant.OrgChange{Limits: row.c})
		_, create := tenants.CreateOrg(t.Context(), tenant.NewOrg{Name: "new", Limits: row.c})
		_, _, token := tenants.CreateToken(t.Context(), tenant.NewToken{Org: "acme", Limits: row.c})
		for what, err := range map[string]error{"update": update, "create": create, "token": token} {
			var invalid *tenant.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != row.field || !strings.Contains(invalid.Message, row.says) {
				t.Errorf("%s, %s: got %v, want field %s and %q", name, what, err, row.field, row.says)
			}
		}
	}
	orgs, err := tenants.Orgs(t.Context())
	if err != nil || len(orgs) != 1 || orgs[0].Limits.Budget.Limit != 0 {
		t.Errorf("refused changes left traces: %+v, %v", orgs, err)
	}
}

func TestUpdateOrg_IsAllOrNothing(t *testing.T) {
	tenants := newTenants(t, "a")
	createOrg(t, tenants, "acme")
	state, odd := tenant.Suspended, tenant.OrgState("asleep")
	for name, c := range map[string]tenant.OrgChange{
		"limits": {State: &state, Limits: change(-1, 0, 0)}, "models": {State: &state, Models: &[]string{"typo"}},
		"state": {State: &odd, Limits: change(5, 5, 5)}, "cut": {Cut: true, Limits: change(5, 5, 5)},
	} {
		var invalid *tenant.InvalidError
		if _, err := tenants.UpdateOrg(t.Context(), "acme", c); !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	org, err := tenants.Org(t.Context(), "acme")
	if err != nil || org.State != tenant.Active || org.Limits.RPM != 0 || org.CutAt != nil {
		t.Errorf("got %+v, %v, want it untouched", org, err)
	}
}

func TestUpdateToken_RefusesRevokedAndUnknownOnes(t *testing.T) {
	tenants := newTenants(t)
	createOrg(t, tenants, "acme")
	_, token := createToken(t, tenants, tenant.NewToken{Org: "acme"})
	if _, err := tenants.RevokeToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.UpdateToken(t.Context(), token.ID, tenant.TokenChange{Limits: change(1, 1, 1)}); !errors.Is(err, tenant.ErrRevoked) {
		t.Errorf("revoked: got %v, want %v", err, tenant.ErrRevoked)
	}
	if _, err := tenants.UpdateToken(t.Context(), "tok_none", tenant.TokenChange{}); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("unknown: got %v, want %v", err, tenant.ErrNotFound)
	}
}
