package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// failSync appends a record whose frame is written and whose fsync fails.
func failSync(t *testing.T, l *Ledger, r *Record) {
	t.Helper()
	_, before := durable(l)
	var appending sync.WaitGroup
	l.wal.syncing.Lock()
	defer appending.Wait()
	defer l.wal.syncing.Unlock()
	appending.Go(func() {
		if err := l.Append(r); err == nil {
			t.Error("the fsync of a closed file succeeded")
		}
	})
	for written := before; written == before; time.Sleep(time.Millisecond) {
		_, written = durable(l)
	}
	l.wal.mu.Lock()
	defer l.wal.mu.Unlock()
	l.wal.active().file.Close()
}

// wantOnce checks that the ledger has one record and has counted it once.
func wantOnce(t *testing.T, l *Ledger) {
	t.Helper()
	if rows, _, err := l.Usage(t.Context(), Query{}); err != nil || len(rows) != 1 || rows[0].Requests != 1 {
		t.Errorf("before the move: got usage %+v, %v, want one request", rows, err)
	}
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := l.Records(t.Context(), "", "", 0)
	if err != nil || len(page.Records) != 1 {
		t.Errorf("got %d records, %v, want 1", len(page.Records), err)
	}
	rows, _, err := l.Usage(t.Context(), Query{})
	if err != nil || len(rows) != 1 || rows[0].Requests != 1 {
		t.Errorf("got usage %+v, %v, want one request", rows, err)
	}
}

func TestAppend_TheSameRecordAgainAfterAnErrorCountsOnce(t *testing.T) {
	for _, movedBetween := range []bool{false, true} {
		t.Run(fmt.Sprint("moved between ", movedBetween), func(t *testing.T) {
			l := open(t, Sync)
			r := &Record{Model: "m", DispatchedAt: time.Now()}
			failSync(t, l, r)
			if movedBetween {
				wantOnce(t, l)
			}
			if err := l.Append(r); err != nil {
				t.Fatal(err)
			}
			crashed := t.TempDir()
			if err := os.CopyFS(crashed, os.DirFS(l.wal.dir)); err != nil {
				t.Fatal(err)
			}
			wantOnce(t, l)

			s, err := storetest.TryOpen(t, filepath.Join(crashed, "other.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, s := range []*store.Store{s, s, l.store} { // a new one, again, and the one that has it
				replayed := t.TempDir()
				if err := os.CopyFS(replayed, os.DirFS(crashed)); err != nil {
					t.Fatal(err)
				}
				next, err := Open(t.Context(), Config{Dir: replayed, Store: s})
				if err != nil {
					t.Fatal(err)
				}
				wantOnce(t, next)
				if err := next.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestAppend_OthersThanTheFailedAreNotLookedUpForever(t *testing.T) {
	l := open(t, Sync)
	failSync(t, l, &Record{Model: "m"})
	if r := (&Record{ID: NewID()}); r.ID <= l.wal.doubtful {
		t.Errorf("the new ID %s is not above the doubtful %s", r.ID, l.wal.doubtful)
	}
}

func TestBlocks_EndWhereDispatchesAreHoursApart(t *testing.T) {
	l := open(t, Async)
	began := time.Now()
	for _, ago := range []time.Duration{0, time.Hour, 2 * time.Hour, 3 * time.Hour, 3 * time.Hour} {
		if err := l.Append(&Record{Model: "m", DispatchedAt: began.Add(-ago)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var blocks, longest int64
	err := l.store.DB().QueryRow("SELECT count(*), max(dispatched_to - dispatched_from) FROM usage_blocks").Scan(&blocks, &longest)
	if err != nil || blocks != 2 || longest != blockSpan {
		t.Errorf("got %d blocks, the longest of %d us, %v, want 2 of up to two hours", blocks, longest, err)
	}
}

func TestTimes_StopsAtTheEnds(t *testing.T) {
	const most, least = 1<<63 - 1, -1 << 63
	for _, row := range [][3]int64{
		{0, most, 0},
		{3, 4, 12},
		{-3, 4, -12},
		{most, 1, most},
		{most, 2, most},
		{least, -1, most},
		{1 << 40, 1 << 40, most},
		{-1 << 40, 1 << 40, least},
	} {
		if got := times(row[0], row[1]); got != row[2] {
			t.Errorf("%d x %d: got %d, want %d", row[0], row[1], got, row[2])
		}
		if got := times(row[1], row[0]); got != row[2] {
			t.Errorf("%d x %d: got %d, want %d", row[1], row[0], got, row[2])
		}
	}
}
