package account_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

// ask admits a request and gives what stands in its way; nil = nothing, and the request is to be settled.
func ask(t testing.TB, a *account.Accounts, c *account.Charge, claim account.Claim) *account.LimitError {
	t.Helper()
	err := a.Admit(c, &claim, nil)
	var limit *account.LimitError
	if err != nil && !errors.As(err, &limit) {
		t.Fatalf("got %v, want a LimitError", err)
	}
	return limit
}

func rpm(n int) account.Limits { return account.Limits{RPM: n} }

func atOnce(n int) account.Limits { return account.Limits{Concurrency: n} }

func TestAdmit_RateOfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: 1})
		claim := account.Claim{Org: "acme", Token: "t", OrgLimits: rpm(60)}
		admitted := 0
		for range 60_000 { // each millisecond
			var c account.Charge
			if ask(t, a, &c, claim) == nil {
				c.Settle()
				admitted++
			}
			time.Sleep(time.Millisecond)
		}
		if admitted != 119 { // the bucket, and what came back until the last millisecond
			t.Errorf("got %d requests in a minute of a full bucket of 60, want 119", admitted)
		}
	})
}

func TestAdmit_OrgsLimitCoversItsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: 1})
		var c account.Charge
		claim := func(token string) account.Claim {
			return account.Claim{Org: "acme", Token: token, OrgLimits: rpm(3), TokenLimits: rpm(2)}
		}
		for i, row := range []struct {
			token string
			want  string
			left  account.Standing // as the caller is told
		}{
			{"a", "", account.Standing{Limit: 2, Remaining: 1, Reset: 30 * time.Second}},
			{"a", "", account.Standing{Limit: 2, Remaining: 0, Reset: time.Minute}},
			{"a", "this token has reached its limit of 2 requests a minute; one more is admitted in 30 seconds", account.Standing{Limit: 2, Reset: time.Minute}},
			{"a", "this token has reached its limit of 2 requests a minute; one more is admitted in 30 seconds", account.Standing{Limit: 2, Reset: time.Minute}},
			{"b", "", account.Standing{Limit: 3, Remaining: 0, Reset: time.Minute}}, // the refused ones took nothing of the organisation's
			{"b", `the organisation "acme" has reached its limit of 3 requests a minute; one more is admitted in 20 seconds`, account.Standing{Limit: 3, Reset: time.Minute}},
		} {
			got := ""
			if limit := ask(t, a, &c, claim(row.token)); limit != nil {
				got = limit.Error()
				if limit.Standing != c.Standing() {
					t.Errorf("%d: got %+v in the error, %+v in the charge", i, limit.Standing, c.Standing())
				}
			}
			if got != row.want || c.Standing() != row.left {
				t.Errorf("%d: got %q, %+v, want %q, %+v", i, got, c.Standing(), row.want, row.left)
			}
			c.Settle()
		}
		time.Sleep(20 * time.Second)
		if limit := ask(t, a, &c, claim("b")); limit != nil { // it had taken nothing of b's while the organisation was in the way
			t.Error(limit)
		}
		c.Settle()
		var other account.Charge
		if limit := ask(t, a, &other, account.Claim{Org: "other", Token: "c", OrgLimits: rpm(3)}); limit != nil {
			t.Errorf("another organisation: %v", limit)
		}
	})
}

func TestAdmit_ChangedLimitsHoldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: 1})
		var open []*account.Charge
		asks := func(l account.Limits, want ...bool) {
			t.Helper()
			for i, want := range want {
				var c account.Charge
				got := ask(t, a, &c, account.Claim{Org: "acme", Token: "t", OrgLimits: l})
				if (got == nil) != want {
					t.Errorf("request %d of %+v: got %v, want admitted %v", i, l, got, want)
				}
				open = append(open, &c)
			}
		}
		asks(rpm(1), true, false)
		asks(rpm(3), true, true, false) // one of three has gone
		asks(rpm(1), false)
		time.Sleep(time.Minute) // not three, for it may not have more gone than it has
		asks(rpm(1), true, false)
		asks(account.Limits{}, true, true, true)
		asks(atOnce(100), true)
		asks(atOnce(2), false) // what is open stays open, and counts
		asks(account.Limits{}, true)
		for _, c := range open {
			c.Settle()
		}
		asks(atOnce(2), true, true, false)
	})
}

func TestAdmit_AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: 1})
		claim := func(token string) account.Claim {
			return account.Claim{Org: "acme", Token: token, OrgLimits: account.Limits{RPM: 600, Concurrency: 2}, TokenLimits: atOnce(1)}
		}
		var one, two, three account.Charge
		if limit := ask(t, a, &one, claim("a")); limit != nil {
			t.Fatal(limit)
		}
		wants := func(token string, want string) {
			t.Helper()
			limit := ask(t, a, &three, claim(token))
			if limit == nil || limit.Error() != want || !limit.AtOnce {
				t.Errorf("got %v, want %s", limit, want)
			}
			three.Settle() // of a refused request: nothing
		}
		wants("a", "this token has 1 request open, which is its limit; one more is admitted when one of them has ended")
		if limit := ask(t, a, &two, claim("b")); limit != nil {
			t.Fatal(limit)
		}
		wants("c", `the organisation "acme" has 2 requests open, which is its limit; one more is admitted when one of them has ended`)
		if s := two.Standing(); s.Remaining != 598 {
			t.Errorf("got %+v, want two requests gone: those that were refused took nothing", s)
		}
		two.Join()
		two.Run()
		time.Sleep(8 * time.Second)
		two.Leave()
		two.Leave()
		if limit := ask(t, a, &three, claim("c")); limit != nil {
			t.Errorf("after one has ended: %v", limit)
		}
		if got := a.Usage("acme"); got.Running != 1 {
			t.Errorf("got %+v: what has left still holds what it holds", got)
		}
		two.Settle()
		if limit := ask(t, a, &two, claim("d")); limit == nil || limit.After != 4*time.Second {
			t.Errorf("got %+v, want an estimate of 4 s: 2 places, of 8 s", limit)
		}
		one.Settle()
		three.Settle()
		for _, token := range []string{"a", "b", "c", "d"} {
			if n := a.Requests(token); n != 0 {
				t.Errorf("got %d requests of token %s, want none left", n, token)
			}
		}
	})
}

// A hundred callers of an organisation: never more at once than its limit or their token's, whole buckets are used up, and nothing is left when all have ended.
func TestAdmit_ConcurrentCallers(t *testing.T) {
	const callers, tokens, tries = 100, 10, 300
	a := account.New(account.Config{Memory: 1})
	ofOrg, ofToken := account.Limits{RPM: 5000, Concurrency: 20}, account.Limits{RPM: 600, Concurrency: 3}
	var running [tokens]atomic.Int64
	var all, admitted atomic.Int64
	at := time.Now() // the clock stands still: nothing comes back
	var g sync.WaitGroup
	for i := range callers {
		g.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for range tries {
				n := random.IntN(tokens)
				var c account.Charge
				claim := account.Claim{Org: "acme", Token: fmt.Sprint(n), OrgLimits: ofOrg, TokenLimits: ofToken, At: at}
				if a.Admit(&c, &claim, nil) != nil {
					continue
				}
				admitted.Add(1)
				if now := all.Add(1); now > int64(ofOrg.Concurrency) {
					t.Errorf("%d requests of the organisation at once", now)
				}
				if now := running[n].Add(1); now > int64(ofToken.Concurrency) {
					t.Errorf("%d requests of the token at once", now)
				}
				if random.IntN(2) == 0 {
					c.Join()
				}
				all.Add(-1)
				running[n].Add(-1)
				if random.IntN(2) == 0 {
					c.Leave()
				}
				c.Settle()
			}
		})
	}
	g.Wait()
	if got := a.Usage("acme"); got != (account.Usage{}) {
		t.Errorf("got %+v left, want nothing", got)
	}
	for n := range tokens {
		if got := a.Requests(fmt.Sprint(n)); got != 0 {
			t.Errorf("got %d requests of token %d left, want none", got, n)
		}
	}
	// One after the other, so that nobody is in anybody's way but by the rate: the sum is the limit's.
	for n := range tokens {
		for {
			var c account.Charge
			claim := account.Claim{Org: "acme", Token: fmt.Sprint(n), OrgLimits: rpm(ofOrg.RPM), TokenLimits: rpm(ofToken.RPM), At: at}
			if a.Admit(&c, &claim, nil) != nil {
				break
			}
			admitted.Add(1)
			c.Settle()
		}
	}
	if got := admitted.Load(); got != int64(ofOrg.RPM) {
		t.Errorf("got %d requests admitted of a bucket of %d", got, ofOrg.RPM)
	}
}

func TestAdmit_LimitsAllocateNothing(t *testing.T) {
	a := account.New(account.Config{Memory: 1})
	var c account.Charge
	limited := account.Limits{RPM: math.MaxInt32, Concurrency: 10}
	if allocs := testing.AllocsPerRun(100, func() {
		if err := a.Admit(&c, &account.Claim{Org: "acme", Token: "t", OrgLimits: limited, TokenLimits: limited}, nil); err != nil {
			t.Error(err)
		}
		c.Join()
		c.Run()
		c.Settle()
	}); allocs > 0 {
		t.Errorf("got %v allocations a request, want none", allocs)
	}
}

func BenchmarkAdmit(b *testing.B) {
	most := account.Limits{RPM: math.MaxInt32, Concurrency: math.MaxInt32}
	for name, l := range map[string]account.Limits{"unlimited": {}, "limited": most} {
		b.Run(name, func(b *testing.B) {
			a := account.New(account.Config{Memory: 1})
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				var c account.Charge
				for p.Next() {
					if err := a.Admit(&c, &account.Claim{Org: "acme", Token: "t", OrgLimits: l, TokenLimits: l}, nil); err != nil {
						b.Error(err)
					}
					c.Settle()
				}
			})
		})
	}
}
