package quota_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

// spend has a server take and end requests until one is refused, n at most, and gives how many it took.
func (m *member) spend(n int) (took int) {
	for ; took < n; took++ {
		charge := m.begin()
		if charge == nil {
			return took
		}
		if got := m.bill(charge, least); got != least {
			m.Errorf("%s: got a request billed %d, want %d", m.name, got, least)
		}
	}
	return took
}

// TestBlock_OfACrashedServer is held until the server is back, which has its log; then what was not spent is everybody's again, to the nano-dollar.
func TestBlock_OfACrashedServer(t *testing.T) {
	t.Parallel()
	const all, open, ended = 100, 5, 7
	c := newCluster(t, all*least)
	c.live, c.within = 0, 8*time.Second // the one as in a server, the other longer, but no longer than needed: who is refused waits for so long
	a, b := c.start("a", 0), c.start("b", 0)
	for range open {
		if a.begin() == nil {
			t.Fatal("got a request refused, want it admitted")
		}
	}
	a.spend(3)
	a.move()
	if a.spend(ended-3) != ended-3 {
		t.Fatal("got a request refused, want it admitted")
	}
	left := a.crash()
	if left != (ended-3)*least {
		t.Fatalf("got %d in the log of the one that crashed, want %d", left, (ended-3)*least)
	}
	var held int64 // what it owes, and what its block had beyond, which is much where it was drawn while a request was being billed
	if err := b.store.DB().QueryRow("SELECT granted FROM quota_blocks WHERE server = 'a'").Scan(&held); err != nil || held < (open+ended)*least {
		t.Fatalf("got a block of %d, %v; want what it owes in it", held, err)
	}
	took := b.spend(all)
	if want := int((all*least - held) / least); took != want {
		t.Errorf("got %d requests of the other, want the %d that %d leave", took, want, held)
	}
	a = c.start("a", left)
	for stop := time.Now().Add(time.Minute); took < all-ended && time.Now().Before(stop); {
		took += b.spend(all)
	}
	if took != all-ended {
		t.Errorf("got %d requests of the other once all is known, want %d", took, all-ended)
	}
	if a.begin() != nil {
		t.Error("got a request admitted over the budget")
	}
	a.stop()
	b.stop()
}

// TestBlock_StoppedServersGiveBack: what a server had drawn is the others' after it has ended in order.
func TestBlock_StoppedServersGiveBack(t *testing.T) {
	const all = 40
	c := newCluster(t, all*least)
	a, b := c.start("a", 0), c.start("b", 0)
	if a.spend(10) != 10 {
		t.Fatal("got a request refused, want it admitted")
	}
	a.stop()
	if got := b.spend(all); got != all-10 {
		t.Errorf("got %d requests of the other, want all %d that are left", got, all-10)
	}
	b.stop()
}

// TestDraw_FromAStoreThatHangs: what was drawn is spent meanwhile, and nobody waits for long.
func TestDraw_FromAStoreThatHangs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1000*least) // so that a block is worth ten requests
	c.within = 0                   // as in a server
	a, b := c.start("a", 0), c.start("b", 0)
	for stop := time.Now().Add(time.Minute); a.spend(1) == 0; {
		if time.Now().After(stop) {
			t.Fatal("got every request refused, want one admitted")
		}
	}
	locked, let := make(chan struct{}), make(chan struct{})
	var holding sync.WaitGroup
	holding.Go(func() {
		_ = b.store.Write(context.Background(), func(*sql.Tx) error {
			close(locked)
			<-let
			return nil
		})
	})
	<-locked
	took := a.spend(1000) // the last is refused though the store says nothing
	if took < 5 || took > 50 {
		t.Errorf("got %d requests while the store hangs, want those of the block", took)
	}
	close(let)
	holding.Wait()
	for stop := time.Now().Add(time.Minute); took < 500 && time.Now().Before(stop); {
		took += a.spend(500 - took)
	}
	if took != 500 {
		t.Errorf("got %d requests once the store answers again, want 500", took)
	}
	a.stop()
	b.stop()
}

// TestBlock_EndsWithTheRaise: what was drawn while a raise stood is not spent after it.
func TestBlock_EndsWithTheRaise(t *testing.T) {
	t.Parallel()
	const base = 20
	c := newCluster(t, base*least)
	until := time.Now().Add(2 * time.Second)
	c.budget.Raise = account.Raise{Limit: 10_000 * least, Until: until}
	a, b := c.start("a", 0), c.start("b", 0)
	took := a.spend(6) + b.spend(5)
	time.Sleep(time.Until(until) + 10*time.Millisecond)
	if took += a.spend(base) + b.spend(base); took > base {
		t.Errorf("got %d requests, want %d at most: the raise has ended", took, base)
	}
	for stop := time.Now().Add(time.Minute); took < base && time.Now().Before(stop); {
		took += a.spend(base) + b.spend(base)
	}
	if took != base {
		t.Errorf("got %d requests, want all %d of the budget's own limit", took, base)
	}
	a.stop()
	b.stop()
}

// TestPoll_ByAServerThatIsAlwaysBusy: what it does not need is had by others, though something of its own is to be looked at all the time.
func TestPoll_ByAServerThatIsAlwaysBusy(t *testing.T) {
	const all = 40
	c := newCluster(t, all*least)
	c.within = 0 // as in a server
	a, b := c.start("a", 0), c.start("b", 0)
	if a.spend(10) != 10 {
		t.Fatal("got a request refused, want it admitted")
	}
	busy, over := context.WithCancel(context.Background())
	var waking sync.WaitGroup
	waking.Go(func() {
		for busy.Err() == nil {
			a.quota.Wake("other")
			time.Sleep(time.Millisecond)
		}
	})
	if got := b.spend(all); got != all-10 {
		t.Errorf("got %d requests of the other, want all %d that are left", got, all-10)
	}
	over()
	waking.Wait()
	a.stop()
	b.stop()
}
