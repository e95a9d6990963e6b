package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

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
