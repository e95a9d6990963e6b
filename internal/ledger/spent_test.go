package ledger_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// TestSpent_IsWhatTheStoreAndTheLogHave counts each record once, wherever it is, from a day on.
func TestSpent_IsWhatTheStoreAndTheLogHave(t *testing.T) {
	l, _ := newLedger(t)
	const each = 18_333_333 // nano-dollars of a record
	old, other, next := record(1), record(2), record(3)
	old.DispatchedAt = noon.Add(-13 * time.Hour) // the day before
	other.TokenID = "tok_2"
	next.DispatchedAt = noon.Add(12 * time.Hour)
	appendAll(t, l, old, record(4), other)
	move(t, l)
	appendAll(t, l, next, record(5))
	if _, _, err := l.Correct(context.Background(), ledger.Correction{Record: next.ID, Reason: "an outage"}); err != nil {
		t.Fatal(err)
	}
	got := map[string]fleet.NanoUSD{}
	if err := l.Spent(context.Background(), noon, func(s ledger.Spent) {
		got[s.Org+" "+s.TokenID+" "+s.Day.Format(time.DateOnly)] += s.Cost
	}); err != nil {
		t.Fatal(err)
	}
	day, after := noon.Format(time.DateOnly), noon.AddDate(0, 0, 1).Format(time.DateOnly)
	want := map[string]fleet.NanoUSD{"acme tok_1 " + day: 2 * each, "acme tok_2 " + day: each, "acme tok_1 " + after: 0}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
