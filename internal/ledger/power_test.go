package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// wantChains checks that the records of each organisation are one chain.
func wantChains(t *testing.T, records []Record) {
	t.Helper()
	last := map[[2]string]Hash{}
	for _, r := range records {
		key := [2]string{r.Chain, r.Org}
		if r.Previous != last[key] {
			t.Errorf("record %s of %s comes behind %s, want behind %s", r.ID, r.Org, r.Previous, last[key])
		}
		last[key] = HashOf(&r)
	}
	if len(records) > 0 && records[0].Chain == "" {
		t.Error("the records are in no chain")
	}
}

// everything gives all records of a ledger, in the order of arrival.
func everything(t *testing.T, l *Ledger) (all []Record) {
	t.Helper()
	if err := l.flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	for cursor := ""; ; {
		page, err := l.Records(context.Background(), "", cursor, MaxRecordsLimit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Records...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// outcomes are what callers know of their records.
type outcomes struct {
	mu   sync.Mutex
	seen map[string]outcome // by ID
}

type outcome string

const (
	pending  outcome = "in flight"
	answered outcome = "answered"
	withheld outcome = "withheld"
)

func (o *outcomes) set(id string, to outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[id] = to
}

// seedOf gives the seed of a random test: the variable's, or a fresh one that it prints.
func seedOf(t *testing.T) uint64 {
	seed := rand.Uint64()
	if text := os.Getenv("PILOTLIGHT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PILOTLIGHT_SEED=%d", seed)
	return seed
}

// With Sync, a record whose Append has returned is there after a power cut at any moment, once; one whose Append has failed, because an fsync did,
// is never there, neither before the cut nor after it; and each organisation's answered records are one chain all the time.
func TestSync_WhatWasAnsweredSurvivesAPowerCutAndWhatWasWithheldIsNeverBilled(t *testing.T) {
	cuts := 150
	if testing.Short() {
		cuts = 20
	}
	random := rand.New(rand.NewPCG(seedOf(t), 1))
	dir := t.TempDir()
	s, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	known := &outcomes{seen: map[string]outcome{}}
	disk := newForgetful(random)
	for n := range cuts {
		disk.Failing = []int{0, 0, 5, 30}[n%4]
		disk = liveUntilPowerCut(t, dir, s, disk, known, 1+random.IntN(100))
	}
	disk.Failing = 0
	l, err := Open(t.Context(), Config{Dir: filepath.Join(dir, "ledger"), Store: s, Durability: Sync, Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	records := everything(t, l)
	wantChains(t, records) // though a power cut may tear a record in flight and leave the next, whose place in the log is whole
	found := map[string]int{}
	for _, r := range records {
		found[r.ID]++
	}
	counts := map[outcome]int{}
	for id, was := range known.seen {
		counts[was]++
		if n := found[id]; n > 1 || was == answered && n != 1 || was == withheld && n != 0 {
			t.Errorf("record %s, %s: it is there %d times", id, was, n)
		}
	}
	t.Logf("%d records: %v", len(found), counts)
	if counts[answered] < cuts || counts[withheld] == 0 {
		t.Error("the test has tested too little")
	}
}

// liveUntilPowerCut appends from four goroutines until the power is cut, some time after so many records, and gives the disk that is there then.
func liveUntilPowerCut(t *testing.T, dir string, s *store.Store, disk forgetful, known *outcomes, after int) forgetful {
	t.Helper()
	l, err := Open(t.Context(), Config{Dir: filepath.Join(dir, "ledger"), Store: s, Durability: Sync, Disk: disk, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var begun atomic.Int32
	running.Go(func() {
		for ctx.Err() == nil {
			l.flush(context.Background()) // more often than Run does
		}
	})
	for n := range 4 {
		running.Go(func() {
			for ctx.Err() == nil {
				begun.Add(1)
				r := &Record{ID: NewID(), Org: fmt.Sprint("org", n%3), Model: "m", DispatchedAt: time.Now(), Billed: time.Second}
				known.set(r.ID, pending)
				switch err := l.Append(r); {
				case err == nil:
					known.set(r.ID, answered)
				case ctx.Err() == nil: // else it was in flight at the cut
					known.set(r.ID, withheld)
				}
			}
		})
	}
	for int(begun.Load()) < after {
		time.Sleep(time.Millisecond) // any moment will do
	}
	cancel()
	next := disk.cutPower()
	running.Wait()
	l.Crash()
	return next
}
