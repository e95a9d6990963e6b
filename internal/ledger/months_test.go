package ledger

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestSourcesOf_CoverTheDaysOnce(t *testing.T) {
	const around = 200 // days before and after those that are summed up
	for summed := firstDay(670) - 40; summed < firstDay(671)+40; summed += 13 {
		all := []extent{{math.MinInt64, math.MaxInt64}}
		for start := summed - 70; start < summed+70; start += 3 {
			all = append(all, extent{start, math.MaxInt64}, extent{math.MinInt64, start})
			for end := start; end < summed+70 && start < summed+5; end += 3 {
				all = append(all, extent{start, end})
			}
		}
		for _, days := range all {
			var count [2 * around]int
			for _, s := range sourcesOf(grouping{}, days, summed) {
				for n := range count {
					day := summed - around + int64(n)
					period := day
					if s.period == "month" {
						period = monthOf(day)
					}
					if period >= s.start && period < s.end && (s.period == "day" || day < summed) {
						count[n]++
					}
				}
			}
			for n, got := range count {
				want := 0
				if day := summed - around + int64(n); day >= days.start && day < days.end {
					want = 1
				}
				if got != want {
					t.Fatalf("days %v, summed to %d: day %d is there %d times", days, summed, summed-around+int64(n), got)
				}
			}
		}
	}
}

// All-time usage once read a row for each day, token and model: it reads one for each month, and of the days that are not over.
func TestUsage_OfAllTimeReadsMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // there is a pause after each day
		l := open(t, Async)
		first := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
		for day := range 400 {
			for n := range 4 {
				if err := l.Append(&Record{Org: fmt.Sprint("org-", n%2), Model: fmt.Sprint("m", n), DispatchedAt: first.AddDate(0, 0, day)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.sumMonths(t.Context(), floorDay(first.AddDate(2, 0, 0).UnixMicro())); err != nil {
			t.Fatal(err)
		}
		rows := func(table string) (n int) {
			if err := l.store.DB().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if days, months := rows("usage_days"), rows("usage_months"); days != 1600 || months != 14*4 {
			t.Errorf("got %d rows of days and %d of months", days, months)
		}
		// The days that are in their months are changed: who reads months does not notice.
		Exec(t, l.store, "UPDATE usage_days SET requests = 1000 WHERE day < (SELECT day FROM usage_summed)")
		february := time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)
		for want, q := range map[int64]Query{1600: {}, 800: {Org: "org-1"}, 112: {From: february, To: february.AddDate(0, 1, 0)}, 1476: {From: february}} {
			got := int64(0)
			found, _, err := l.Usage(context.Background(), q)
			for _, row := range found {
				got += row.Requests
			}
			if err != nil || got != want {
				t.Errorf("%+v: got %d requests, %v, want %d", q, got, err, want)
			}
		}
	})
}

func TestUsage_SumsOfSeveralDaysStopAtTheMost(t *testing.T) {
	l := open(t, Async)
	for day := range 3 {
		r := &Record{Org: "acme", Kind: KindCorrection, Model: "m", DispatchedAt: time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC)}
		r.PromptTokens, r.CompletionTokens, r.Cost = math.MaxInt64-1, -5, math.MinInt64+1
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, _, err := l.Usage(t.Context(), Query{})
	if err != nil || len(rows) != 1 || rows[0].PromptTokens != math.MaxInt64 || rows[0].CompletionTokens != -15 || rows[0].Cost > -math.MaxInt64/2 {
		t.Errorf("got %+v, %v, want the most that an int64 holds", rows, err)
	}
}
