package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

func exec(t *testing.T, s *store.Store, query string, args ...any) {
	t.Helper()
	if err := s.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestCopy_RefusesAStoreThatHoldsDataAndLeavesItAsItIs(t *testing.T) {
	from, to := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, filepath.Join(t.TempDir(), "b.db"))
	if err := errors.Join(from.SaveSetting(t.Context(), "a", "b", "c"), to.SaveSetting(t.Context(), "x", "y", "z")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Copy(t.Context(), from, to); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("got %v, want %v", err, store.ErrNotEmpty)
	}
	if got, err := to.Settings(t.Context(), "a"); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v, want nothing of the first", got, err)
	}
}

// A copy that comes out other than what was read is undone.
func TestCopy_ComparesWhatHasArrived(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.db")
	from, to := open(t, filepath.Join(t.TempDir(), "a.db")), open(t, path)
	if err := from.SaveSettings(t.Context(), "a", map[string]string{"b": "c", "d": "e"}, nil); err != nil {
		t.Fatal(err)
	}
	exec(t, to, "CREATE TRIGGER change AFTER INSERT ON settings BEGIN UPDATE settings SET value = value || 'x' WHERE name = 'b'; END")
	if done, err := store.Copy(t.Context(), from, to); err == nil {
		t.Errorf("got %v, want an error", done)
	}
	if got, err := to.Settings(t.Context(), "a"); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v, want nothing", got, err)
	}
}

func TestBackup_IsWholeWhileOthersWriteAndOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "a.db"), filepath.Join(dir, "copy.db")
	s := open(t, path)
	if err := s.SaveSetting(t.Context(), "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	err := s.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM settings"); err != nil {
			return err
		}
		return store.Backup(t.Context(), path, to) // it waits for nobody
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
	if got, err := open(t, to).Settings(t.Context(), "a"); got["b"] != "c" || err != nil {
		t.Errorf("got %v, %v, want what was committed", got, err)
	}
	if err := store.Backup(t.Context(), path, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want %v", err, os.ErrExist)
	}
	if err := store.Backup(t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "c2")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
