package wire

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Limits are those of an organisation or a token. Nil = none.
type Limits struct {
	RPM          *int          `json:"rpm"`         // requests a minute
	Concurrency  *int          `json:"concurrency"` // requests at once
	BudgetUSD    *string       `json:"budget_usd"`  // of one period, a decimal
	BudgetPeriod tenant.Period `json:"budget_period"`
	BudgetSoft   bool          `json:"budget_soft"`  // going over it is told, and refuses nobody
	BudgetRaise  *Raise        `json:"budget_raise"` // while it stands
}

// Raise is the limit that stands in a budget's place for a while.
type Raise struct {
	BudgetUSD string `json:"budget_usd"`
	Until     Time   `json:"until"`
	Why       string `json:"why"`
}

// LimitsChange says what of Limits changes. Nil fields stay as they are; 0, an empty text and null take a limit away.
type LimitsChange struct {
	RPM          *int           `json:"rpm,omitempty"`
	Concurrency  *int           `json:"concurrency,omitempty"`
	BudgetUSD    *string        `json:"budget_usd,omitempty"`
	BudgetPeriod *tenant.Period `json:"budget_period,omitempty"` // empty = monthly
	BudgetSoft   *bool          `json:"budget_soft,omitempty"`
	BudgetRaise  *NewRaise      `json:"budget_raise,omitempty"` // its zero value ends the one that stands
}

// NewRaise is a raise as it is asked for.
type NewRaise struct {
	BudgetUSD string `json:"budget_usd"`
	Until     string `json:"until"` // a day, YYYY-MM-DD, to whose end in UTC it lasts, or a moment in RFC 3339
	Why       string `json:"why"`
}

// LimitsOf shows limits as they are at a moment.
func LimitsOf(l tenant.Limits, now time.Time) Limits {
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

// Read gives what a change says. The error is an *InvalidError.
func (c LimitsChange) Read() (tenant.LimitsChange, error) {
	change := tenant.LimitsChange{RPM: c.RPM, Concurrency: c.Concurrency, Period: c.BudgetPeriod, Soft: c.BudgetSoft}
	if c.BudgetUSD != nil {
		budget, err := amount("budget_usd", *c.BudgetUSD)
		if err != nil {
			return change, err
		}
		change.Budget = &budget
	}
	if c.BudgetRaise != nil {
		raise, err := c.BudgetRaise.read()
		if err != nil {
			return change, err
		}
		change.Raise = &raise
	}
	return change, nil
}

func (r NewRaise) read() (raise tenant.Raise, err error) {
	if r == (NewRaise{}) {
		return raise, nil
	}
	if raise.Limit, err = amount("budget_raise.budget_usd", r.BudgetUSD); err != nil {
		return raise, err
	}
	if r.Until != "" {
		if raise.Until, err = tenant.ParseUntil(r.Until); err != nil {
			return raise, &tenant.InvalidError{Field: "budget_raise.until", Message: err.Error()}
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
		return 0, &tenant.InvalidError{Field: field, Message: err.Error()}
	}
	return n, nil
}
