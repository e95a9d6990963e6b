package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// TestLatest_IsRecordsBackwards: whatever of the records lies in the log, in blocks or in runs, pages of the latest are all records, newest first.
func TestLatest_IsRecordsBackwards(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			l, _ := newLedger(t)
			wanted := map[string][]string{}
			for n := range 60 {
				r := record(n)
				r.Org = []string{"acme", "zoo", "one"}[min(random.IntN(5), 2)]
				appendAll(t, l, r)
				wanted[r.Org], wanted[""] = append(wanted[r.Org], r.ID), append(wanted[""], r.ID)
				switch random.IntN(6) {
				case 0:
					move(t, l)
				case 1:
					move(t, l)
					sorted(t, l)
				}
			}
			for _, org := range []string{"", "acme", "zoo", "one", "nobody"} {
				want := slices.Clone(wanted[org])
				slices.Reverse(want)
				for _, limit := range []int{1, 7, 1000} {
					if diff := cmp.Diff(want, latest(t, l, org, limit)); diff != "" {
						t.Errorf("org %q, pages of %d:\n%s", org, limit, diff)
					}
				}
			}
		})
	}
}

func latest(t *testing.T, l *ledger.Ledger, org string, limit int) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page, err := l.Latest(context.Background(), org, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			ids = append(ids, r.ID)
		}
		if cursor = page.Next; cursor == "" {
			return ids
		}
	}
}

// TestLatest_GoesOnWhereItsCursorHasMoved: a page begins where the one before has ended, though its last record was brought into the store meanwhile.
func TestLatest_GoesOnWhereItsCursorHasMoved(t *testing.T) {
	l, _ := newLedger(t)
	var ids []string
	for n := range 10 {
		r := record(n)
		appendAll(t, l, r)
		ids = append(ids, r.ID)
	}
	first, err := l.Latest(context.Background(), "acme", "", 4)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, record(10))
	move(t, l)
	second, err := l.Latest(context.Background(), "acme", first.Next, 4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range slices.Concat(first.Records, second.Records) {
		got = append(got, r.ID)
	}
	want := ids[2:]
	slices.Reverse(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := l.Latest(context.Background(), "acme", "nothing", 4); !errors.As(err, new(*ledger.InvalidError)) {
		t.Errorf("got %v, want a cursor refused that is no record", err)
	}
}

func TestRecord_ByID(t *testing.T) {
	l, _ := newLedger(t)
	r := record(1)
	appendAll(t, l, r)
	for _, where := range []string{"log", "block", "run"} {
		if got, err := l.Record(context.Background(), "acme", r.ID); err != nil || got.RequestID != r.RequestID {
			t.Errorf("in a %s: got %v, %v", where, got, err)
		}
		if _, err := l.Record(context.Background(), "zoo", r.ID); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("in a %s: another organisation got %v", where, err)
		}
		move(t, l)
		if where == "block" {
			sorted(t, l)
		}
	}
}
