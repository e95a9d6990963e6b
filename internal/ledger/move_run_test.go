package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// appendMany appends as many records as make a run, of two organisations in turns, and moves them into the store.
func appendMany(t *testing.T, l *Ledger) (ids []string) {
	t.Helper()
	for n := range runLarge {
		r := &Record{Org: []string{"a", "b"}[n%2], Model: "m", DispatchedAt: time.Now()}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestMove_ALargeStretchIsARunAtOnce(t *testing.T) {
	l := open(t, Async)
	want := append(appendMany(t, l), appendMany(t, l)...)
	var blocks, runs, parts, extents int
	err := l.store.DB().QueryRow(`SELECT (SELECT count(*) FROM usage_blocks), (SELECT count(*) FROM usage_runs), (SELECT count(*) FROM usage_parts),
		(SELECT count(*) FROM usage_extents)`).Scan(&blocks, &runs, &parts, &extents)
	if err != nil {
		t.Fatal(err)
	}
	if blocks != 0 || runs != 2 || parts != 4 || extents != 1 {
		t.Errorf("got %d blocks, %d runs with %d parts, %d stretches of the segment; want 0, 2, 4, 1", blocks, runs, parts, extents)
	}
	if diff := cmp.Diff(want, ids(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, id := range []string{want[0], want[len(want)-1]} {
		if r, err := l.Record(t.Context(), "", id); err != nil || r.ID != id {
			t.Errorf("record %s: got %v, %v", id, r, err)
		}
	}
	for more := true; more; {
		if more, err = l.sort(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, ids(t, l)); diff != "" {
		t.Errorf("sorted (-want +got):\n%s", diff)
	}
}

func TestMove_ARunMadeAtOnceIsNotMovedAgain(t *testing.T) {
	storetest.SkipOnPostgres(t, "it copies the file")
	l := open(t, Async)
	want := appendMany(t, l)
	if diff := cmp.Diff(want, restarted(t, l)); diff != "" {
		t.Errorf("restarted (-want +got):\n%s", diff)
	}
}
