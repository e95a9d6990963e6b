package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// mixed appends records of three organisations in blocks of up to five, some hours and days apart.
func mixed(t *testing.T, l *ledger.Ledger, n int) (records []*ledger.Record) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	at := noon
	for i := range n {
		r := record(i)
		r.Org, r.TokenID, r.DispatchedAt = []string{"acme", "acme", "zoo", "öre"}[random.IntN(4)], fmt.Sprint("tok_", random.IntN(2)), at
		if random.IntN(3) == 0 {
			r.RequestID = ""
		}
		if random.IntN(20) == 0 {
			at = at.Add(time.Duration(random.IntN(20)) * time.Hour)
		}
		appendAll(t, l, r)
		records = append(records, r)
		if random.IntN(3) == 0 {
			move(t, l)
		}
	}
	return records
}

// However the records lie, in blocks, runs or both, lists, receipts and cursors are the same.
func TestSort_ChangesNoAnswer(t *testing.T) {
	t.Parallel()
	l, c := newLedger(t)
	records := mixed(t, l, 150)
	before := all(t, l)
	if err := l.SortSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if diff := gocmp.Diff(before, all(t, l)); diff != "" {
			t.Fatalf("(-blocks +runs):\n%s", diff)
		}
		for i, r := range records {
			got, err := l.Receipt(t.Context(), r.Org, r.TokenID, r.RequestID)
			if diff := gocmp.Diff(r, got); diff != "" || err != nil {
				t.Fatalf("receipt of %s: %v (-want +got):\n%s", r.RequestID, err, diff)
			}
			for _, org := range []string{"acme", "zoo", ""} {
				var want []string
				for _, next := range records[i+1:] {
					if (org == "" || next.Org == org) && len(want) < 2 {
						want = append(want, next.RequestID)
					}
				}
				page, err := l.Records(t.Context(), org, r.ID, 2)
				if diff := gocmp.Diff(want, requests(page.Records)); diff != "" || err != nil {
					t.Fatalf("of %q after %s: %v (-want +got):\n%s", org, r.RequestID, err, diff)
				}
			}
		}
	}
	check()
	sorted(t, l)
	check()
	var blocks, runs, keys int
	err := c.Store.DB().QueryRow(`SELECT (SELECT count(*) FROM usage_blocks), (SELECT count(*) FROM usage_runs),
		(SELECT count(*) FROM usage_keys)`).Scan(&blocks, &runs, &keys)
	if err != nil || blocks != 0 || runs == 0 || runs > 12 {
		t.Errorf("got %d blocks, %d runs, %v; want a run for each day or so", blocks, runs, err)
	}
	l.CloseAll(t)
	if err := l.PruneBefore(t.Context(), noon.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"usage_blocks", "usage_runs", "usage_parts", "usage_extents", "usage_keys", "usage_days"} {
		var n int
		if err := c.Store.DB().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("after all days: got %d rows of %s, %v, want none", n, table, err)
		}
	}
}

// A query of one organisation reads nothing of another's: here, all of the other's is damaged, and it would say so.
func TestQueries_OfAnOrgReadNothingOfOthers(t *testing.T) {
	for _, sort := range []bool{false, true} {
		l, c := newLedger(t)
		for n := range 100 {
			r := record(n)
			r.Org, r.DispatchedAt = "crowd", noon.Add(time.Duration(n)*time.Minute)
			appendAll(t, l, r)
			move(t, l)
		}
		own := record(1000)
		own.Org = "zoo"
		appendAll(t, l, own)
		move(t, l)
		if sort {
			sorted(t, l)
		}
		ledger.Exec(t, c.Store, "UPDATE usage_blocks SET data = 'x' WHERE seq <= 100; UPDATE usage_parts SET data = 'x' WHERE org = 'crowd'")
		for org, want := range map[string]int{"zoo": 1, "none": 0} {
			page, err := l.Records(t.Context(), org, "", 0)
			if err != nil || len(page.Records) != want || len(page.Damaged) != 0 {
				t.Errorf("sorted %t: records of %s: got %+v, %v, want %d", sort, org, page, err, want)
			}
			rows, _, err := l.Usage(t.Context(), ledger.Query{Org: org, From: noon})
			if err != nil || len(rows) != want {
				t.Errorf("sorted %t: usage of %s: got %+v, %v, want %d rows", sort, org, rows, err, want)
			}
		}
		if got, err := l.Receipt(t.Context(), "zoo", own.TokenID, own.RequestID); err != nil || got.ID != own.ID {
			t.Errorf("sorted %t: receipt: got %+v, %v", sort, got, err)
		}
	}
}

// A cursor may come from before a restore, when other records had the numbers.
func TestRecords_ACursorsIDCountsBeforeItsNumber(t *testing.T) {
	l := withUsage(t)
	first := all(t, l)
	for _, id := range []string{first[1].ID, first[1].ID + ".2", first[1].ID + ".1", first[1].ID + ".5", first[1].ID + ".99", first[1].ID + ".-1", first[1].ID + ".x"} {
		page, err := l.Records(t.Context(), "", id, 2)
		refused := strings.HasSuffix(id, "-1") || strings.HasSuffix(id, "x")
		if want := []string{"req-2", "req-3"}; refused != (err != nil) || !refused && !gocmp.Equal(requests(page.Records), want) {
			t.Errorf("after %s: got %v, %v", id, requests(page.Records), err)
		}
	}
}

func TestSort_OfTwoServersAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.db")
	a := openLedger(t, ledger.Config{Dir: filepath.Join(dir, "a"), Store: openStore(t, path)})
	b := openLedger(t, ledger.Config{Dir: filepath.Join(dir, "b"), Store: openStore(t, path)})
	for n := range 200 {
		l := []*ledger.Ledger{a, b}[n%2]
		appendAll(t, l, record(n))
		move(t, l)
		if n%7 == 0 {
			if err := []*ledger.Ledger{a, b}[n%3%2].SortSome(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	var want []string
	for n := range 200 {
		want = append(want, fmt.Sprint("req-", n))
	}
	if diff := gocmp.Diff(want, requests(all(t, a))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
