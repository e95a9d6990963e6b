package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// limitFlags are those of organisations and tokens alike. What is not given stays as it is.
type limitFlags struct {
	RPM          *int           `name:"rpm" placeholder:"N" help:"Requests a minute; 0 for no limit."`
	Concurrency  *int           `placeholder:"N" help:"Requests at once; 0 for no limit."`
	BudgetUSD    *string        `name:"budget-usd" placeholder:"N" help:"What may be spent in one period, such as 100 or 99.50; 0 for no budget."`
	BudgetPeriod *tenant.Period `name:"budget-period" placeholder:"PERIOD" values:"monthly,weekly,daily" help:"When the budget begins anew: monthly (the default), weekly (on Monday) or daily, in UTC."`
	BudgetSoft   *bool          `name:"budget-soft" negatable:"" help:"Going over the budget is told, and refuses nobody."`
}

// raiseFlags make of a budget one that stands for a while.
type raiseFlags struct {
	Until *string `placeholder:"DATE" help:"With --budget-usd: raise the budget to that until the end of this day (UTC), or to a moment in RFC 3339; --until= ends a raise."`
	Why   string  `placeholder:"TEXT" help:"With --until: the reason, for whoever reads it later."`
}

// change is what the flags ask for.
func (f limitFlags) change() admin.LimitsChange {
	return admin.LimitsChange{
		RPM: f.RPM, Concurrency: f.Concurrency, BudgetUSD: f.BudgetUSD, BudgetPeriod: f.BudgetPeriod, BudgetSoft: f.BudgetSoft,
	}
}

// raise makes of a change of the budget one that stands for a while.
func (f raiseFlags) raise(c *admin.LimitsChange) error {
	switch {
	case f.Until == nil && f.Why == "":
		return nil
	case f.Until == nil:
		return errors.New("--why is the reason of a raise; say with --until DATE when it ends")
	case *f.Until == "":
		c.BudgetRaise = &admin.NewRaise{}
		return nil
	case c.BudgetUSD == nil:
		return errors.New("--until is the end of a raise; say with --budget-usd N what the budget is raised to")
	case f.Why == "":
		return errors.New("a raise needs a reason; give it with --why")
	}
	c.BudgetRaise = &admin.NewRaise{BudgetUSD: *c.BudgetUSD, Until: *f.Until, Why: f.Why}
	c.BudgetUSD = nil
	return nil
}

// limitColumns are the columns of limitCells.
var limitColumns = []string{">RPM", ">CONCURRENCY", "BUDGET USD"}

func limitCells(l admin.Limits) []any {
	return []any{limitOr(l.RPM), limitOr(l.Concurrency), budgetCell(l)}
}

// limitOr is empty for none.
func limitOr(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// budgetCell says what may be spent now.
func budgetCell(l admin.Limits) string {
	if l.BudgetUSD == nil {
		return ""
	}
	usd, kind := *l.BudgetUSD, string(l.BudgetPeriod)
	if l.BudgetSoft {
		kind += ", soft"
	}
	if l.BudgetRaise != nil {
		usd, kind = l.BudgetRaise.BudgetUSD, kind+", raised"
	}
	return usd + " " + kind
}

// limitRows say the same in words, a row each.
func limitRows(t *table, l admin.Limits) {
	t.row("rpm", limitOr(l.RPM))
	t.row("concurrency", limitOr(l.Concurrency))
	if l.BudgetUSD == nil {
		t.row("budget_usd", "")
		return
	}
	budget := fmt.Sprintf("%s %s", *l.BudgetUSD, l.BudgetPeriod)
	if l.BudgetSoft {
		budget += ", soft: going over it refuses nobody"
	}
	t.row("budget_usd", budget)
	if r := l.BudgetRaise; r != nil {
		t.row("budget_raise", fmt.Sprintf("%s until %s: %s", r.BudgetUSD, shortTime(&r.Until), r.Why))
	}
}
