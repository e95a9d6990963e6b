package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// raw opens the file without our package, as another program would.
func raw(t *testing.T, path string, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_KeepsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20e.db")
	ctx := t.Context()
	learned := []fleet.Learned{
		{Model: "a", From: fleet.Cold, Durations: []time.Duration{time.Second, 90 * time.Second}},
		{Model: "a", From: fleet.Parked, Durations: []time.Duration{time.Millisecond}},
	}
	s := open(t, path)
	for _, l := range []fleet.Learned{{Model: "a", From: fleet.Cold}, learned[1], learned[0]} {
		if err := s.SaveLearned(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	for _, kv := range [][2]string{{"slot_idle", "5m"}, {"gone", "1"}, {"gone", ""}, {"slot_idle", "6m"}} {
		if err := s.SaveSetting(ctx, "pool/h100", kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()

	s = open(t, path)
	gotLearned, err := s.Learned(ctx)
	if diff := cmp.Diff(learned, gotLearned); diff != "" || err != nil {
		t.Errorf("learned values (-want +got):\n%s%v", diff, err)
	}
	settings, err := s.Settings(ctx, "pool/h100")
	if diff := cmp.Diff(map[string]string{"slot_idle": "6m"}, settings); diff != "" || err != nil {
		t.Errorf("settings (-want +got):\n%s%v", diff, err)
	}
	if none, err := s.Settings(ctx, "pool/other"); len(none) != 0 || err != nil {
		t.Errorf("settings of another scope: got %v, %v, want none", none, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode: got %v, %v, want -rw-------", info.Mode(), err)
	}
}

func TestOpen_IsDurableByDefault(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.DB().QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", pragma, got, err, want)
		}
	}
}

func TestOpen_BringsAnOlderFileUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	old, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	raw(t, path, string(old))
	s := open(t, path)
	settings, err := s.Settings(t.Context(), "pool/h100")
	if err != nil || settings["slot_idle"] != "5m" {
		t.Errorf("settings of the old file: got %v, %v", settings, err)
	}
	for _, table := range []string{"orgs", "tokens", "usage_blocks", "usage_keys", "usage_days"} {
		if _, err := s.DB().Exec("SELECT 1 FROM " + table); err != nil {
			t.Errorf("after migrating: %v", err)
		}
	}
}

func TestOpen_RefusesWhatItCannotUse(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	open(t, at("newer")).Close()
	raw(t, at("newer"), "PRAGMA user_version = 99")
	raw(t, at("foreign"), "CREATE TABLE t (x)")
	open(t, at("cut")).Close()
	for name, text := range map[string]string{"text": strings.Repeat("not a database ", 1000), "file": "x"} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(at("cut"), 4096+100); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"newer": store.ErrNewer, "foreign": store.ErrForeign, "text": store.ErrCorrupt, "cut": store.ErrCorrupt,
		"missing/p.db": store.ErrUnwritable, "file/p.db": store.ErrUnwritable, ".": store.ErrUnwritable,
	} {
		before, _ := os.ReadFile(at(name))
		s, err := store.Open(t.Context(), at(name))
		if s != nil {
			s.Close()
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), at(name)) {
			t.Errorf("%s: got %v, want %v with the path", name, err, want)
		}
		after, _ := os.ReadFile(at(name))
		if !cmp.Equal(before, after) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestOpen_SeveralAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	open(t, path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := store.Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range 20 {
				if err := s.SaveSetting(context.Background(), "scope", "k", "v"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestStore_WorksInVirtualTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		began := time.Now()
		time.Sleep(time.Hour)
		if err := s.SaveSetting(t.Context(), "scope", "k", "v"); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got != time.Hour {
			t.Errorf("a write took virtual time: got %v, want %v", got, time.Hour)
		}
	})
}

func TestWrite_RollsBackOnError(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	boom := errors.New("boom")
	err := s.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO settings VALUES ('a', 'b', 'c')"); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want %v", err, boom)
	}
	if got, err := s.Settings(t.Context(), "a"); len(got) != 0 || err != nil {
		t.Errorf("after a rollback: got %v, %v, want nothing", got, err)
	}
}
