package ledger

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Whether bytes were fsynced, and what follows when that fails, shows only from inside.

func open(t *testing.T, durability Durability) *Ledger {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(context.Background(), filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l, err := Open(context.Background(), Config{Dir: dir, Store: s, Durability: durability})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// durable says how many bytes of the active segment are fsynced, and how many there are.
func durable(l *Ledger) (synced, written int64) {
	l.wal.mu.Lock()
	defer l.wal.mu.Unlock()
	return l.wal.active().synced, l.wal.active().end
}

func TestAppend_SyncIsDurableWhenItReturns(t *testing.T) {
	l := open(t, Sync)
	for range 3 {
		if err := l.Append(&Record{Model: "m"}); err != nil {
			t.Fatal(err)
		}
		if synced, written := durable(l); synced != written || written == headerLen {
			t.Errorf("got %d of %d bytes durable", synced, written)
		}
	}
}

func TestAppend_AsyncIsDurableWithin50ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, Async)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		for n := range 5 {
			time.Sleep(time.Duration(n) * 13 * time.Millisecond)
			if err := l.Append(&Record{Model: "m"}); err != nil {
				t.Fatal(err)
			}
			_, end := durable(l)
			time.Sleep(50 * time.Millisecond)
			if synced, _ := durable(l); synced < end {
				t.Errorf("50 ms later: got %d of %d bytes durable", synced, end)
			}
		}
		cancel()
		running.Wait()
	})
}

func TestAppend_AfterAFailedSyncGoesToAnotherSegment(t *testing.T) {
	l := open(t, Sync)
	l.wal.active().file.Close() // fsync fails now; so does the write
	first := l.wal.active().number
	b := l.wal.pending()
	l.wal.active().end++ // as if a record had been written before
	if err := l.wal.sync(b); err == nil {
		t.Fatal("the fsync of a closed file succeeded")
	}
	l.wal.open[0].end--
	if err := l.wal.sync(b); err == nil {
		t.Error("another record of the same batch was told that it is durable")
	}
	r := &Record{Model: "m", DispatchedAt: time.Now()}
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	if got := l.wal.active().number; got != first+1 {
		t.Errorf("appended to segment %d, want %d", got, first+1)
	}
	if records, _, err := l.Records(t.Context(), "", "", 0); err != nil || len(records) != 1 || records[0].ID != r.ID {
		t.Errorf("got %+v, %v, want the record", records, err)
	}
}
