package ledger_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// jumped gives a ledger with a record of each of 30 days, which are on invoices, opened again by a clock that is so much later. Its retention is
// 60 days.
func jumped(t *testing.T, by time.Duration) (*ledger.Ledger, *logged) {
	t.Helper()
	return jumpedWith(t, by, func(l *ledger.Ledger) { l.CloseAll(t) })
}

func jumpedWith(t *testing.T, by time.Duration, last func(*ledger.Ledger)) (*ledger.Ledger, *logged) {
	t.Helper()
	dir := t.TempDir()
	log := new(logged)
	c := ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db")), Retention: 60 * 24 * time.Hour, Log: log.logger()}
	l := openLedger(t, c)
	for n := range 30 {
		r := record(n)
		r.DispatchedAt = time.Now().Add(-time.Duration(n) * 24 * time.Hour)
		appendAll(t, l, r)
	}
	stop := run(t, l)
	time.Sleep(time.Second)
	stop()
	last(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(by) // between two lives, nobody can tell what has passed from what has jumped
	return openLedger(t, c), log
}

func held(l *ledger.Ledger) bool {
	return strings.Contains(metricsOf(l), "pilotlight_ledger_retention_held 1\n")
}

func metricsOf(l *ledger.Ledger) string {
	var out bytes.Buffer
	l.Metrics().WritePrometheus(&out)
	return out.String()
}

func TestRetention_DeletesNothingByAClockThatJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := jumped(t, 10*365*24*time.Hour)
		stop := run(t, l)
		fresh := record(99) // by the same clock
		fresh.DispatchedAt = time.Now()
		appendAll(t, l, fresh)
		time.Sleep(5 * time.Hour)
		if got := len(all(t, l)); got != 31 || !held(l) {
			t.Errorf("got %d records, held %t; want all 31, and held", got, held(l))
		}
		if n := strings.Count(log.String(), "retention does not believe the clock"); n != 1 {
			t.Errorf("it is said %d times in five hours, want once", n)
		}
		var refused *ledger.ClockError
		if _, err := l.Prune(t.Context(), false); !errors.As(err, &refused) || !refused.Clock.Equal(time.Now()) {
			t.Errorf("got %v, want the clock's error", err)
		}
		before, err := l.Prune(t.Context(), true)
		if want := time.Now().Add(-60 * 24 * time.Hour); err != nil || before.After(want) || want.Sub(before) > 24*time.Hour {
			t.Errorf("confirmed: got %v, %v, want the day of %v", before, err, want)
		}
		time.Sleep(time.Minute)
		if got := requests(all(t, l)); len(got) != 1 || held(l) {
			t.Errorf("confirmed: got %v, held %t; want the fresh one", got, held(l))
		}
		stop()
	})
}

func TestRetention_GoesOnAfterAShortStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := jumped(t, 23*time.Hour)
		stop := run(t, l)
		time.Sleep(40 * 24 * time.Hour) // awake, but without a record: the monotonic clock has seen it
		if got := len(all(t, l)); got < 18 || got > 20 || held(l) {
			t.Errorf("got %d records, held %t; want those of 60 days", got, held(l))
		}
		if _, err := l.Prune(t.Context(), false); err != nil {
			t.Errorf("got %v, want no question", err)
		}
		stop()
	})
}

func TestRetention_AsksAfterALongStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := jumped(t, 26*time.Hour)
		stop := run(t, l)
		time.Sleep(time.Minute)
		stop()
		if held(l) || strings.Contains(log.String(), "retention") {
			t.Errorf("held %t, logged %q; want nothing said while nothing is old enough", held(l), log.String())
		}
		if _, err := l.Prune(t.Context(), false); err == nil {
			t.Error("a clock more than a day beyond the newest record was believed")
		}
	})
}

func TestRetention_OfAFirstStartBelievesTheClock(t *testing.T) {
	l, _ := newLedger(t)
	if _, err := l.Prune(t.Context(), false); err != nil {
		t.Error(err)
	}
}
