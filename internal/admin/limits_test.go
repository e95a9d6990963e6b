package admin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func ptr[T any](v T) *T { return &v }

func TestLimits_OfAnOrg(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	created, err := w.client.CreateOrg(ctx, admin.NewOrg{Name: "acme", LimitsChange: admin.LimitsChange{
		RPM: ptr(60), Concurrency: ptr(8), BudgetUSD: ptr("25"), BudgetPeriod: ptr(tenant.Weekly), BudgetSoft: ptr(true),
	}})
	check(t, err)
	want := admin.Limits{RPM: ptr(60), Concurrency: ptr(8), BudgetUSD: ptr("25.00"), BudgetPeriod: tenant.Weekly, BudgetSoft: true}
	if diff := cmp.Diff(want, created.Limits); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	until := time.Now().UTC().AddDate(0, 1, 0)
	raised, err := w.client.UpdateOrg(ctx, "acme", admin.OrgChange{LimitsChange: admin.LimitsChange{
		RPM: ptr(0), BudgetRaise: &admin.NewRaise{BudgetUSD: "0.000000001", Until: until.Format(time.DateOnly), Why: "launch"},
	}})
	if err == nil {
		t.Errorf("got %+v, want a raise to less refused", raised)
	}
	raised, err = w.client.UpdateOrg(ctx, "acme", admin.OrgChange{LimitsChange: admin.LimitsChange{
		RPM: ptr(0), BudgetRaise: &admin.NewRaise{BudgetUSD: "500.000000001", Until: until.Format(time.DateOnly), Why: "launch"},
	}})
	check(t, err)
	end := until.Truncate(24*time.Hour).AddDate(0, 0, 1)
	want.RPM, want.BudgetRaise = nil, &admin.Raise{BudgetUSD: "500.000000001", Until: admin.Time{Time: end}, Why: "launch"}
	if diff := cmp.Diff(want, raised.Limits); diff != "" {
		t.Errorf("raised (-want +got):\n%s", diff)
	}
	for _, body := range []string{`{"budget_raise": null, "concurrency": null}`, `{"budget_usd": null}`} {
		if status, text, _ := w.ask("PATCH", "/api/orgs/acme", body); status != 200 {
			t.Errorf("%s: got %d %s", body, status, text)
		}
	}
	shown, err := w.client.Org(ctx, "acme")
	check(t, err)
	if diff := cmp.Diff(admin.Limits{BudgetPeriod: tenant.Weekly}, shown.Limits); diff != "" {
		t.Errorf("cleared (-want +got):\n%s", diff)
	}
}

func TestLimits_OfAToken(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	_, err := w.client.CreateOrg(ctx, admin.NewOrg{Name: "acme", LimitsChange: admin.LimitsChange{RPM: ptr(10)}})
	check(t, err)
	issued, err := w.client.CreateToken(ctx, admin.NewToken{Org: "acme", LimitsChange: admin.LimitsChange{RPM: ptr(100), BudgetUSD: ptr("0.5")}})
	check(t, err)
	grant, err := w.tenants.Authenticate(issued.Secret)
	check(t, err)
	if grant.TokenLimits.RPM != 100 || grant.OrgLimits.RPM != 10 || grant.TokenLimits.Budget.Limit != 500_000_000 {
		t.Errorf("got %+v, want both limits, each as it was set", grant)
	}
	changed, err := w.client.UpdateToken(ctx, issued.ID, admin.TokenChange{LimitsChange: admin.LimitsChange{Concurrency: ptr(3), BudgetUSD: ptr("0")}})
	check(t, err)
	if diff := cmp.Diff(admin.Limits{RPM: ptr(100), Concurrency: ptr(3), BudgetPeriod: tenant.Monthly}, changed.Limits); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	_, err = w.client.RevokeToken(ctx, issued.ID)
	check(t, err)
	var refused *openai.Error
	if _, err := w.client.UpdateToken(ctx, issued.ID, admin.TokenChange{}); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("revoked: got %v, want 400", err)
	}
	if _, err := w.client.UpdateToken(ctx, "tok_none", admin.TokenChange{}); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("unknown: got %v, want 404", err)
	}
}
