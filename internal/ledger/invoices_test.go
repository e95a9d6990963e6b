package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// dated is a record that was dispatched at a moment.
func dated(n int, at time.Time) *ledger.Record {
	r := record(n)
	r.DispatchedAt = at
	return r
}

// wantInvalid checks that an error blames a field, and says some words.
func wantInvalid(t *testing.T, err error, field, words string) {
	t.Helper()
	var invalid *ledger.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != field || !strings.Contains(invalid.Message, words) {
		t.Errorf("got %v, want %s blamed, for %q", err, field, words)
	}
}

func closeMonth(t *testing.T, l *ledger.Ledger, month string) *ledger.Closed {
	t.Helper()
	closed, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	return closed
}

func TestCloseMonth_WaitsForTheEndOfTheMonthAndAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01
		l, _ := newLedger(t)
		appendAll(t, l, dated(1, time.Now()))
		stop := run(t, l)
		defer stop()
		ask := func(month string) error {
			_, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops"})
			return err
		}
		wantInvalid(t, ask("2000-01"), "month", "2000-02-01T01:00:00Z")
		time.Sleep(31*24*time.Hour + 59*time.Minute)
		wantInvalid(t, ask("2000-01"), "month", "2000-02-01T01:00:00Z")
		time.Sleep(2 * time.Minute)
		wantInvalid(t, ask("2000-1"), "month", "2026-01")
		if _, err := l.CloseMonth(t.Context(), ledger.Closing{Month: "2000-01", By: " "}); err == nil {
			t.Error("nobody closed it")
		}
		closed := closeMonth(t, l, "2000-01")
		if len(closed.Invoices) != 1 || closed.Already || !closed.At.Equal(time.Now()) {
			t.Errorf("got %+v, want one invoice of now", closed)
		}
		again := closeMonth(t, l, "2000-01")
		if diff := gocmp.Diff(closed.Invoices, again.Invoices); diff != "" || !again.Already || !again.At.Equal(closed.At) || again.By != "ops" {
			t.Errorf("closed again: got %+v, %s, want the same", again, diff)
		}
	})
}

func TestCloseMonth_GoesInOrder(t *testing.T) {
	l, _ := newLedger(t)
	month := func(n int) time.Time { return time.Date(2025, time.Month(n), 5, 0, 0, 0, 0, time.UTC) }
	appendAll(t, l, dated(1, month(2)), dated(2, month(5)))
	_, err := l.CloseMonth(t.Context(), ledger.Closing{Month: "2025-05", By: "ops"})
	wantInvalid(t, err, "month", "2025-02 is not closed yet")
	closeMonth(t, l, "2025-02")
	if got := closeMonth(t, l, "2025-05"); len(got.Invoices) != 1 || *got.Invoices[0].Number != 2 {
		t.Errorf("months without usage need not be closed: got %+v", got)
	}
	_, err = l.CloseMonth(t.Context(), ledger.Closing{Month: "2025-04", By: "ops"})
	wantInvalid(t, err, "month", "2025-04 had no usage when 2025-05 was closed")
	if got := closeMonth(t, l, "2025-06"); len(got.Invoices) != 0 {
		t.Errorf("who has used nothing gets no invoice: got %+v", got.Invoices)
	}
}

func TestCloseMonth_IsAllOrNothing(t *testing.T) {
	l, c := newLedger(t)
	for n, org := range []string{"a", "b", "c"} {
		r := dated(n, noon)
		r.Org = org
		appendAll(t, l, r)
	}
	month := noon.Format("2006-01")
	ledger.Exec(t, c.Store, storetest.Fail("invoices", "NEW.number = 2"))
	if got, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops"}); err == nil {
		t.Fatalf("got %+v, want the failure", got)
	}
	if all, _, err := l.Invoices(t.Context(), ledger.InvoiceQuery{}); err != nil || len(all) != 0 {
		t.Errorf("got %d invoices of a closing that failed, %v", len(all), err)
	}
	if open, err := l.Invoice(t.Context(), "a", month); err != nil || open.State != ledger.InvoiceOpen || open.Number != nil {
		t.Errorf("got %+v, %v, want an open invoice", open, err)
	}
	ledger.Exec(t, c.Store, storetest.Allow("invoices"))
	if got := closeMonth(t, l, month); len(got.Invoices) != 3 || *got.Invoices[2].Number != 3 || got.Invoices[2].Org != "c" {
		t.Errorf("got %+v, want three invoices in the order of names", got)
	}
}

func TestCloseMonth_OfManyAtOnceIsOne(t *testing.T) {
	l, _ := newLedger(t)
	appendAll(t, l, dated(1, noon))
	var asking sync.WaitGroup
	made := make(chan bool, 8)
	for range cap(made) {
		asking.Go(func() {
			closed, err := l.CloseMonth(t.Context(), ledger.Closing{Month: noon.Format("2006-01"), By: "ops"})
			if err != nil || len(closed.Invoices) != 1 || *closed.Invoices[0].Number != 1 {
				t.Errorf("got %+v, %v", closed, err)
				return
			}
			made <- !closed.Already
		})
	}
	asking.Wait()
	close(made)
	first := 0
	for one := range made {
		if one {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d have closed it, want one", first)
	}
}

func TestCloseMonth_AsksWhereTheClockMayHaveJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := jumpedWith(t, 10*365*24*time.Hour, func(*ledger.Ledger) {})
		month := time.Now().AddDate(0, -1, 0).Format("2006-01")
		_, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops"})
		wantInvalid(t, err, "confirm", "more than a day beyond")
		for _, month := range []string{"1999-12", "2000-01"} {
			if _, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops", Confirm: true}); err != nil {
				t.Errorf("%s: %v", month, err)
			}
		}
		if _, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops"}); err != nil {
			t.Errorf("once confirmed: %v", err)
		}
	})
}

// What comes after its month was closed is on the next invoice, on a line of its own that says so.
func TestInvoice_OfTheNextMonthHasWhatCameLate(t *testing.T) {
	l, _ := newLedger(t)
	january, february := time.Date(2025, 1, 31, 23, 0, 0, 0, time.UTC), time.Date(2025, 2, 1, 0, 30, 0, 0, time.UTC)
	first := dated(1, january)
	appendAll(t, l, first, dated(2, february)) // which comes before January is closed, and is not on that
	if got := closeMonth(t, l, "2025-01").Invoices; len(got) != 1 || got[0].Total != first.Cost || got[0].Lines[0].Note != "" {
		t.Fatalf("January: got %+v", got)
	}
	late := dated(3, january)
	late.Model = "m/late"
	appendAll(t, l, late)
	if _, _, err := l.Correct(t.Context(), ledger.Correction{Record: first.ID, Credit: 5, Reason: "slow", By: "ops"}); err != nil {
		t.Fatal(err)
	}
	open, err := l.Invoice(t.Context(), "acme", "2025-02")
	if err != nil {
		t.Fatal(err)
	}
	closed := closeMonth(t, l, "2025-02").Invoices[0]
	want := []ledger.InvoiceLine{
		{Kind: "usage", Month: "2025-02", Model: "m/one", Price: 8_250_000_000, Records: 1, BilledUS: 2e6, GPUUS: 8e6, Cost: 18_333_333},
		{Kind: "usage", Month: "2025-01", Model: "m/late", Price: 8_250_000_000, Records: 1, BilledUS: 2e6, GPUUS: 8e6, Cost: 18_333_333, Note: "late records of 2025-01, which came after that month's invoice"},
		{Kind: "correction", Month: "2025-01", Model: "m/one", Price: 8_250_000_000, Records: 1, Cost: -5, Note: "corrections of 2025-01, made after that month's invoice"},
	}
	if diff := gocmp.Diff(want, closed.Lines); diff != "" || closed.Total != 36_666_661 || closed.TotalUSD != "0.036666661" || closed.Payable != "0.04" {
		t.Errorf("got %+v (-want +got):\n%s", closed, diff)
	}
	if diff := gocmp.Diff(closed.Lines, open.Lines); diff != "" || open.State != ledger.InvoiceOpen {
		t.Errorf("before it was closed it was another (-closed +open):\n%s", diff)
	}
	if _, err := l.Invoice(t.Context(), "zoo", "2025-02"); !errors.Is(err, ledger.ErrNoInvoice) {
		t.Errorf("of another: got %v", err)
	}
	appendAll(t, l, dated(4, february))
	if again, err := l.Invoice(t.Context(), "acme", "2025-02"); err != nil || gocmp.Diff(closed, *again) != "" {
		t.Errorf("a closed invoice has changed: got %+v, %v", again, err)
	}
}

func TestInvoices_AreListedNewestFirstInPages(t *testing.T) {
	l, _ := newLedger(t)
	for n, month := range []string{"2025-01", "2025-02"} {
		for _, org := range []string{"a", "b"} {
			r := dated(n, time.Date(2025, time.Month(n+1), 3, 0, 0, 0, 0, time.UTC))
			r.Org = org
			appendAll(t, l, r)
		}
		closeMonth(t, l, month)
	}
	list := func(q ledger.InvoiceQuery) (numbers []int64) {
		for {
			page, next, err := l.Invoices(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				numbers = append(numbers, *i.Number)
			}
			if q.Cursor = next; next == "" {
				return numbers
			}
		}
	}
	for _, row := range []struct {
		q    ledger.InvoiceQuery
		want []int64
	}{
		{ledger.InvoiceQuery{}, []int64{4, 3, 2, 1}},
		{ledger.InvoiceQuery{Limit: 1}, []int64{4, 3, 2, 1}},
		{ledger.InvoiceQuery{Org: "b", Limit: 1}, []int64{4, 2}},
		{ledger.InvoiceQuery{Month: "2025-01", Limit: 2}, []int64{2, 1}},
		{ledger.InvoiceQuery{Month: "2025-01", Org: "a"}, []int64{1}},
		{ledger.InvoiceQuery{Org: "c"}, nil},
	} {
		if diff := gocmp.Diff(row.want, list(row.q)); diff != "" {
			t.Errorf("%+v: (-want +got):\n%s", row.q, diff)
		}
	}
	for field, q := range map[string]ledger.InvoiceQuery{"cursor": {Cursor: "x"}, "month": {Month: "x"}, "limit": {Limit: -1}} {
		_, _, err := l.Invoices(t.Context(), q)
		wantInvalid(t, err, field, "")
	}
}

func TestPayable_IsRoundedToCentsHalfToEven(t *testing.T) {
	for nanos, want := range map[fleet.NanoUSD]string{
		0: "0.00", 1: "0.00", 4_999_999: "0.00", 5_000_000: "0.00", 5_000_001: "0.01", 15_000_000: "0.02", 14_999_999: "0.01", 25_000_000: "0.02",
		-5_000_000: "0.00", -5_000_001: "-0.01", -15_000_000: "-0.02", 1_234_565_000_000: "1234.56", 1_234_575_000_000: "1234.58", 100_000_000_000: "100.00",
	} {
		if got := ledger.Payable(nanos); got != want {
			t.Errorf("%d nano-USD: got %s, want %s", nanos, got, want)
		}
	}
}

// What cannot be read can be on no invoice: an operator decides whether that is to hold the month up.
func TestCloseMonth_WithoutWhatCannotBeRead(t *testing.T) {
	l, c := newLedger(t)
	for n := range 2 {
		appendAll(t, l, dated(n, noon))
		move(t, l)
	}
	ledger.Exec(t, c.Store, "UPDATE usage_blocks SET data = 'x' WHERE seq = 1")
	month := noon.Format("2006-01")
	var damaged *ledger.DamagedError
	if got, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops"}); !errors.As(err, &damaged) || damaged.Block != 1 {
		t.Fatalf("got %+v, %v, want the block named", got, err)
	}
	closed, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops", WithoutDamaged: true})
	if err != nil || len(closed.Invoices) != 1 || closed.Invoices[0].Lines[0].Records != 1 || len(closed.Damaged) != 1 || closed.Damaged[0].Block != 1 {
		t.Errorf("got %+v, %v, want an invoice of the other record", closed, err)
	}
	page, err := l.Receipts(t.Context(), "acme", month, "", 0)
	if err != nil || len(page.Records) != 1 || page.Records[0].RequestID != "req-1" {
		t.Errorf("got %+v, %v, want the other record", page, err)
	}
}
