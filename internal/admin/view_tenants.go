package admin

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func orgView(o tenant.Org, now time.Time) Org {
	return Org{Name: o.Name, State: o.State, Models: same(o.Models), Limits: limitsView(o.Limits, now), CreatedAt: Time{o.CreatedAt}}
}

func tokenView(t tenant.Token, now time.Time) Token {
	view := Token{
		ID: t.ID, Org: t.Org, Name: t.Name, Scopes: same(t.Scopes), Models: same(t.Models), Limits: limitsView(t.Limits, now),
		CreatedAt: Time{t.CreatedAt}, ExpiresAt: when(t.ExpiresAt), RevokedAt: when(t.RevokedAt), LastUsedAt: when(t.LastUsedAt),
	}
	if t.Keepalive != "" {
		view.Keepalive = &t.Keepalive
	}
	return view
}

// when is nil for nil.
func when(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	return at(*t)
}

func limitsView(l tenant.Limits, now time.Time) Limits {
	view := Limits{RPM: limit(l.RPM), Concurrency: limit(l.Concurrency), BudgetPeriod: l.Budget.Period, BudgetSoft: l.Budget.Soft}
	if l.Budget.Limit != 0 {
		usd := l.Budget.Limit.String()
		view.BudgetUSD = &usd
	}
	if r := l.Budget.Raise; l.Budget.Raised(now) {
		view.BudgetRaise = &Raise{BudgetUSD: r.Limit.String(), Until: Time{r.Until}, Why: r.Why}
	}
	return view
}

// limit is nil for none.
func limit(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// tenant reads what a change says.
func (c LimitsChange) tenant() (tenant.LimitsChange, error) {
	change := tenant.LimitsChange{RPM: c.RPM, Concurrency: c.Concurrency, Period: c.BudgetPeriod, Soft: c.BudgetSoft}
	if c.BudgetUSD != nil {
		budget, err := amount("budget_usd", *c.BudgetUSD)
		if err != nil {
			return change, err
		}
		change.Budget = &budget
	}
	if c.BudgetRaise != nil {
		raise, err := c.BudgetRaise.tenant()
		if err != nil {
			return change, err
		}
		change.Raise = &raise
	}
	return change, nil
}

func (r NewRaise) tenant() (raise tenant.Raise, err error) {
	if r == (NewRaise{}) {
		return raise, nil
	}
	if raise.Limit, err = amount("budget_raise.budget_usd", r.BudgetUSD); err != nil {
		return raise, err
	}
	if r.Until != "" {
		if raise.Until, err = tenant.ParseUntil(r.Until); err != nil {
			return raise, edge.Invalid("budget_raise.until", "%s", err)
		}
	}
	raise.Why = r.Why
	return raise, nil
}

// amount reads money; nothing is none.
func amount(field, usd string) (fleet.NanoUSD, error) {
	if usd == "" {
		return 0, nil
	}
	n, err := fleet.ParseUSD(usd)
	if err != nil {
		return 0, edge.Invalid(field, "%s", err)
	}
	return n, nil
}
