package quota

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// TestDraw_WhileAnotherDoesNotAnswer: what the others have is not to be had then, but what nobody has is, to the microsecond.
func TestDraw_WhileAnotherDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, held = 10 * time.Second, time.Second // at a nano-dollar for each nanosecond
		store := faultsim.NewDatabase(newContent(), (*content).clone, func(string) {}, func() {})
		store.Look(func(c *content) {
			c.blocks[periodOf("", time.Now().Unix()/86400)] = map[string]block{"b": {granted: int64(held)}}
		})
		heard := time.NewTicker(beatEvery) // of b, which lives, and answers nothing
		defer heard.Stop()
		q := newQuota(simulated{store.Link(1), "a"}, Config{Server: "a"})
		accounts := account.New(account.Config{Memory: 1, Cost: ledger.Cost, Quota: q})
		accounts.SetBudget(faultsOrg, "", account.Budget{Limit: fleet.NanoUSD(limit), Period: "daily", Window: daily})
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = q.Run(ctx, accounts)
		}()
		defer func() {
			end()
			<-ended
		}()
		var charge account.Charge
		if err := accounts.Admit(&charge, &account.Claim{Org: faultsOrg, Token: "t"}, nil); err != nil {
			t.Fatal(err)
		}
		defer charge.Settle()
		r := &request{cut: make(chan struct{})}
		if err := charge.Spend(perNano(1), true, r); err != nil {
			t.Fatal(err)
		}
		sent := time.Now()
		charge.Dispatched(sent)
		for running := true; running; {
			select {
			case <-r.cut:
				running = false
			case <-heard.C:
				store.Look(func(c *content) { c.heard["b"] = time.Now() })
			}
		}
		if cost, want := ledger.Cost(charge.Bill(sent, sent, time.Now()).Sub(sent), 1, perNano(1).Price), fleet.NanoUSD(limit-held); cost != want {
			t.Errorf("the request costs %d, want %d: all that nobody else has", cost, want)
		}
	})
}

// TestBlock_FromBeforeARaise: who is cut off while a raise stands does not spend its block after that, for others may have spent all there is.
func TestBlock_FromBeforeARaise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultsim.NewDatabase(newContent(), (*content).clone, func(string) {}, func() {})
		link := store.Link(1)
		q := newQuota(simulated{link, "a"}, Config{Server: "a"})
		accounts := account.New(account.Config{Memory: 1, Cost: ledger.Cost, Quota: q})
		budget := account.Budget{Limit: fleet.NanoUSD(10 * time.Second), Period: "daily", Window: daily}
		accounts.SetBudget(faultsOrg, "", budget)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = q.Run(ctx, accounts)
		}()
		defer func() {
			link.Heal()
			end()
			<-ended
		}()
		var charge account.Charge
		if err := accounts.Admit(&charge, &account.Claim{Org: faultsOrg, Token: "t"}, nil); err != nil {
			t.Fatal(err)
		}
		defer charge.Settle()
		if err := charge.MaySpend(perNano(1)); err != nil {
			t.Fatal(err)
		}
		link.Away(time.Now().Add(time.Minute))
		budget.Raise = account.Raise{Limit: fleet.NanoUSD(time.Minute), Until: time.Now().Add(20 * time.Second)}
		accounts.SetBudget(faultsOrg, "", budget)
		time.Sleep(19 * time.Second)
		if err := charge.MaySpend(perNano(1)); err != nil {
			t.Errorf("got %v while the raise stands, want what was drawn to be spent", err)
		}
		time.Sleep(time.Second)
		if charge.MaySpend(perNano(1)) == nil {
			t.Error("got a request admitted after the raise, want it refused: another server may have spent the whole budget")
		}
		budget.Limit, budget.Raise = fleet.NanoUSD(9*time.Second), account.Raise{}
		accounts.SetBudget(faultsOrg, "", budget)
		if charge.MaySpend(perNano(1)) == nil {
			t.Error("got a request admitted after the budget has changed, want it refused until something is drawn anew")
		}
	})
}
