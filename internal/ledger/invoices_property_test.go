package ledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// history is a ledger to which anything happens, and what must be on its invoices in the end.
type history struct {
	t        *testing.T
	random   *rand.Rand
	config   ledger.Config
	ledger   *ledger.Ledger
	appended map[string]*ledger.Record // by ID
	ids      []string                  // of usage records
	next     int                       // month to close, from January 2025
	invoices []ledger.Invoice
}

func (h *history) month(n int) time.Time {
	return time.Date(2025, time.Month(1+n), 1, 0, 0, 0, 0, time.UTC)
}

// append appends a record, mostly of the months that are about to be closed.
func (h *history) append() {
	r := record(len(h.ids))
	r.Org, r.Model = fmt.Sprint("org-", h.random.IntN(3)), fmt.Sprint("m", h.random.IntN(2))
	r.DispatchedAt = h.month(max(0, h.next-2+h.random.IntN(5))).Add(time.Duration(h.random.Int64N(int64(27 * 24 * time.Hour))))
	r.Billed, r.GPUs = time.Duration(h.random.IntN(5_000_000))*time.Microsecond, 1<<h.random.IntN(4)
	r.Price = []fleet.NanoUSD{8_250_000_000, 7_123_456_789}[h.random.IntN(2)]
	appendAll(h.t, h.ledger, r)
	h.appended[r.ID] = r
	h.ids = append(h.ids, r.ID)
}

func (h *history) correct() {
	if len(h.ids) == 0 {
		return
	}
	c := ledger.Correction{Record: h.ids[h.random.IntN(len(h.ids))], Reason: "of the test", By: "test"}
	if cost := h.appended[c.Record].Cost; cost > 0 {
		c.Credit = fleet.NanoUSD(h.random.Int64N(int64(cost)))
	}
	made, _, err := h.ledger.Correct(h.t.Context(), c)
	if invalid := (*ledger.InvalidError)(nil); errors.As(err, &invalid) {
		return // nothing is left of it
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.appended[made.ID] = made
}

// close closes the next month; sometimes it fails at some step first, sometimes the process dies with it.
func (h *history) close() {
	if table := []string{"", "", "closings", "invoices", "invoice_chains"}[h.random.IntN(5)]; table != "" {
		ledger.Exec(h.t, h.config.Store, storetest.Fail(table, "1 = 1"))
		_, err := h.ledger.CloseNow(h.t.Context(), h.month(h.next).Format("2006-01"))
		ledger.Exec(h.t, h.config.Store, storetest.Allow(table))
		if err != nil && h.random.IntN(2) == 0 {
			h.crash()
		}
	}
	closed, err := h.ledger.CloseNow(h.t.Context(), h.month(h.next).Format("2006-01"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.invoices = append(h.invoices, closed.Invoices...)
	h.next++
}

func (h *history) crash() {
	if h.random.IntN(2) == 0 {
		move(h.t, h.ledger)
	}
	h.ledger.Crash()
	h.ledger = openLedger(h.t, h.config)
}

// receipts gives the receipts of an invoice, page by page, as JSON lines.
func receipts(t *testing.T, l *ledger.Ledger, i *ledger.Invoice, limit int) (all []ledger.Record, lines []byte) {
	t.Helper()
	for cursor := ""; ; {
		page, err := l.Receipts(t.Context(), i.Org, i.Month, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Records...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for _, r := range all {
		lines = append(lines, jsonLine(t, r)...)
	}
	return all, lines
}

func jsonLine(t *testing.T, r ledger.Record) []byte {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// Whatever comes when, is corrected, closed, sorted and killed: each record is on one invoice, each invoice is what its receipts add up to, and
// all invoices together are all records.
func TestInvoices_HaveEachRecordOnce(t *testing.T) {
	t.Parallel()
	histories := 40
	if testing.Short() {
		histories = 6
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			h := &history{t: t, random: rand.New(rand.NewPCG(seed, 11)), appended: map[string]*ledger.Record{}}
			h.config = ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: openStore(t, filepath.Join(dir, "p.db"))}
			h.ledger = openLedger(t, h.config)
			for range 60 {
				switch n := h.random.IntN(20); {
				case n < 12:
					h.append()
				case n < 14:
					h.correct()
				case n < 16:
					move(t, h.ledger)
				case n < 17:
					sorted(t, h.ledger)
				case n < 18:
					h.crash()
				default:
					h.close()
				}
			}
			for last := h.next + 6; h.next < last; {
				h.close()
			}
			h.check()
		})
	}
}

func (h *history) check() {
	h.t.Helper()
	everything := map[string][]byte{} // of each organisation, as who keeps all receipts has it
	for _, r := range all(h.t, h.ledger) {
		everything[r.Org] = append(everything[r.Org], jsonLine(h.t, r)...)
	}
	var total, want fleet.NanoUSD
	var records int64
	for n := range h.invoices {
		i := &h.invoices[n]
		if *i.Number != int64(n+1) {
			h.t.Errorf("invoice %d has the number %d", n+1, *i.Number)
		}
		total += i.Total
		for _, s := range i.Chains {
			records += s.Records
			if s.Chain == "" {
				h.t.Errorf("records of %s are in no chain", i.Org)
			}
		}
		_, lines := receipts(h.t, h.ledger, i, 1+h.random.IntN(9))
		for of, lines := range map[string][]byte{"its receipts": lines, "all receipts": everything[i.Org]} {
			report, err := invoice.Verify(bytes.NewReader(lines), i)
			if err != nil {
				h.t.Fatal(err)
			}
			if text := report.Text(of); text != "" {
				h.t.Errorf("the invoice of %s for %s:\n%s", i.Org, i.Month, text)
			}
		}
	}
	for _, r := range h.appended {
		want += r.Cost
	}
	if total != want || records != int64(len(h.appended)) {
		h.t.Errorf("got %d records for %d nano-USD on %d invoices, want %d for %d", records, total, len(h.invoices), len(h.appended), want)
	}
}
