package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// ids gives the IDs of all records, in the order of arrival, and checks that sums have as many and that they are chained.
func ids(t *testing.T, l *Ledger) []string {
	t.Helper()
	var all []string
	records := everything(t, l)
	for _, r := range records {
		all = append(all, r.ID)
	}
	wantChains(t, records)
	rows, _, err := l.Usage(t.Context(), Query{})
	requests := int64(0)
	for _, row := range rows {
		requests += row.Requests
	}
	if err != nil || requests != int64(len(all)) {
		t.Errorf("got %d requests in sums, %v, want %d", requests, err, len(all))
	}
	return all
}

// restarted gives the IDs of all records after the process was killed now.
func restarted(t *testing.T, l *Ledger) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(l.wal.dir)); err != nil { // the store lies there, too
		t.Fatal(err)
	}
	s, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	next, err := Open(t.Context(), Config{Dir: dir, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	return ids(t, next)
}

// What an Append has failed with is in no answer of the ledger and in none of the next life's, whatever failed; the same record can be appended
// again, and what comes later is not held up.
func TestAppend_ThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.SkipOnPostgres(t, "it copies the file")
	for name, row := range map[string]struct {
		durability   Durability
		write, sync  error
		moved, twice bool
	}{
		"fsync":                          {durability: Sync, sync: errDisk},
		"fsync, moved in between":        {durability: Sync, sync: errDisk, moved: true},
		"fsync, twice":                   {durability: Sync, sync: errDisk, twice: true},
		"write":                          {durability: Sync, write: errDisk},
		"write, moved in between":        {durability: Sync, write: errDisk, moved: true},
		"write with async":               {durability: Async, write: errDisk},
		"write with async, moved before": {durability: Async, write: errDisk, moved: true},
		"write with async, twice":        {durability: Async, write: errDisk, twice: true},
	} {
		t.Run(name, func(t *testing.T) {
			disk := &faulty{}
			l := openOn(t, row.durability, disk)
			first := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}
			lost := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}
			last := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}
			if err := l.Append(first); err != nil {
				t.Fatal(err)
			}
			want := []string{first.ID}
			tries := 1
			if row.twice {
				tries = 2
			}
			for range tries {
				disk.fail(nil, row.write, row.sync)
				if err := l.Append(lost); err == nil {
					t.Fatal("Append does not tell that the disk has failed")
				}
				disk.fail(nil, nil, nil)
			}
			if rows, _, err := l.Usage(t.Context(), Query{}); err != nil || len(rows) != 1 || rows[0].Requests != 1 {
				t.Errorf("got usage %+v, %v, want the first record's", rows, err)
			}
			if _, err := l.Receipt(t.Context(), "acme", "", lost.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v, want no receipt of what was withheld", err)
			}
			if row.write == nil { // else nothing could be written that would tell the next life, until something can
				if diff := cmp.Diff(want, restarted(t, l)); diff != "" {
					t.Errorf("killed at once (-want +got):\n%s", diff)
				}
			}
			if row.moved {
				if diff := cmp.Diff(want, ids(t, l)); diff != "" {
					t.Errorf("moved (-want +got):\n%s", diff)
				}
			}
			if err := l.Append(last); err != nil {
				t.Fatal(err)
			}
			want = append(want, last.ID)
			if diff := cmp.Diff(want, restarted(t, l)); diff != "" {
				t.Errorf("killed later (-want +got):\n%s", diff)
			}
			if err := l.Append(lost); err != nil {
				t.Fatal(err)
			}
			want = append(want, lost.ID)
			for when, got := range map[string][]string{"killed in the end": restarted(t, l), "in the end": ids(t, l), "restarted then": restarted(t, l)} {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", when, diff)
				}
			}
		})
	}
}

// With Async a failed fsync takes nothing back, for what was answered is paid: but nothing more goes into that segment.
func TestAppend_AfterAFailedFsyncGoesToAnotherSegmentWithAsync(t *testing.T) {
	disk := &faulty{}
	l := openOn(t, Async, disk)
	var want []string
	first := l.wal.active().number
	for n := range 2 {
		r := &Record{Model: "m", DispatchedAt: time.Now()}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		want = append(want, r.ID)
		if got := l.wal.active().number; got != first+uint64(n) {
			t.Errorf("appended to segment %d, want %d", got, first+uint64(n))
		}
		disk.fail(nil, nil, errDisk)
		if err := l.wal.sync(l.wal.pending()); err == nil {
			t.Fatal("the fsync succeeded")
		}
		disk.fail(nil, nil, nil)
	}
	if diff := cmp.Diff(want, ids(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrite_ThatFailsFailsAllWhoShareIt(t *testing.T) {
	disk := &faulty{}
	l := openOn(t, Async, disk)
	records := []*Record{{Model: "m", DispatchedAt: time.Now()}, {Model: "m", DispatchedAt: time.Now()}}
	var group *group
	for i, r := range records {
		r.complete()
		g, first := l.wal.join(r, 0)
		if first != (i == 0) {
			t.Fatalf("record %d: got first %t", i, first)
		}
		group = g
	}
	disk.fail(nil, errDisk, nil)
	l.wal.write(group)
	group.written.Wait() // would hang if nobody told them
	if group.err == nil {
		t.Error("got nil, want an error")
	}
	disk.fail(nil, nil, nil)
	for _, r := range records {
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{records[0].ID, records[1].ID}, ids(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A group that is larger than what is left of a segment is written into two.
func TestWrite_SharedByManyGoesOnInTheNextSegment(t *testing.T) {
	l := open(t, Async)
	var want []string
	var group *group
	for range 3 * segmentSize / recordRoom {
		r := &Record{Model: "m", DispatchedAt: time.Now(), Instance: strings.Repeat("i", 800)}
		r.complete()
		g, _ := l.wal.join(r, 0)
		want, group = append(want, r.ID), g
	}
	l.wal.write(group)
	if group.err != nil || len(l.wal.open) != 3 {
		t.Fatalf("got %v, %d segments, want 3", group.err, len(l.wal.open))
	}
	if diff := cmp.Diff(want, restarted(t, l)); diff != "" {
		t.Errorf("restarted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, ids(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
