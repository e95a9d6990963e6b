package ledger_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// headerLen is where a segment's first record begins.
const headerLen = 38

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.wal*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// allocated is what a segment has behind its records: zeros that were not written over, or nothing in one of a former Pilotlight.
var allocated = [][]byte{nil, make([]byte, 700)}

// unmoved gives what was written of a segment with three records, as a killed process leaves it, and where each record ends.
func unmoved(t testing.TB) (data []byte, ends []int) {
	t.Helper()
	dir := t.TempDir()
	l := openLedger(t, ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db"))})
	for n := range 3 {
		appendAll(t, l, record(n+1))
		var err error
		if data, err = os.ReadFile(segments(t, dir)[0]); err != nil {
			t.Fatal(err)
		}
		data = bytes.TrimRight(data, "\x00")
		ends = append(ends, len(data))
	}
	return data, ends
}

// looked says whether a byte of a segment is tried: each, and in a short run those about the header's and each record's ends, and every 61st.
func looked(at int, ends []int) bool {
	near := func(end int) bool { return max(at-end, end-at) <= 2 }
	return !testing.Short() || at%61 == 0 || near(headerLen) || slices.ContainsFunc(ends, near)
}

// reopen opens a ledger on a segment and gives what it finds there.
func reopen(t testing.TB, s *store.Store, segment []byte) (records []ledger.Record, log, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000007.wal"), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	ledger.Exec(t, s, "DELETE FROM usage_blocks; DELETE FROM usage_keys; DELETE FROM usage_days; DELETE FROM usage_runs; DELETE FROM usage_parts; DELETE FROM usage_extents")
	var out logged
	l, err := ledger.Open(context.Background(), ledger.Config{Dir: dir, Store: s, Log: out.logger()})
	if err != nil {
		t.Fatal(err)
	}
	records = all(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return records, out.String(), dir
}

func TestOpen_TornAtEveryByte(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "p.db"))
	data, ends := unmoved(t)
	for cut := range len(data) + 1 {
		if !looked(cut, ends) {
			continue
		}
		var want []string
		whole := cut == 0 || cut == headerLen // an empty file, or a header alone
		for n, end := range ends {
			if end <= cut {
				want = append(want, record(n+1).RequestID)
			}
			whole = whole || end == cut
		}
		for _, rest := range allocated {
			if len(rest) > 0 && cut > 0 && cut < headerLen {
				continue // the header is written at once
			}
			records, log, dir := reopen(t, s, slices.Concat(data[:cut], rest))
			if got := requests(records); !cmp.Equal(got, want) {
				t.Errorf("cut at %d of %d, %d zeros: got %v, want %v", cut, len(data), len(rest), got, want)
			}
			if left := segments(t, dir); len(left) != 0 {
				t.Errorf("cut at %d, %d zeros: left in the directory: %v", cut, len(rest), left)
			}
			if torn := strings.Contains(log, "level=WARN"); torn == whole && cut > headerLen || strings.Contains(log, "level=ERROR") {
				t.Errorf("cut at %d, %d zeros: logged %q", cut, len(rest), log)
			}
		}
	}
}

func TestOpen_DamageInTheMiddleLosesOnlyWhatItTouches(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "p.db"))
	data, ends := unmoved(t)
	for at := range data {
		if at == 7 || !looked(at, ends) { // another version is no damage: Open refuses it
			continue
		}
		bad := slices.Concat(data, allocated[at%len(allocated)])
		bad[at] ^= 0x40
		records, log, dir := reopen(t, s, bad)
		var want []string
		for n, end := range ends {
			if start := append([]int{headerLen}, ends...)[n]; at < start || at >= end {
				want = append(want, record(n+1).RequestID)
			}
		}
		if got := requests(records); !cmp.Equal(got, want) {
			t.Errorf("byte %d damaged: got %v, want %v", at, got, want)
		}
		aside, err := os.ReadFile(filepath.Join(dir, "0000000000000007.wal.corrupt"))
		inLength := at >= ends[1]+4 && at < ends[1]+8 // the last record looks longer than the file: as if it were cut short
		if inLength && err != nil {
			continue
		}
		if err != nil || !bytes.Equal(aside, bad) {
			t.Errorf("byte %d damaged: the segment was not set aside: %v", at, err)
		}
		if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, ".corrupt") {
			t.Errorf("byte %d damaged: logged %q", at, log)
		}
	}
}

func TestOpen_RefusesALogOfANewerVersion(t *testing.T) {
	data, _ := unmoved(t)
	data[7]++
	dir := t.TempDir()
	path := filepath.Join(dir, "0000000000000001.wal")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db"))})
	if err == nil {
		l.Close()
	}
	if err == nil || !strings.Contains(err.Error(), ledger.ErrNewer.Error()) {
		t.Errorf("got %v, want %v", err, ledger.ErrNewer)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the segment was touched: %v", err)
	}
}

func TestRun_ReportsDamageOfALiveSegment(t *testing.T) {
	dir := t.TempDir()
	var log logged
	l := openLedger(t, ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db")), Log: log.logger()})
	appendAll(t, l, record(1), record(2))
	path := segments(t, dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(bytes.TrimRight(data, "\x00"))-1] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, record(3))
	if got := requests(all(t, l)); !cmp.Equal(got, []string{"req-1", "req-3"}) {
		t.Errorf("got %v, want the first and the third", got)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("logged %q", log.String())
	}
}

// Two servers may find the same records: a directory that was copied, or a restored store. Both move them at once.
func TestOpen_TwoMoversOfTheSameRecordsCountOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.db")
	first := openLedger(t, ledger.Config{Dir: filepath.Join(dir, "a"), Store: openStore(t, path)})
	const n = 1200
	for i := range n {
		appendAll(t, first, record(i))
	}
	for _, name := range []string{"b", "c"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(dir, "a"))); err != nil {
			t.Fatal(err)
		}
	}
	var movers sync.WaitGroup
	movers.Go(func() { all(t, first) })
	for _, name := range []string{"b", "c"} {
		s := openStore(t, path)
		movers.Go(func() {
			l, err := ledger.Open(context.Background(), ledger.Config{Dir: filepath.Join(dir, name), Store: s})
			if err != nil {
				t.Error(err)
				return
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	movers.Wait()
	if got := len(all(t, first)); got != n {
		t.Errorf("got %d records, want %d", got, n)
	}
}

func TestAppend_RotatesAndRemovesWhatWasMoved(t *testing.T) {
	l, c := newLedger(t)
	const n = 150 // about three segments
	for i := range n {
		r := record(i)
		r.RequestID = strings.Repeat("x", 20000)
		appendAll(t, l, r)
	}
	long := record(n)
	long.RequestID = strings.Repeat("x", 1<<20)
	if err := l.Append(long); err == nil {
		t.Error("a record larger than a segment was taken")
	}
	if got := len(segments(t, c.Dir)); got < 3 {
		t.Errorf("got %d segments before the move, want 3 or more", got)
	}
	if got := len(all(t, l)); got != n {
		t.Errorf("got %d records, want %d", got, n)
	}
	if left := segments(t, c.Dir); len(left) != 1 {
		t.Errorf("after the move: got %v, want the active one", left)
	}
}
