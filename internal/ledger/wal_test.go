package ledger

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// Whether bytes were fsynced, and what follows when that fails, shows only from inside.

func open(t *testing.T, durability Durability) *Ledger {
	t.Helper()
	return openOn(t, durability, Machine{})
}

func openOn(t *testing.T, durability Durability, disk Disk) *Ledger {
	t.Helper()
	dir := t.TempDir()
	s, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l, err := Open(context.Background(), Config{Dir: dir, Store: s, Durability: durability, Disk: disk})
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

func TestSyncWait_KeepsThePromiseOnSlowDisksToo(t *testing.T) {
	for slow := time.Duration(0); slow <= time.Second; slow += time.Millisecond {
		wait := syncWait(slow)
		if slow <= 20*time.Millisecond && slow+wait+slow > durableIn {
			t.Errorf("fsyncs of %s: waits %s, too long for %s", slow, wait, durableIn)
		}
		if wait < 10*time.Millisecond || wait > 45*time.Millisecond {
			t.Errorf("fsyncs of %s: waits %s, want 10 to 45 ms", slow, wait)
		}
	}
}

func TestAppend_SharesWrites(t *testing.T) {
	l := open(t, Async)
	group, first := l.wal.join(&Record{ID: "a"}, 0)
	if !first {
		t.Fatal("got another group before any record had come")
	}
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			if err := l.Append(&Record{Model: "m"}); err != nil {
				t.Error(err)
			}
		})
	}
	for joined := 0; joined < 4; runtime.Gosched() {
		l.wal.joining.Lock()
		joined = len(group.records)
		l.wal.joining.Unlock()
	}
	if _, appended := l.wal.extent(); appended != 0 {
		t.Errorf("got %d records in the log before the write, want none", appended)
	}
	l.wal.write(group)
	others.Wait()
	if _, appended := l.wal.extent(); appended != 4 {
		t.Errorf("got %d records in the log, want 4", appended)
	}
}
