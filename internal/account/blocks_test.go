package account_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// draws is a quota that a function draws for.
type draws func(account.Period) bool

func (d draws) Draw(of account.Period, _ time.Time) bool { return d(of) }
func (d draws) Wake(string)                              {}

// TestDrawBlock_ForThoseWhoWait: what was wanted by a request that was refused is not drawn for the next, while another server may need it.
func TestDrawBlock_ForThoseWhoWait(t *testing.T) {
	const limit, left = 1_000_000, 3000
	var accounts *account.Accounts
	var granted fleet.NanoUSD
	refuse := true
	accounts = account.New(account.Config{Memory: 1, Cost: ledger.Cost, Quota: draws(func(of account.Period) bool {
		if refuse {
			return false
		}
		granted, _, _ = accounts.DrawBlock(of, account.Pool{Reserved: limit - left, Asked: true, Wished: true})
		return false
	})})
	accounts.SetBudget("acme", "", account.Budget{Limit: limit, Period: "all", Window: func(time.Time) (from, to time.Time) {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}})
	var large, small account.Charge
	for _, c := range []*account.Charge{&large, &small} {
		if err := accounts.Admit(c, &account.Claim{Org: "acme", Token: "t"}, nil); err != nil {
			t.Fatal(err)
		}
		defer c.Settle()
	}
	if large.Spend(account.Rate{GPUs: 4, Price: fleet.NanoUSD(time.Hour)}, true, nil) == nil {
		t.Fatal("got a request admitted of which nothing was drawn")
	}
	refuse = false
	if small.MaySpend(account.Rate{GPUs: 1, Price: fleet.NanoUSD(time.Hour)}) == nil {
		t.Fatal("got a request admitted of which the store knows nothing yet")
	}
	if granted != 1 {
		t.Errorf("got a block of %d, want 1: all that who waits needs", granted)
	}
}
