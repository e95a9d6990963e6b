package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Of a log in which a record may lie twice, it counts once, wherever its first copy is.
func TestOpen_ARecordThatMayBeThereTwiceCountsOnce(t *testing.T) {
	r := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}
	r.complete()
	for name, frames := range map[string][][]byte{
		"once":             {appendFrame(nil, r, true)},
		"twice":            {appendFrame(nil, r, false), appendFrame(nil, r, true)},
		"twice, and again": {appendFrame(nil, r, true), appendFrame(nil, r, true)},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, Async)
			var segments [][]byte
			for _, frame := range frames {
				segments = append(segments, append(segmentHeader(NewID()), frame...))
			}
			for range 2 { // and once more, put back from a backup
				dir := t.TempDir()
				for i, segment := range segments {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%016x.wal", i+1)), segment, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				next, err := Open(t.Context(), Config{Dir: dir, Store: l.store})
				if err != nil {
					t.Fatal(err)
				}
				page, err := next.Records(t.Context(), "", "", 0)
				if err != nil || len(page.Records) != 1 || page.Records[0].ID != r.ID {
					t.Errorf("got %+v, %v, want the record", page, err)
				}
				if rows, _, err := next.Usage(t.Context(), Query{}); err != nil || len(rows) != 1 || rows[0].Requests != 1 {
					t.Errorf("got %+v, %v, want one request", rows, err)
				}
				if err := next.Close(); err != nil {
					t.Error(err)
				}
			}
		})
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
