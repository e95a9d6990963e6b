package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// One organisation has 16 long queries, and always more behind them; another's one waits for none of those.
func TestGate_OneOrgLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4, 2)
		var crowd sync.WaitGroup
		for range 16 {
			crowd.Go(func() {
				leave, err := g.enter(t.Context(), "crowd")
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Hour)
				leave()
			})
		}
		synctest.Wait()
		for _, org := range []string{"a", "b", "a", "c"} {
			began := time.Now()
			leave, err := g.enter(t.Context(), org)
			if err != nil || time.Since(began) != 0 {
				t.Errorf("a query of %s waited %s, %v; want it let in at once", org, time.Since(began), err)
			}
			leave()
			leave() // once more does no harm
		}
		began := time.Now()
		crowd.Wait()
		if got := time.Since(began); got != 8*time.Hour {
			t.Errorf("16 queries of an hour, two at once, took %s", got)
		}
	})
}

func TestGate_OrgsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1)
		leave, err := g.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		for _, org := range []string{"a", "a", "a", "b", "b", "c"} {
			all.Go(func() {
				leave, err := g.enter(t.Context(), org)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, org)
				mu.Unlock()
				leave()
			})
			synctest.Wait()
		}
		leave()
		all.Wait()
		if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		if g.free != 1 || len(g.reading)+len(g.waiting)+len(g.turns) != 0 {
			t.Errorf("left behind: %d free, %v, %v, %v", g.free, g.reading, g.waiting, g.turns)
		}
	})
}

func TestGate_WhoLeavesTheQueueTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1)
		leave, err := g.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.enter(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		leave()
		if g.free != 1 || len(g.reading)+len(g.waiting)+len(g.turns) != 0 {
			t.Errorf("left behind: %d free, %v, %v, %v", g.free, g.reading, g.waiting, g.turns)
		}
		leave, err = g.enter(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		leave()
	})
}
