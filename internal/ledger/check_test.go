package ledger_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// ofManyDays fills a ledger with records of several days, organisations and months, in runs and in a block.
func ofManyDays(t *testing.T) (*ledger.Ledger, ledger.Config) {
	t.Helper()
	l, c := newLedger(t)
	for i := range 60 {
		r := record(i)
		r.Org, r.DispatchedAt = []string{"acme", "zoo"}[i%2], noon.AddDate(0, 0, i%40)
		appendAll(t, l, r)
	}
	move(t, l)
	sorted(t, l)
	if err := l.SumMonths(t.Context(), noon.AddDate(0, 2, 0)); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, record(100))
	move(t, l)
	return l, c
}

func wantCheck(t *testing.T, s *store.Store, records int64, differences ...string) {
	t.Helper()
	c, err := ledger.CheckStore(t.Context(), s)
	if err != nil || c.Records != records || c.Days == 0 || c.Months == 0 || len(c.Differences) != len(differences) {
		t.Fatalf("got %+v, %v, want %d records and %d differences", c, err, records, len(differences))
	}
	for i, want := range differences {
		if !strings.Contains(c.Differences[i], want) {
			t.Errorf("got %s, want it to say %s", c.Differences[i], want)
		}
	}
}

func TestCheckStore_NamesEachSumThatItsRecordsDoNotMake(t *testing.T) {
	t.Parallel()
	_, c := ofManyDays(t)
	wantCheck(t, c.Store, 61)
	day := noon.UnixMicro() / 86_400_000_000
	ledger.Exec(t, c.Store, "UPDATE usage_days SET cost_nano_usd = cost_nano_usd + 1 WHERE day = $1 AND org = 'acme'", day+2)
	month := noon.AddDate(0, 0, 2).Format("2006-01")
	wantCheck(t, c.Store, 61, "day "+noon.AddDate(0, 0, 2).Format("2006-01-02")+", organisation acme", "month "+month+", organisation acme")
	ledger.Exec(t, c.Store, "UPDATE usage_days SET cost_nano_usd = cost_nano_usd - 1 WHERE day = $1 AND org = 'acme'", day+2)
	wantCheck(t, c.Store, 61)
	ledger.Exec(t, c.Store, "DELETE FROM usage_days WHERE day = $1 AND org = 'zoo'", day+5)
	wantCheck(t, c.Store, 61, "kept 0 requests", "month ")
}

func TestCheckStore_NamesABlockThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, c := ofManyDays(t)
	ledger.Exec(t, c.Store, "UPDATE usage_blocks SET data = $1", []byte("damaged"))
	found, err := ledger.CheckStore(t.Context(), c.Store)
	if err != nil || len(found.Differences) != 2 || !strings.Contains(found.Differences[0], "block") {
		t.Errorf("got %+v, %v, want the block, and the sum that it would make", found, err)
	}
}

// A ledger that moves to another store, from one kind to the other too, has the same records there, counts what its log still holds once, and goes on.
func TestCopy_TheLedgerGoesOnInTheOther(t *testing.T) {
	t.Parallel()
	l, c := ofManyDays(t)
	want := all(t, l)
	before, _, err := l.Usage(t.Context(), ledger.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "file.db")) // an SQLite file, also where the ledger is in Postgres
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	other := storetest.Open(t, filepath.Join(t.TempDir(), "other.db"))
	for _, step := range [][2]*store.Store{{c.Store, file}, {file, other}} {
		done, err := store.Copy(t.Context(), step[0], step[1])
		if err != nil || len(done) < 10 {
			t.Fatalf("copying %s to %s: got %v, %v", step[0], step[1], done, err)
		}
		wantCheck(t, step[1], 61)
	}
	c.Store = other
	l = openLedger(t, c)
	if got := all(t, l); len(got) != len(want) {
		t.Errorf("got %d records, want %d", len(got), len(want))
	}
	after, _, err := l.Usage(t.Context(), ledger.Query{})
	if err != nil || len(after) != len(before) || after[0] != before[0] {
		t.Errorf("got %+v, %v, want %+v", after, err, before)
	}
	appendAll(t, l, record(200))
	move(t, l)
	wantCheck(t, other, 62)
}
