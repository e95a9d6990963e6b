package account_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

// sharer is where a test hands out shares.
type sharer struct {
	asked []account.Limited
	give  func(of account.Limited) bool // nil = it says nothing until the time is over
}

func (s *sharer) Ask(of account.Limited, until time.Time) bool {
	s.asked = append(s.asked, of)
	if s.give != nil {
		return s.give(of)
	}
	time.Sleep(time.Until(until))
	return false
}

// sharing are accounts with a lease of five minutes.
func sharing(s *sharer) *account.Accounts {
	a := account.New(account.Config{Memory: 1, Shares: s})
	a.Lease(time.Now().Add(5 * time.Minute))
	return a
}

// grant gives a server a share, where the others have the rest of a limit.
func grant(a *account.Accounts, of account.Limited, limit, share int) {
	a.DrawShare(of, account.SharePool{Others: limit - share, Waiting: share})
	a.GrantShare(of)
}

func TestAdmit_WithinAShareAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sharer{}
		a := sharing(s)
		acme := account.Limited{Org: "acme"}
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: atOnce(5)}
		if _, err := a.MayAdmit(&claim); err != nil {
			t.Errorf("got %v before there is a share, want it to say that it may be admitted", err)
		}
		grant(a, acme, 5, 2)
		var first, second, third account.Charge
		for _, c := range []*account.Charge{&first, &second} {
			if limit := ask(t, a, c, claim); limit != nil {
				t.Fatal(limit)
			}
		}
		if len(s.asked) > 0 {
			t.Errorf("got %v asked within the share, want nothing", s.asked)
		}
		began := time.Now()
		limit := ask(t, a, &third, claim)
		if limit == nil || !limit.AtOnce || limit.Limit != 5 {
			t.Fatalf("got %+v, want the limit of 5", limit)
		}
		if took := time.Since(began); took != 50*time.Millisecond || len(s.asked) != 1 || s.asked[0] != acme {
			t.Errorf("got %v asked in %v, want the organisation's once, for 50ms", s.asked, took)
		}
		s.give = func(of account.Limited) bool {
			a.DrawShare(of, account.SharePool{Others: 2, Waiting: 1, Alive: 1, Wished: true})
			a.GrantShare(of)
			return true
		}
		if limit := ask(t, a, &third, claim); limit != nil {
			t.Errorf("got %v though there is more, want it admitted", limit)
		}
		for _, c := range []*account.Charge{&first, &second, &third} {
			c.Settle()
		}
	})
}

// A request that finds the limit itself reached is refused at once: nobody could help it.
func TestAdmit_AtTheLimitAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sharer{}
		a := sharing(s)
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: atOnce(9), TokenLimits: atOnce(1)}
		var first, second account.Charge
		s.give = func(of account.Limited) bool {
			a.DrawShare(of, account.SharePool{Waiting: 1})
			a.GrantShare(of)
			return true
		}
		if limit := ask(t, a, &first, claim); limit != nil {
			t.Fatal(limit)
		}
		if len(s.asked) != 2 {
			t.Errorf("got %v asked, want the token's and the organisation's", s.asked)
		}
		if limit := ask(t, a, &second, claim); limit == nil || !limit.OfToken || len(s.asked) != 2 {
			t.Errorf("got %v and %v asked, want the token's limit at once", limit, s.asked)
		}
		first.Settle()
	})
}

// What was shared is good as long as its lease, and no longer.
func TestAdmit_AfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sharer{}
		a := sharing(s)
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: atOnce(5)}
		_, _ = a.MayAdmit(&claim)
		grant(a, account.Limited{Org: "acme"}, 5, 5)
		for _, row := range []struct {
			after    time.Duration
			admitted bool
		}{{5*time.Minute - time.Nanosecond, true}, {time.Nanosecond, false}} {
			time.Sleep(row.after)
			var c account.Charge
			if limit := ask(t, a, &c, claim); (limit == nil) != row.admitted {
				t.Errorf("after %v: got %v, want admitted %v", row.after, limit, row.admitted)
			}
			c.Settle()
		}
	})
}

// A share is never less than what runs, however little of the limit the others leave.
func TestDrawShare_NeverBelowWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := sharing(&sharer{})
		acme := account.Limited{Org: "acme"}
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: atOnce(8)}
		_, _ = a.MayAdmit(&claim)
		grant(a, acme, 8, 8)
		var open [5]account.Charge
		for i := range open {
			if limit := ask(t, a, &open[i], claim); limit != nil {
				t.Fatal(limit)
			}
		}
		for _, row := range []struct {
			pool  account.SharePool
			share int
			lacks bool
		}{
			{account.SharePool{Alive: 1}, 8, false},
			{account.SharePool{Alive: 1, Wished: true}, 6, false}, // half of the three that are free, rounded up
			{account.SharePool{Alive: 1, Others: 2, Wished: true}, 5, false},
			{account.SharePool{Alive: 1, Others: 3, Wished: true}, 5, false},
			{account.SharePool{Alive: 1, Others: 8}, 5, false}, // the others have more than there is
			{account.SharePool{Alive: 1, Others: 2, Waiting: 2}, 6, true},
			{account.SharePool{Alive: 1, Others: 0, Waiting: 1}, 7, false},
		} {
			share, lacks := a.DrawShare(acme, row.pool)
			a.GrantShare(acme)
			if share != row.share || lacks != row.lacks {
				t.Errorf("%+v: got a share of %d, lacking %v, want %d, %v", row.pool, share, lacks, row.share, row.lacks)
			}
		}
		if share, unused := a.ReturnShare(acme, 1, true); share != 5 || unused {
			t.Errorf("got a share of %d, unused %v, want the 5 that run", share, unused)
		}
		for i := range open {
			open[i].Settle()
		}
		a.ReturnShare(acme, 3, false)
		if share, unused := a.ReturnShare(acme, 3, false); share != 1 || !unused {
			t.Errorf("got a share of %d, unused %v, want half of a fourth of 8", share, unused)
		}
	})
}

// A limit that was lowered holds at once: a share of the one before may be too much, and is drawn anew.
func TestAdmit_AfterALimitWasLowered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sharer{}
		a := sharing(s)
		acme := account.Limited{Org: "acme"}
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: atOnce(10)}
		_, _ = a.MayAdmit(&claim)
		grant(a, acme, 10, 8)
		claim.OrgLimits = atOnce(4)
		var first, second, third account.Charge
		if limit := ask(t, a, &first, claim); limit == nil || len(s.asked) != 1 {
			t.Errorf("got %v and %v asked, want it to ask what is its share of the new limit, and to be refused", limit, s.asked)
		}
		s.give = func(of account.Limited) bool {
			_, lacks := a.DrawShare(of, account.SharePool{Others: 2, Alive: 1, Waiting: 1})
			a.GrantShare(of)
			return !lacks
		}
		for i, c := range []*account.Charge{&first, &second, &third} {
			if limit := ask(t, a, c, claim); (limit == nil) != (i < 2) {
				t.Errorf("request %d of a share of 2: got %v", i, limit)
			}
		}
		first.Settle()
		second.Settle()
	})
}

// Requests that run beyond the share, because others have taken it or the limit was lowered, are not ended for it; nor does another begin in the place of one.
func TestAdmit_NobodyInThePlaceOfOneBeyondTheShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sharer{}
		a := sharing(s)
		acme := account.Limited{Org: "acme"}
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: atOnce(4)}
		_, _ = a.MayAdmit(&claim)
		grant(a, acme, 4, 4)
		var open [4]account.Charge
		for i := range open[:3] {
			if limit := ask(t, a, &open[i], claim); limit != nil {
				t.Fatal(limit)
			}
		}
		a.DropShares()
		others := 4 // that run elsewhere
		s.give = func(of account.Limited) bool {
			_, lacks := a.DrawShare(of, account.SharePool{Others: others, Alive: 1, Waiting: 1})
			a.GrantShare(of)
			return !lacks
		}
		if share, _ := a.DrawShare(acme, account.SharePool{Others: others, Alive: 1}); share != 3 {
			t.Errorf("got a share of %d, want it to hold the 3 that run", share)
		}
		a.GrantShare(acme)
		open[0].Settle()
		if ask(t, a, &open[3], claim) == nil {
			t.Error("got a request admitted in the place of one that the others have taken, want it refused")
		}
		if share, _ := a.ReturnShare(acme, 1, false); share != 2 {
			t.Errorf("got a share of %d when one has ended, want the 2 that run", share)
		}
		others = 1
		if limit := ask(t, a, &open[3], claim); limit != nil {
			t.Errorf("got %v when there is room again, want it admitted", limit)
		}
		for i := range open {
			open[i].Settle()
		}
	})
}
