package ledger_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// replay opens a ledger on a segment, over a store that may know it, has it sorted or not, and closes it again.
func replay(t *testing.T, s *store.Store, segment []byte, sort bool) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000007.wal"), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLedger(t, ledger.Config{Dir: dir, Store: s})
	if sort {
		sorted(t, l)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A segment comes back from a backup, whole, cut or damaged, before or after the good one: what there is counts once.
func TestOpen_TheSameSegmentAgainBringsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	data, ends := unmoved(t)
	spoil := func(at int) []byte {
		bad := bytes.Clone(data)
		bad[at] ^= 0x40
		return bad
	}
	for name, lives := range map[string][][]byte{
		"twice":                         {data, data},
		"cut first":                     {data[:ends[0]], data[:ends[1]+5], data},
		"whole first":                   {data, data[:ends[1]]},
		"damaged in the middle first":   {spoil(ends[0] + 20), data},
		"damaged in the middle after":   {data, spoil(ends[0] + 20)},
		"header damaged after":          {data, spoil(20)},
		"magic damaged after":           {data, spoil(0)},
		"header damaged, then the rest": {spoil(20)[:ends[1]], spoil(20)},
	} {
		for _, sort := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", sorted ", sort), func(t *testing.T) {
				s := openStore(t, filepath.Join(t.TempDir(), "p.db"))
				for _, segment := range lives {
					replay(t, s, segment, sort)
				}
				l := openLedger(t, ledger.Config{Dir: t.TempDir(), Store: s})
				got := requests(all(t, l))
				slices.Sort(got)
				if diff := gocmp.Diff([]string{"req-1", "req-2", "req-3"}, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				rows, _, err := l.Usage(t.Context(), ledger.Query{})
				if err != nil || len(rows) != 1 || rows[0].Requests != 3 {
					t.Errorf("got usage %+v, %v, want three requests", rows, err)
				}
			})
		}
	}
}

func TestUsage_SumsStopAtTheMostThatTheyHold(t *testing.T) {
	l, _ := newLedger(t)
	for range 3 {
		r := record(1)
		r.Kind, r.PromptTokens, r.Cost, r.Billed, r.GPUs = ledger.KindCorrection, math.MaxInt64-1, math.MinInt64+1, 200*365*24*time.Hour, 1<<40
		appendAll(t, l, r, record(2))
		rows, _, err := l.Usage(t.Context(), ledger.Query{})
		if err != nil || len(rows) != 1 || rows[0].PromptTokens != math.MaxInt64 || rows[0].GPUUS != math.MaxInt64 {
			t.Fatalf("got %+v, %v, want the most that an int64 holds", rows, err)
		}
		if rows[0].Cost > -math.MaxInt64/2 {
			t.Errorf("got the cost %d, want what the corrections say", rows[0].Cost)
		}
	}
}

// Two servers write to one store while an exporter reads on from its last record: it sees each record once.
func TestRecords_PagesGrowWhileTwoServersWrite(t *testing.T) {
	dir := t.TempDir()
	var servers []*ledger.Ledger
	for _, name := range []string{"a", "b"} {
		servers = append(servers, openLedger(t, ledger.Config{Dir: filepath.Join(dir, name), Store: openStore(t, filepath.Join(dir, "p.db"))}))
	}
	var want, got []string
	cursor, last := "", ""
	for n := range 60 {
		r := record(n)
		r.Org = []string{"acme", "zoo"}[n%2]
		if n%3 == 0 {
			r.RequestID = ""
		}
		l := servers[rand.IntN(2)]
		appendAll(t, l, r)
		want = append(want, r.ID)
		receipt, err := l.Receipt(t.Context(), r.Org, r.TokenID, r.RequestID)
		if err != nil || receipt.ID != r.ID {
			t.Fatalf("receipt of %s: got %+v, %v", r.RequestID, receipt, err)
		}
		move(t, l)
		switch rand.IntN(10) {
		case 0:
			sorted(t, l)
		case 1:
			if err := l.SortSome(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range rand.IntN(3) {
			page, err := servers[rand.IntN(2)].Records(t.Context(), "", cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				got, cursor = append(got, r.ID), r.ID
			}
		}
	}
	for cursor != last {
		page, err := servers[0].Records(t.Context(), "", cursor, 7)
		if err != nil {
			t.Fatal(err)
		}
		last = cursor
		for _, r := range page.Records {
			got, cursor = append(got, r.ID), r.ID
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-appended +read):\n%s", diff)
	}
	var zoo []string
	for cursor := ""; ; {
		page, err := servers[1].Records(t.Context(), "zoo", cursor, 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			zoo = append(zoo, r.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(zoo) != 30 {
		t.Errorf("got %d records of zoo, want 30", len(zoo))
	}
}

// Whatever time a query cuts out, and however the records lie in blocks, it gives the sums of the records themselves.
func TestUsage_IsTheSumOfItsRecords(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)
	instant := func() time.Time {
		at := start.Add(time.Duration(random.IntN(5*24*4)) * 15 * time.Minute)
		return at.Add(time.Duration(random.IntN(3)-1) * time.Microsecond)
	}
	for n := range 400 {
		r := record(n)
		r.DispatchedAt, r.Model, r.Org = instant(), fmt.Sprint("m", random.IntN(2)), fmt.Sprint("o", random.IntN(3))
		r.TokenID, r.Billed = fmt.Sprint("t", random.IntN(3)), time.Duration(random.IntN(1e9))
		if n%7 == 0 {
			r.Kind, r.Cost = ledger.KindCorrection, fleet.NanoUSD(-n)
		}
		appendAll(t, l, r)
		switch random.IntN(40) {
		case 0:
			sorted(t, l)
		case 1, 2, 3, 4, 5, 6, 7:
			all(t, l)
		case 8:
			if err := l.SumMonths(t.Context(), instant()); err != nil {
				t.Fatal(err)
			}
		}
	}
	records := all(t, l)
	kept := start.AddDate(0, 0, -1)
	l.CloseAll(t)
	rounds := 500
	if testing.Short() {
		rounds = 40
	}
	for round := range rounds {
		if deleted := round*5/rounds - 2; round*5%rounds == 0 && deleted > 0 { // what is left when the first day, and then the first month is deleted
			kept = start.AddDate(0, 0, deleted)
			if err := l.PruneBefore(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			records = slices.DeleteFunc(records, func(r ledger.Record) bool { return r.DispatchedAt.Before(kept) })
		}
		groupings := []ledger.By{ledger.ByModel, ledger.ByToken, ledger.ByDay, "day,token", "token,model", "hour", "token,hour", "hour,day"}
		q := ledger.Query{By: groupings[random.IntN(len(groupings))], Limit: 1 + random.IntN(5)}
		if random.IntN(4) > 0 {
			q.From = instant()
		}
		if random.IntN(4) > 0 {
			q.To = instant()
		}
		if q.By.HasHour() {
			q.From, q.To = kept, kept.AddDate(0, 0, 31)
			if random.IntN(2) == 0 {
				q.From = q.From.Add(time.Duration(random.Int64N(int64(72 * time.Hour))))
			}
		}
		if cut := func(at time.Time) bool { return !at.IsZero() && at.Before(kept) }; cut(q.From) || cut(q.To) {
			continue // a part of a deleted day, of which a block of the next may still have some
		}
		if random.IntN(3) == 0 {
			q.Org = "o1"
		}
		if random.IntN(4) == 0 {
			q.TokenID, q.Model = "t1", "m1"
		}
		want := summed(records, q)
		var got []ledger.UsageRow
		for page := q; ; {
			rows, next, err := l.Usage(context.Background(), page)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rows...)
			if page.Cursor = next; next == "" {
				break
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
	}
}

// summed is Usage as its words say it.
func summed(records []ledger.Record, q ledger.Query) (rows []ledger.UsageRow) {
	for _, r := range records {
		if q.Org != "" && r.Org != q.Org || q.TokenID != "" && r.TokenID != q.TokenID || q.Model != "" && r.Model != q.Model ||
			!q.From.IsZero() && r.DispatchedAt.Before(q.From) || !q.To.IsZero() && !r.DispatchedAt.Before(q.To) {
			continue
		}
		row := ledger.UsageRow{Org: r.Org, Model: r.Model}
		if strings.Contains(string(q.By), "token") {
			row.TokenID = r.TokenID
		}
		if strings.Contains(string(q.By), "day") {
			row.Day = r.DispatchedAt.Format(time.DateOnly)
		}
		if strings.Contains(string(q.By), "hour") {
			row.Hour = r.DispatchedAt.Truncate(time.Hour).Format(time.RFC3339)
		}
		i := slices.IndexFunc(rows, func(o ledger.UsageRow) bool { return compareRows(o, row) == 0 })
		if i < 0 {
			i, rows = len(rows), append(rows, row)
		}
		if r.Kind == ledger.KindUsage {
			rows[i].Requests++
		}
		rows[i].PromptTokens += r.PromptTokens
		rows[i].CompletionTokens += r.CompletionTokens
		rows[i].BilledUS += r.Billed.Microseconds()
		rows[i].GPUUS += r.Billed.Microseconds() * int64(r.GPUs)
		rows[i].Cost += r.Cost
	}
	slices.SortFunc(rows, compareRows)
	return rows
}

func compareRows(a, b ledger.UsageRow) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Org, b.Org), cmp.Compare(a.TokenID, b.TokenID), cmp.Compare(a.Model, b.Model))
}
