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

// TestSpent_TellsOthersApart: what another log has brought to the same store is told as others'.
func TestSpent_TellsOthersApart(t *testing.T) {
	mine, c := newLedger(t)
	other, err := ledger.Open(context.Background(), ledger.Config{Dir: t.TempDir(), Store: c.Store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if mine.Server() == other.Server() {
		t.Fatalf("both are server %s", mine.Server())
	}
	appendAll(t, mine, record(1), record(2))
	appendAll(t, other, record(3))
	move(t, mine)
	move(t, other)
	appendAll(t, mine, record(4))
	const each = 18_333_333
	for l, want := range map[*ledger.Ledger][2]fleet.NanoUSD{mine: {3 * each, each}, other: {each, 2 * each}} {
		var got [2]fleet.NanoUSD // own, others'
		if err := l.Spent(context.Background(), noon, func(s ledger.Spent) {
			if s.Others {
				got[1] += s.Cost
			} else {
				got[0] += s.Cost
			}
		}); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("server %s: got %v of its own and of others, want %v", l.Server(), got, want)
		}
	}
}
