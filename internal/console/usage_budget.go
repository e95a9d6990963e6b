package console

import (
	"math"
	"math/big"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Budget is what an organisation may spend in the present period.
type Budget struct {
	Period             string // its name, for people
	Limit, Spent, Left fleet.NanoUSD
	Begins             time.Time // when the period began; zero = nothing is forecast of it
	Resets             time.Time // when the next begins
	Soft               bool      // it is only told of
}

// budgetView is a budget with what becomes of it if the period goes on as it has.
type budgetView struct {
	Budget
	Forecast fleet.NanoUSD // what is spent when the period ends; 0 = too early to say
	UsedUp   time.Time     // when it is used up; zero = not in this period
}

// Part is how much of it is spent, in per cent, at most 100.
func (b Budget) Part() int { return int(min(b.Spent/max(b.Limit/100, 1), 100)) }

// Ahead is how much more of it will be spent by the end of the period, in per cent, at most what is left.
func (b budgetView) Ahead() int {
	return max(int(min(b.Forecast/max(b.Limit/100, 1), 100))-b.Part(), 0)
}

// Over says that the period will cost more than the budget.
func (b budgetView) Over() bool { return b.Forecast > b.Limit }

// soonest is how much of a period has to have passed before it says anything of the rest.
const soonest = 24

// forecast is what a period will cost that has cost so much, if it goes on so; 0 = too little of it has passed. It is an estimate, which nobody pays.
func forecast(spent fleet.NanoUSD, begins, now, ends time.Time) fleet.NanoUSD {
	passed, whole := now.Sub(begins), ends.Sub(begins)
	if begins.IsZero() || passed < whole/soonest || passed <= 0 {
		return 0
	}
	n := new(big.Int).Mul(big.NewInt(int64(spent)), big.NewInt(int64(whole)))
	if n.Quo(n, big.NewInt(int64(min(passed, whole)))); !n.IsInt64() {
		return math.MaxInt64
	}
	return fleet.NanoUSD(n.Int64())
}

// budgetOf fills in what the organisation may spend, and what the month will cost if it goes on as it has.
func (v *visit) budgetOf(view *usageView) {
	if !view.Current {
		return
	}
	now := v.c.Now().UTC()
	view.Forecast = forecast(view.Sum.Cost, view.from, now, view.to)
	if view.Org == "" || view.Model != "" || view.Token != "" {
		return
	}
	b, ok := v.c.Budget(view.Org)
	if !ok {
		return
	}
	view.Budget = &budgetView{Budget: b, Forecast: forecast(b.Spent, b.Begins, now, b.Resets)}
	if view.Budget.Over() && b.Spent > 0 && b.Spent < b.Limit {
		left := new(big.Int).Mul(big.NewInt(int64(now.Sub(b.Begins))), big.NewInt(int64(b.Limit-b.Spent)))
		if left.Quo(left, big.NewInt(int64(b.Spent))); left.IsInt64() {
			view.Budget.UsedUp = now.Add(time.Duration(left.Int64()))
		}
	}
}
