package ledger

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func openIn(t *testing.T, dir string, s *store.Store) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), Config{Dir: dir, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendOf(t *testing.T, l *Ledger, orgs ...string) {
	t.Helper()
	for _, org := range orgs {
		if err := l.Append(&Record{Org: org, Model: "m", DispatchedAt: time.Now(), Billed: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody else reads what a log keeps, wherever it is kept.
func TestOpen_ItsFilesAreItsOwners(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := openIn(t, dir, storetest.Open(t, filepath.Join(t.TempDir(), "p.db")))
	defer l.Close()
	appendOf(t, l, "acme")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("got %v, %v, want its files", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want mode 0600", f.Name(), info.Mode(), err)
		}
	}
}

// A server's chains go on over restarts, however it ended, with or without records in its log.
func TestChain_GoesOnOverRestarts(t *testing.T) {
	dir := t.TempDir()
	s := storetest.Open(t, filepath.Join(dir, "p.db"))
	log := filepath.Join(dir, "ledger")
	chains := map[string]bool{}
	for life := range 6 {
		l := openIn(t, log, s)
		if life%3 != 2 { // else nothing happens
			appendOf(t, l, "acme", "zoo", "acme", "")
			if life%2 == 0 {
				l.flush(t.Context())
			}
			appendOf(t, l, "zoo", "new of "+fmt.Sprint(life))
		}
		if life%2 == 0 {
			l.Crash()
		} else if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l := openIn(t, log, s)
	defer l.Close()
	records := everything(t, l)
	wantChains(t, records)
	for _, r := range records {
		chains[r.Chain] = true
	}
	if len(records) != 24 || len(chains) != 1 {
		t.Errorf("got %d records in %d chains, want 24 in one", len(records), len(chains))
	}
}

// Where the store or the log's directory is another, a chain cannot go on, and another begins: it must not look as if records were missing.
func TestChain_BeginsAnewWhereItCannotGoOn(t *testing.T) {
	for _, lost := range []string{"store", "directory", "chain's file"} {
		t.Run(lost, func(t *testing.T) {
			dir := t.TempDir()
			log, s := filepath.Join(dir, "ledger"), storetest.Open(t, filepath.Join(dir, "p.db"))
			l := openIn(t, log, s)
			appendOf(t, l, "acme", "acme")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			switch lost {
			case "store":
				s = storetest.Open(t, filepath.Join(dir, "other.db"))
			case "directory":
				log = filepath.Join(dir, "other")
			default:
				if err := os.Remove(filepath.Join(log, "chain")); err != nil {
					t.Fatal(err)
				}
			}
			former := l.wal.chain.id
			l = openIn(t, log, s)
			defer l.Close()
			appendOf(t, l, "acme")
			records := everything(t, l)
			wantChains(t, records)
			if last := records[len(records)-1]; last.Chain == former || last.Previous != (Hash{}) {
				t.Errorf("got chain %s behind %s, want another's first record", last.Chain, last.Previous)
			}
		})
	}
}

// Records of many that end at once are chained in the order of the log, and retention that takes the oldest leaves what verifies.
func TestChain_IsTheLogsOrder(t *testing.T) {
	l := open(t, Async)
	var appending sync.WaitGroup
	for n := range 8 {
		appending.Go(func() {
			for range 200 {
				appendOf(t, l, fmt.Sprint("org-", n%3))
			}
		})
	}
	appending.Wait()
	records := everything(t, l)
	wantChains(t, records)
	if len(records) != 1600 {
		t.Errorf("got %d records, want 1600", len(records))
	}
	text, err := l.wal.chain.heads["org-1"].MarshalText()
	if err != nil || len(text) != 64 {
		t.Errorf("got the end %s, %v, want a hash", text, err)
	}
}

// What a power cut has left of the log is one chain, though it has taken a record in the middle: the next ones come behind the last that is there.
func TestChain_WhatComesBehindALostRecordIsLinkedAnew(t *testing.T) {
	for _, moved := range []bool{true, false} {
		dir := t.TempDir()
		s := storetest.Open(t, filepath.Join(dir, "p.db"))
		log := filepath.Join(dir, "ledger")
		l := openIn(t, log, s)
		appendOf(t, l, "acme", "zoo")
		if moved {
			l.flush(t.Context())
		}
		next := func() (before string) {
			l.wal.mu.Lock()
			defer l.wal.mu.Unlock()
			before = l.wal.path(l.wal.active().number)
			if err := l.wal.rotate(); err != nil {
				t.Fatal(err)
			}
			return before
		}
		first := next()
		appendOf(t, l, "acme", "new")
		lost := next()
		appendOf(t, l, "acme", "new", "acme", "zoo")
		l.Crash()
		if err := os.Remove(lost); err != nil {
			t.Fatal(err)
		}
		if !moved {
			if _, err := os.Stat(first); err != nil {
				t.Fatal(err)
			}
		}
		l = openIn(t, log, s)
		records := everything(t, l)
		if len(records) != 6 {
			t.Errorf("got %d records, want the 6 that are left", len(records))
		}
		appendOf(t, l, "acme", "new", "zoo")
		wantChains(t, everything(t, l))
		l.Close()
	}
}
