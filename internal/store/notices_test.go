package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// TestNotices_AreToldOnceAndSentToEach goes through the life of notices, over a restart.
func TestNotices_AreToldOnceAndSentToEach(t *testing.T) {
	path, ctx := t.TempDir()+"/p.db", t.Context()
	s := open(t, path)
	at := time.Date(2026, 4, 1, 12, 0, 0, 123_000, time.UTC)
	older := store.Notice{ID: "b", Event: "budget.threshold", Org: "acme", At: at, Data: `{"percent":50}`}
	newer := store.Notice{ID: "a", Event: "budget.threshold", Org: "acme", At: at.Add(time.Second), Data: `{"percent":80}`}
	for _, n := range []store.Notice{newer, older} {
		if first, err := s.AddNotice(ctx, n, []string{"one", "two"}); err != nil || !first {
			t.Fatalf("a new notice: first %v, error %v", first, err)
		}
	}
	if err := s.NoticesSent(ctx, "one", []store.Notice{older}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if first, err := s.AddNotice(ctx, older, []string{"one", "two"}); err != nil || first {
		t.Errorf("a notice that is known: first %v, error %v", first, err)
	}
	for webhook, want := range map[string][]store.Notice{"one": {newer}, "two": {older, newer}, "three": nil} {
		if got, err := s.PendingNotices(ctx, webhook, 10); err != nil || !slices.Equal(got, want) {
			t.Errorf("pending for %s: got %v, error %v, want %v", webhook, got, err, want)
		}
	}
	if got, err := s.PendingNotices(ctx, "two", 1); err != nil || !slices.Equal(got, []store.Notice{older}) {
		t.Errorf("the first for two: got %v, error %v", got, err)
	}
	if err := s.DropNotices(ctx, newer.At); err != nil {
		t.Fatal(err)
	}
	if got, err := s.PendingNotices(ctx, "two", 10); err != nil || !slices.Equal(got, []store.Notice{newer}) {
		t.Errorf("after the old ones were dropped: got %v, error %v", got, err)
	}
	if first, err := s.AddNotice(ctx, older, nil); err != nil || !first {
		t.Errorf("a notice that was dropped: first %v, error %v", first, err)
	}
}
