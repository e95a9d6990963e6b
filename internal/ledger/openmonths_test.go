package ledger_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// What is on no invoice yet outlives the retention, and an operator is told; what is on one does not.
func TestRetention_KeepsWhatAnOpenInvoiceNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logged)
		dir := t.TempDir()
		c := ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db")), Retention: 60 * 24 * time.Hour, Log: log.logger()}
		l := openLedger(t, c)
		january := dated(1, time.Now().Add(24*time.Hour))
		appendAll(t, l, january)
		time.Sleep(100 * 24 * time.Hour) // 10 April, without the hours in between
		appendAll(t, l, dated(2, time.Now()))
		if got := len(all(t, l)); got != 2 {
			t.Errorf("got %d records, want what is on no invoice listed at once", got)
		}
		if _, err := l.Prune(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		stop := run(t, l)
		time.Sleep(time.Second)
		if got := len(all(t, l)); got != 2 || !strings.Contains(log.String(), "for longer than the retention") || !strings.Contains(metricsOf(l), "pilotlight_ledger_retention_waits 1\n") ||
			!strings.Contains(metricsOf(l), "pilotlight_ledger_months_to_close 1\n") {
			t.Errorf("got %d records, logged %q, want both kept and an operator told", got, log.String())
		}
		if before, err := l.Prune(t.Context(), false); err != nil || before.After(january.DispatchedAt) {
			t.Errorf("got %v, %v, want to hear that nothing is deleted", before, err)
		}
		time.Sleep(time.Minute)
		// A late record of a month that is closed is on no invoice, either.
		closeMonth(t, l, "2000-01")
		late := dated(3, january.DispatchedAt)
		appendAll(t, l, late)
		time.Sleep(time.Second)
		if _, err := l.Prune(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := requests(all(t, l)); !slices.Contains(got, late.RequestID) || !slices.Contains(got, "req-2") {
			t.Errorf("got %v, want the late one kept", got)
		}
		if got, err := l.Invoice(t.Context(), "acme", "2000-02"); err != nil || got.Total != late.Cost {
			t.Errorf("February: got %+v, %v, want the late one on it", got, err)
		}
		closeMonth(t, l, "2000-02")
		time.Sleep(2 * time.Hour)
		if got := requests(all(t, l)); len(got) != 1 || got[0] != "req-2" || !strings.Contains(metricsOf(l), "pilotlight_ledger_retention_waits 0\n") {
			t.Errorf("got %v, want only what is not 60 days old", got)
		}
		if rows, _, err := l.Usage(t.Context(), ledger.Query{}); err != nil || len(rows) != 1 || rows[0].Requests != 1 {
			t.Errorf("got %+v, %v", rows, err)
		}
		if got, err := l.Invoice(t.Context(), "acme", "2000-01"); err != nil || got.Total != january.Cost {
			t.Errorf("an invoice is kept for ever: got %+v, %v", got, err)
		}
		stop()
	})
}

// Numbers never fall, so that what comes after everything was deleted is on no earlier invoice.
func TestRetention_OfEverythingLeavesTheOrderOfArrival(t *testing.T) {
	l, _ := newLedger(t)
	appendAll(t, l, dated(1, noon), dated(2, noon))
	closeMonth(t, l, noon.Format("2006-01"))
	if err := l.PruneBefore(t.Context(), noon.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if got := len(all(t, l)); got != 0 {
		t.Fatalf("got %d records", got)
	}
	late := dated(3, noon)
	appendAll(t, l, late)
	next := closeMonth(t, l, noon.AddDate(0, 1, 0).Format("2006-01"))
	if len(next.Invoices) != 1 || next.Invoices[0].Total != late.Cost {
		t.Errorf("got %+v, want the late one", next.Invoices)
	}
}
