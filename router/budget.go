package router

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// rate is what a request costs on the engine that it has, or would have.
func (x *exchange) rate() account.Rate {
	if a := &x.attempt; a.lease != nil {
		return account.Rate{GPUs: a.gpus, Price: a.price}
	}
	return account.Rate{GPUs: x.intake.model.GPUs, Price: x.r.offer.Load().price}
}

// maySpend is the failure of a request whose budget is used up before it waits for an engine.
func (x *exchange) maySpend() *failure { return budgetFailure(x.intake.charge.MaySpend(x.rate())) }

// spend puts a request that has its engine on its organisation's meter.
func (x *exchange) spend() *failure {
	lease, charge := x.attempt.lease, &x.intake.charge
	_, proven := lease.ProvenAt()
	if err := charge.Spend(x.rate(), proven, x); err != nil {
		return budgetFailure(err)
	}
	if !proven {
		lease.OnProven(charge.Proven)
	}
	return nil
}

// Sent notes when the request's head is written to its engine.
func (a *attempt) Sent(at time.Time) { a.in.charge.Dispatched(at) }

// OutOfBudget ends the exchange, from another goroutine, because a budget was used up at a moment.
func (x *exchange) OutOfBudget(why *account.BudgetError, until time.Time) { x.leave(why, until) }

// wholeDespite reports whether an answer was whole before it could be ended because a budget is used up: it is billed no further than that.
func (x *exchange) wholeDespite(e *exit) bool {
	var used *account.BudgetError
	return x.stage == stageRelaying && x.attempt.ended && errors.As(e.cause, &used)
}

// budgeted takes the exchange off its meter, and cuts its bill to the instant at which a budget was used up.
func (x *exchange) budgeted(sent *tried, b bill) bill {
	charge := &x.intake.charge
	if b.status == ledger.EngineError {
		charge.Unspend()
		return b
	}
	until := b.until
	if sent.ended && sent.endedAt.Before(until) {
		until = sent.endedAt // it was ended because of the budget, but had ended just before
	}
	b.until = charge.Bill(sent.dispatched, sent.paidFrom, until)
	b.billed = ledger.Billed(b.status, sent.paidFrom, b.until)
	return b
}

// budgetFailure is the failure of a request whose budget is used up, nil for any other cause.
func budgetFailure(err error) *failure {
	used, is := errors.AsType[*account.BudgetError](err)
	if !is {
		return nil
	}
	return failf(codeBudgetExceeded, "%s.", upperFirst(used.Error())).because(err)
}

// tellLeft says what is left of the caller's budget, where it has one.
func (x *exchange) tellLeft(ctx *fasthttp.RequestCtx) {
	left, limited := x.intake.charge.Left()
	if !limited {
		return
	}
	s := &x.response
	s.note = appendUSD(s.note[:0], left)
	ctx.Response.Header.SetCanonical(headerBudgetLeft, s.note)
}

// applyBudgets tells the accounts what organisations and tokens may spend from now on.
func (r *Router) applyBudgets() {
	r.c.Tenants.Budgets(func(org, token string, b tenant.Budget) {
		r.c.Accounts.SetBudget(org, token, account.Budget{
			Limit: b.Limit, Soft: b.Soft, Period: string(b.Period), Window: b.Period.Window,
			Raise: account.Raise{Limit: b.Raise.Limit, Until: b.Raise.Until},
		})
	})
}

// budgetView is a budget as a caller sees it.
type budgetView struct {
	Limit  string    `json:"limit_usd"` // that is in force
	Spent  string    `json:"spent_usd"` // in the period, by what runs, too
	Left   string    `json:"left_usd"`
	Period string    `json:"period"`
	Resets time.Time `json:"resets_at"`
	Soft   bool      `json:"soft"`
	Raise  *raised   `json:"raise,omitempty"`
}

type raised struct {
	Until time.Time `json:"until"`
	Limit string    `json:"back_to_usd"`
}

// budget gives the budget of an organisation, or of one of its tokens; nil = there is none.
func (r *Router) budget(org, token string) *budgetView {
	b, ok := r.c.Accounts.Balance(org, token)
	if !ok {
		return nil
	}
	v := &budgetView{
		Limit: b.Now.String(), Spent: max(b.Spent, 0).String(), Left: b.Left().String(), Period: b.Period, Resets: b.Resets, Soft: b.Soft,
	}
	if b.Now != b.Limit {
		v.Raise = &raised{Until: b.Raise.Until.UTC(), Limit: b.Limit.String()}
	}
	return v
}
