package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func cost(t *testing.T, l *ledger.Ledger) fleet.NanoUSD {
	t.Helper()
	rows, _, err := l.Usage(t.Context(), ledger.Query{Org: "acme"})
	if err != nil || len(rows) != 1 || rows[0].Requests != 1 {
		t.Fatalf("got %+v, %v, want one request", rows, err)
	}
	return rows[0].Cost
}

func TestCorrect_TakesOffAPartThenTheRest(t *testing.T) {
	l, _ := newLedger(t)
	r := record(1)
	appendAll(t, l, r)
	made, already, err := l.Correct(t.Context(), ledger.Correction{Record: r.ID, Credit: 8_333_333, Reason: "slow", By: "ops"}) // before r is in the store
	if err != nil || already || made.Kind != ledger.KindCorrection || made.Corrects != r.ID || made.Reason != "slow" || made.Cost != -8_333_333 ||
		made.Org != r.Org || made.TokenID != r.TokenID || made.Model != r.Model || !made.DispatchedAt.Equal(r.DispatchedAt) || made.Billed != 0 {
		t.Fatalf("got %+v, %v", made, err)
	}
	if got := cost(t, l); got != 10_000_000 {
		t.Errorf("at once: got %d, want what is left", got)
	}
	move(t, l)
	_, _, err = l.Correct(t.Context(), ledger.Correction{Record: r.ID, Credit: 10_000_001, Reason: "slow", By: "ops"})
	wantInvalid(t, err, "credit_usd", "more than the 0.01 USD that are left")
	if made, _, err = l.Correct(t.Context(), ledger.Correction{Record: r.ID, Reason: "all of it", By: "ops"}); err != nil || made.Cost != -10_000_000 {
		t.Errorf("the rest: got %+v, %v", made, err)
	}
	_, _, err = l.Correct(t.Context(), ledger.Correction{Record: r.ID, Reason: "once more", By: "ops"})
	wantInvalid(t, err, "record", "credited already")
	if got := cost(t, l); got != 0 {
		t.Errorf("got %d, want nothing to pay", got)
	}
	if got := all(t, l); len(got) != 3 || got[0].Cost != r.Cost {
		t.Errorf("got %+v, want the record as it was, and two corrections", got)
	}
}

func TestCorrect_RefusesWhatIsNoCorrection(t *testing.T) {
	l, _ := newLedger(t)
	free := record(2)
	free.Billed = 0
	appendAll(t, l, record(1), free)
	made, _, err := l.Correct(t.Context(), ledger.Correction{Record: all(t, l)[0].ID, Credit: 1, Reason: "r", By: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		c            ledger.Correction
		field, words string
	}{
		{ledger.Correction{Record: made.ID, Reason: "r"}, "record", "is a correction"},
		{ledger.Correction{Record: made.Corrects, Reason: " "}, "reason", "empty"},
		{ledger.Correction{Record: made.Corrects, Reason: strings.Repeat("r", 1001)}, "reason", "longer"},
		{ledger.Correction{Record: made.Corrects, Reason: "r\xff"}, "reason", "UTF-8"},
		{ledger.Correction{Reason: "r"}, "record", "empty"},
		{ledger.Correction{Record: made.Corrects, Credit: -1, Reason: "r"}, "credit_usd", "less than nothing"},
		{ledger.Correction{Record: free.ID, Reason: "r"}, "record", "costs 0.00 USD"},
	} {
		_, _, err := l.Correct(t.Context(), row.c)
		wantInvalid(t, err, row.field, row.words)
	}
	if _, _, err := l.Correct(t.Context(), ledger.Correction{Record: "unknown", Reason: "r"}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("got %v, want that there is none", err)
	}
	if got := len(all(t, l)); got != 3 {
		t.Errorf("got %d records", got)
	}
}

func TestCorrect_OfTheSameKeyIsMadeOnce(t *testing.T) {
	l, c := newLedger(t)
	r := record(1)
	appendAll(t, l, r)
	ask := ledger.Correction{Record: r.ID, Credit: 7, Reason: "slow", Key: "k1", By: "ops"}
	first, _, err := l.Correct(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if again, already, err := l.Correct(t.Context(), ask); err != nil || !already || again.ID != first.ID {
			t.Errorf("%s: got %+v, %t, %v, want the same", when, again, already, err)
		}
		if got := cost(t, l); got != r.Cost-7 {
			t.Errorf("%s: it costs %d, want %d", when, got, r.Cost-7)
		}
	}
	check("at once")
	move(t, l)
	check("moved")
	l.Crash()
	l = openLedger(t, c)
	check("after a crash")
	for _, other := range []ledger.Correction{{Record: r.ID, Credit: 8, Reason: "slow", Key: "k1"}, {Record: r.ID, Credit: 7, Reason: "dull", Key: "k1"}} {
		_, _, err := l.Correct(t.Context(), other)
		wantInvalid(t, err, "idempotency_key", r.ID)
	}
}

func TestCorrect_ManyAtOnceNeverCreditMoreThanTheCost(t *testing.T) {
	l, _ := newLedger(t)
	r := record(1)
	appendAll(t, l, r)
	var asking sync.WaitGroup
	var made atomic.Int64
	for range 20 {
		asking.Go(func() {
			if _, _, err := l.Correct(t.Context(), ledger.Correction{Record: r.ID, Credit: r.Cost / 6, Reason: "r", By: "ops"}); err == nil {
				made.Add(1)
			}
		})
	}
	asking.Wait()
	if got := cost(t, l); made.Load() != 6 || got != r.Cost-6*(r.Cost/6) {
		t.Errorf("%d corrections, %d left; want 6, and not less than nothing", made.Load(), got)
	}
}
