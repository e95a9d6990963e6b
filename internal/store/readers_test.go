package store_test

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

func TestWrite_WaitsForNoReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		var reading sync.WaitGroup
		done := make(chan struct{})
		for range store.Readers + 10 { // more than there are connections
			reading.Go(func() {
				err := s.Read(t.Context(), func(tx *sql.Tx) error {
					var n int
					err := tx.QueryRow("SELECT count(*) FROM settings").Scan(&n)
					<-done
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all connections for readers are taken
		if err := s.SaveSetting(t.Context(), "a", "b", "c"); err != nil {
			t.Error(err)
		}
		close(done)
		reading.Wait()
	})
}

func TestRead_SeesOneMomentAndWritesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	err := s.Read(t.Context(), func(tx *sql.Tx) error {
		for range 2 {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM settings").Scan(&n); err != nil || n != 0 {
				t.Errorf("got %d settings, %v, want none", n, err)
			}
			if err := s.SaveSetting(t.Context(), "a", "b", "c"); err != nil {
				t.Error(err)
			}
		}
		if _, err := tx.Exec("DELETE FROM settings"); err == nil {
			t.Error("a reader could write")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().Exec("DELETE FROM settings"); err == nil {
		t.Error("a reader could write")
	}
	if got, err := s.Settings(t.Context(), "a"); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v, want the setting", got, err)
	}
}
