package admin_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// withLedger makes a world with a ledger over a store that is prepared first.
func withLedger(t *testing.T, prepare func(*store.Store)) (*world, *store.Store) {
	t.Helper()
	db, err := storetest.TryOpen(t, filepath.Join(t.TempDir(), "other.db"))
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	prepare(db)
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: t.TempDir(), Store: db})
	check(t, err)
	t.Cleanup(func() { check(t, l.Close()) })
	w := newWorld(t, func(c *admin.Config) { c.Ledger = l })
	w.ledger = l
	return w, db
}

func TestPrune_AsksWhereTheClockMayHaveJumped(t *testing.T) {
	w, _ := withLedger(t, func(db *store.Store) {
		check(t, db.SaveSetting(t.Context(), "ledger", "clock", time.Now().Add(-25*time.Hour).Format(time.RFC3339)))
	})
	status, body, _ := w.ask("POST", "/api/store/prune", "")
	if status != 400 || paramOf(body) != "confirm" || !strings.Contains(body, "more than a day beyond") {
		t.Errorf("got %d %s, want to be asked for confirm", status, body)
	}
	if status, body, _ := w.ask("POST", "/api/store/prune", `{"sure": true}`); status != 400 || paramOf(body) == "confirm" {
		t.Errorf("got %d %s, want the unknown field refused", status, body)
	}
	got, err := w.client.Prune(t.Context(), true)
	if want := time.Now().Add(-ledger.DefaultRetention); err != nil || got.Before.After(want) || want.Sub(got.Before.Time) > 24*time.Hour {
		t.Errorf("got %+v, %v, want the day of %v", got, err, want)
	}
	if _, err := w.client.Prune(t.Context(), false); err != nil {
		t.Errorf("once confirmed: got %v", err)
	}
}

func TestRecords_NamesADamagedBlockAndUsageRefusesToGuess(t *testing.T) {
	w, db := withLedger(t, func(*store.Store) {})
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour) // yesterday's
	check(t, w.ledger.Append(&ledger.Record{Org: "acme", TokenID: "tok", Model: "m", DispatchedAt: noon}))
	w.move()
	check(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE usage_blocks SET data = 'x'; UPDATE usage_parts SET data = 'x'")
		return err
	}))
	page, err := w.client.Records(t.Context(), "acme", "", 0)
	if err != nil || len(page.Records) != 0 || len(page.Damaged) != 1 || page.Damaged[0].Records != 1 {
		t.Errorf("got %+v, %v, want the damaged block named", page, err)
	}
	from := noon.Add(-time.Hour).Format(time.RFC3339) // a part of the day has to be read; whole days have sums
	if status, body, _ := w.ask("GET", "/api/usage?from="+from, ""); status != 500 || !strings.Contains(body, "block 1 ") {
		t.Errorf("got %d %s, want the block named", status, body)
	}
	if usage, err := w.client.Usage(t.Context(), admin.UsageQuery{From: noon.Format(time.DateOnly)}); err != nil || len(usage.Usage) != 1 || usage.Usage[0].Requests != 1 {
		t.Errorf("whole days: got %+v, %v, want the request", usage, err)
	}
}
