package store_test

import (
	"database/sql"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func nextTerm(t *testing.T, s *store.Store, now time.Time, seen uint64) uint64 {
	t.Helper()
	term, err := s.NextTerm(t.Context(), now, seen)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func TestNextTerm_GrowsOverLivesThoughTheClockIsSetBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	last := uint64(began.UnixMilli() - 1) // a life before the table, whose term was its clock
	for life, now := range []time.Time{began, began.Add(-time.Hour), began.Add(-time.Hour), began.Add(time.Hour), {}} {
		s := open(t, path)
		term := nextTerm(t, s, now, 0)
		if term != last+1 {
			t.Errorf("life %d at %v: got term %d, want %d", life, now, term, last+1)
		}
		last = term
		s.Close()
	}
}

func TestNextTerm_ExceedsWhatWasSeenOfOthers(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	seen := uint64(began.Add(time.Hour).UnixMilli()) // a lost store's, or another server's, and our clock is an hour slow
	if got := nextTerm(t, s, began, seen); got != seen+1 {
		t.Errorf("got %d, want %d", got, seen+1)
	}
	if got := nextTerm(t, s, began, 5); got != seen+2 {
		t.Errorf("after a smaller one was seen: got %d, want %d", got, seen+2)
	}
}

func TestNextTerm_RefusesWhatLeavesNoRoomForMore(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	if term, err := s.NextTerm(t.Context(), began, math.MaxUint64); err == nil {
		t.Errorf("got %d, want an error", term)
	}
	if got, want := nextTerm(t, s, began, 0), uint64(began.UnixMilli()); got != want {
		t.Errorf("afterwards got %d, want %d", got, want)
	}
}

func TestNextTerm_ConcurrentCallersGetDifferentOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	const stores, each = 3, 10
	var mu sync.Mutex // guards got
	var got []uint64
	var wg sync.WaitGroup
	for range stores {
		s := open(t, path)
		wg.Go(func() {
			last := uint64(0)
			for range each {
				term, err := s.NextTerm(t.Context(), began, 0)
				if err != nil || term <= last {
					t.Errorf("got %d after %d, %v", term, last, err)
				}
				last = term
				mu.Lock()
				got = append(got, term)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != stores*each {
		t.Errorf("got %d different terms, want %d", n, stores*each)
	}
}

func TestNextTerm_IsDurableBeforeItIsGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	term := nextTerm(t, open(t, path), began, 0)
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var kept uint64
	if err := db.QueryRow("SELECT term FROM terms").Scan(&kept); err != nil || kept != term {
		t.Errorf("another program reads %d, %v, want %d", kept, err, term)
	}
}
