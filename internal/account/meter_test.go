package account_test

import (
	"fmt"
	"math/rand/v2"
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
