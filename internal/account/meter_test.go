package account_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// price is that of the published table: 2.29 nano-dollars a microsecond.
const price = 8_250_000_000

// worth is what a request of one GPU costs for so long.
func worth(d time.Duration) fleet.NanoUSD { return ledger.Cost(d, 1, price) }

func monthly(limit fleet.NanoUSD) account.Budget {
	return account.Budget{Limit: limit, Period: "monthly", Window: func(at time.Time) (from, to time.Time) {
		from = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0)
	}}
}

func daily(limit fleet.NanoUSD) account.Budget {
	return account.Budget{Limit: limit, Period: "daily", Window: func(at time.Time) (from, to time.Time) {
		from = at.Truncate(24 * time.Hour)
		return from, from.AddDate(0, 0, 1)
	}}
}

func metered() *account.Accounts {
	return account.New(account.Config{Memory: mib, Cost: ledger.Cost})
}

// spender is a request of so many GPUs. It ends when it has all, or when it is told to.
type spender struct {
	account.Charge
	gpus  int
	from  time.Time
	told  atomic.Pointer[time.Time]
	ended chan struct{}
}

func (s *spender) Reclaim() {}

func (s *spender) OutOfBudget(_ *account.BudgetError, until time.Time) {
	s.told.Store(&until)
	close(s.ended)
}

// begin spends from now on, or gives why not.
func begin(a *account.Accounts, org, token string, gpus int) (*spender, error) {
	s := &spender{gpus: gpus, ended: make(chan struct{})}
	_ = a.Admit(&s.Charge, &account.Claim{Org: org, Token: token}, s)
	if err := s.Spend(account.Rate{GPUs: gpus, Price: price}, true, s); err != nil {
		s.Settle()
		return nil, err
	}
	s.from = time.Now()
	s.Dispatched(s.from)
	return s, nil
}

// run goes on for d, or until it is ended, and gives what it costs.
func (s *spender) run(d time.Duration) (cost fleet.NanoUSD, cut bool) {
	select {
	case <-time.After(d):
	case <-s.ended:
	}
	return s.bill(time.Now())
}

func (s *spender) bill(end time.Time) (cost fleet.NanoUSD, cut bool) {
	until := s.Bill(s.from, s.from, end)
	s.Settle()
	return ledger.Cost(until.Sub(s.from), s.gpus, price), until.Before(end) || s.told.Load() != nil
}

// TestSpend_NeverOverAndNeverRefusedWhileItSuffices has many spend at once, from budgets that are exactly enough, and short by a nano-dollar, and by much.
func TestSpend_NeverOverAndNeverRefusedWhileItSuffices(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 13))
			type wish struct {
				after, long time.Duration
				gpus        int
			}
			wishes, all := make([]wish, 500), fleet.NanoUSD(0)
			for i := range wishes {
				w := wish{time.Duration(random.Int64N(int64(3 * time.Second))), time.Microsecond + time.Duration(random.Int64N(int64(time.Second))), 1 << random.IntN(4)}
				wishes[i] = w
				all += ledger.Cost(w.long, w.gpus, price)
			}
			for _, missing := range []fleet.NanoUSD{0, 1, all / 3} {
				a := metered()
				a.SetBudget("acme", "", monthly(all-missing))
				var spent, short atomic.Int64
				var g sync.WaitGroup
				for i, w := range wishes {
					g.Go(func() {
						time.Sleep(w.after)
						s, err := begin(a, "acme", fmt.Sprint("token", i%7), w.gpus)
						if err != nil {
							short.Add(1)
							return
						}
						cost, cut := s.run(w.long)
						if spent.Add(int64(cost)); cut {
							short.Add(1)
						}
					})
				}
				g.Wait()
				total, n := fleet.NanoUSD(spent.Load()), short.Load()
				if b, _ := a.Balance("acme", ""); b.Spent != total {
					t.Errorf("got a balance of %s spent, want %s", b.Spent, total)
				}
				switch {
				case total > all-missing:
					t.Errorf("seed %d: got %s spent of %s", seed, total, all-missing)
				case missing == 0 && (n > 0 || total != all):
					t.Errorf("seed %d: got %d of 500 requests refused or cut, and %s spent, want none and %s: the budget covers all of it", seed, n, total, all)
				case missing > 0 && n == 0:
					t.Errorf("seed %d: got none refused or cut of what costs %s more than there is", seed, missing)
				}
			}
		})
	}
}

// TestSpend_BilledToTheInstantHoweverLateItIsEnded: a request that ends behind the instant at which its budget is used up pays until then.
func TestSpend_BilledToTheInstantHoweverLateItIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.SetBudget("acme", "", monthly(ledger.Cost(2*time.Second, 8, price))) // two requests of 4 GPUs for two seconds
		var all []*spender
		for range 2 {
			s, err := begin(a, "acme", "t", 4)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		<-all[0].ended
		told := time.Since(all[0].from)
		if told < 2*time.Second || told > 2*time.Second+10*time.Millisecond {
			t.Errorf("got the end told after %v, want 2s and a little", told)
		}
		time.Sleep(time.Second)
		for _, s := range all {
			if until := s.Bill(s.from, s.from, time.Now()).Sub(s.from); until.Truncate(time.Microsecond) != 2*time.Second {
				t.Errorf("got %v billed, want 2s", until)
			}
			s.Settle()
		}
		if _, err := begin(a, "acme", "t", 1); err == nil {
			t.Error("got a request admitted, want it refused: nothing is left")
		}
	})
}

// TestSpend_EndedBeforeItIsTold: the timer leaves a little time to those who have ended just before the instant.
func TestSpend_EndedBeforeItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.SetBudget("acme", "", monthly(worth(2*time.Second)))
		long, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		short, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second + time.Millisecond)                               // a millisecond ago both had used it up
		if cost, cut := short.bill(time.Now().Add(-2 * time.Millisecond)); cut { // but this one had ended before
			t.Errorf("got %s, cut, want it whole", cost)
		}
		<-long.ended
		if d := long.told.Load().Sub(long.from); d < time.Second+900*time.Microsecond || d > time.Second+1100*time.Microsecond {
			t.Errorf("got the other one ended after %v, want a millisecond more than a second", d)
		}
		long.bill(time.Now())
	})
}

func TestSpend_WaitingCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.SetBudget("acme", "", monthly(worth(time.Second)))
		s := &spender{gpus: 1, ended: make(chan struct{})}
		_ = a.Admit(&s.Charge, &account.Claim{Org: "acme", Token: "t"}, s)
		if err := s.MaySpend(account.Rate{GPUs: 1, Price: price}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := s.Spend(account.Rate{GPUs: 1, Price: price}, false, s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // its engine is being dialled
		sent := time.Now()
		s.Dispatched(sent)
		time.Sleep(time.Minute) // its engine wakes up
		s.from = time.Now()
		s.Proven(s.from)
		if cost, cut := s.run(time.Second); cut || cost != worth(time.Second) {
			t.Errorf("got %s, cut: %t, want all of its second", cost, cut)
		}
	})
}

func TestSpend_UnbilledIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.SetBudget("acme", "", monthly(worth(time.Second)))
		for name, end := range map[string]func(s *spender){
			"while it runs":              (*spender).Unspend,
			"by its charge":              (*spender).Settle,
			"after it was billed":        func(s *spender) { s.Bill(s.from, s.from, time.Now()); s.Unspend() },
			"after the budget was spent": func(s *spender) { time.Sleep(time.Second); <-s.ended; s.Unspend() },
		} {
			s, err := begin(a, "acme", "t", 1)
			if err != nil {
				t.Fatalf("%s: got %v, want all given back before", name, err)
			}
			time.Sleep(time.Second / 2)
			end(s)
			s.Settle()
			if b, _ := a.Balance("acme", ""); b.Spent != 0 {
				t.Errorf("%s: got %s spent, want nothing", name, b.Spent)
			}
		}
	})
}

func TestSpend_TokensBudgetInsideTheOrganisations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.SetBudget("acme", "", monthly(worth(10*time.Second)))
		a.SetBudget("acme", "small", monthly(worth(time.Second)))
		small, err := begin(a, "acme", "small", 1)
		if err != nil {
			t.Fatal(err)
		}
		if cost, cut := small.run(time.Minute); !cut || cost != worth(time.Second) {
			t.Errorf("got %s, cut: %t, want the token's second", cost, cut)
		}
		var used *account.BudgetError
		if _, err := begin(a, "acme", "small", 1); !errors.As(err, &used) || used.Token != "small" {
			t.Errorf("got %v, want the token's budget used up", err)
		}
		large, err := begin(a, "acme", "large", 1)
		if err != nil {
			t.Fatal(err)
		}
		if cost, cut := large.run(time.Minute); !cut || cost != worth(9*time.Second) {
			t.Errorf("got %s, cut: %t, want what is left of the organisation's", cost, cut)
		}
		if _, err := begin(a, "acme", "large", 1); !errors.As(err, &used) || used.Token != "" || !strings.Contains(err.Error(), "2000-02-01T00:00:00Z") {
			t.Errorf("got %v, want the organisation's budget used up until February", err)
		}
	})
}

// TestSpend_PeriodOfTheDispatch: what was sent before a period's end is paid from that period, however long it goes on.
func TestSpend_PeriodOfTheDispatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.SetBudget("acme", "", daily(worth(2*time.Second)))
		time.Sleep(24*time.Hour - time.Second/2)
		old, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		next, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		if cost, cut := old.run(time.Hour); !cut || cost != worth(2*time.Second) {
			t.Errorf("got %s, cut: %t, want all of the first day's", cost, cut)
		}
		if cost, cut := next.run(time.Hour); !cut || cost != worth(2*time.Second) {
			t.Errorf("got %s, cut: %t, want all of the second day's", cost, cut)
		}
		if b, _ := a.Balance("acme", ""); b.Spent != worth(2*time.Second) || !b.Resets.Equal(time.Date(2000, 1, 3, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("got %+v, want the second day's", b)
		}
	})
}

func TestSpend_RaiseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		b := monthly(worth(2 * time.Second))
		b.Raise = account.Raise{Limit: worth(100 * time.Second), Until: time.Now().Add(10 * time.Second)}
		a.SetBudget("acme", "", b)
		s, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, err := begin(a, "acme", "t", 0); err != nil {
			t.Errorf("got %v, want what costs nothing not refused", err)
		}
		if cost, cut := s.run(time.Hour); !cut || cost > worth(10*time.Second) || cost < worth(10*time.Second)-3 {
			t.Errorf("got %s, cut: %t, want it ended with the raise, after 10 s", cost, cut)
		}
		if _, err := begin(a, "acme", "t", 1); err == nil {
			t.Error("got a request admitted, want it refused: the budget itself has long been spent")
		}
		a.SetBudget("acme", "", monthly(worth(11*time.Second)))
		again, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatalf("got %v, want the larger budget to hold at once", err)
		}
		again.bill(time.Now())
	})
}

func TestSpend_BudgetIsLoweredMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		s, err := begin(a, "acme", "t", 1) // before there is a budget
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		a.SetBudget("acme", "", monthly(worth(5*time.Second)))
		time.Sleep(time.Second)
		if b, _ := a.Balance("acme", ""); b.Spent != worth(4*time.Second)-1 || b.Left() != worth(time.Second) {
			t.Errorf("got %s spent, %s left, want 4 s, to the nano-dollar below, and 1 s", b.Spent, b.Left())
		}
		a.SetBudget("acme", "", monthly(worth(time.Second)))
		if cost, cut := s.run(time.Hour); !cut || cost != worth(4*time.Second) {
			t.Errorf("got %s, cut: %t, want it ended when the budget was lowered", cost, cut)
		}
		a.SetBudget("acme", "", account.Budget{})
		if _, err := begin(a, "acme", "t", 1); err != nil {
			t.Errorf("got %v, want nobody refused without a budget", err)
		}
	})
}

func TestSpend_SoftBudgetOnlyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		soft := monthly(worth(10 * time.Second))
		soft.Soft = true
		a.SetBudget("acme", "", soft)
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		var g sync.WaitGroup
		began := time.Now()
		g.Go(func() {
			a.Notices(ctx, func(n account.Notice) {
				told = append(told, fmt.Sprint(n.Percent, " ", time.Since(began).Round(time.Second)))
			})
		})
		s, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		if cost, cut := s.run(time.Minute); cut || cost != worth(60*time.Second) {
			t.Errorf("got %s, cut: %t, want nothing ended", cost, cut)
		}
		if _, err := begin(a, "acme", "t", 1); err != nil {
			t.Errorf("got %v, want nobody refused", err)
		}
		synctest.Wait()
		cancel()
		g.Wait()
		if got, want := strings.Join(told, ", "), "50 5s, 80 8s, 100 10s"; got != want {
			t.Errorf("got %s, want %s: each once, when it is reached", got, want)
		}
	})
}

// TestCount_WhatFormerLivesHaveSpentAndCorrections counts in the period of its dispatch.
func TestCount_WhatFormerLivesHaveSpentAndCorrections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := metered()
		a.Count("acme", "t", time.Now(), worth(4*time.Second))
		a.Count("acme", "u", time.Now().Add(-24*time.Hour), worth(100*time.Second)) // in the month before
		a.SetBudget("acme", "", monthly(worth(5*time.Second)))
		a.SetBudget("acme", "t", monthly(worth(4*time.Second)))
		if _, err := begin(a, "acme", "t", 1); err == nil {
			t.Error("got a request admitted, want it refused: its token's budget was spent")
		}
		a.Count("acme", "t", time.Now(), -worth(time.Second)) // a correction
		s, err := begin(a, "acme", "t", 1)
		if err != nil {
			t.Fatal(err)
		}
		if cost, cut := s.run(time.Hour); !cut || cost != worth(time.Second) {
			t.Errorf("got %s, cut: %t, want what was corrected", cost, cut)
		}
	})
}

// TestLeft_EndsWithItsRequest: the next request on the same charge is told nothing of this one's budget.
func TestLeft_EndsWithItsRequest(t *testing.T) {
	a := metered()
	a.SetBudget("acme", "", monthly(10))
	a.Count("acme", "t", time.Now(), 10)
	for name, ask := range map[string]func(*spender) error{
		"before it waits":       func(s *spender) error { return s.MaySpend(account.Rate{GPUs: 1, Price: price}) },
		"when it has an engine": func(s *spender) error { return s.Spend(account.Rate{GPUs: 1, Price: price}, true, s) },
	} {
		s := &spender{}
		_ = a.Admit(&s.Charge, &account.Claim{Org: "acme", Token: "t"}, s)
		if err := ask(s); err == nil {
			t.Errorf("%s: got it admitted, want it refused", name)
		}
		if left, ok := s.Left(); !ok || left != 0 {
			t.Errorf("%s: got %s left, known: %t, want nothing", name, left, ok)
		}
		s.Settle()
		if left, ok := s.Left(); ok {
			t.Errorf("%s: got %s left after its end, want that not known", name, left)
		}
	}
}

func TestSpend_AllocatesNothing(t *testing.T) {
	a := metered()
	a.SetBudget("acme", "", monthly(1<<60))
	s := &spender{ended: make(chan struct{})}
	once := func() {
		_ = a.Admit(&s.Charge, &account.Claim{Org: "acme", Token: "t"}, s)
		_ = s.MaySpend(account.Rate{GPUs: 1, Price: price})
		_ = s.Spend(account.Rate{GPUs: 1, Price: price}, true, s)
		now := time.Now()
		s.Dispatched(now)
		s.Bill(now, now, now)
		s.Settle()
	}
	once()
	if allocs := testing.AllocsPerRun(100, once); allocs > 0 {
		t.Errorf("got %v allocations a request, want none", allocs)
	}
}

func BenchmarkSpend(b *testing.B) {
	for _, running := range []int{0, 1000} {
		b.Run(fmt.Sprint(running), func(b *testing.B) {
			a := metered()
			a.SetBudget("acme", "", monthly(1<<60))
			a.SetBudget("acme", "t", monthly(1<<60))
			for range running {
				if _, err := begin(a, "acme", "t", 1); err != nil {
					b.Fatal(err)
				}
			}
			s := &spender{ended: make(chan struct{})}
			b.ReportAllocs()
			for b.Loop() {
				_ = a.Admit(&s.Charge, &account.Claim{Org: "acme", Token: "t"}, s)
				_ = s.MaySpend(account.Rate{GPUs: 1, Price: price})
				_ = s.Spend(account.Rate{GPUs: 1, Price: price}, true, s)
				now := time.Now()
				s.Dispatched(now)
				s.Bill(now, now, now)
				s.Settle()
			}
		})
	}
}
