package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// inAClosableMonth is a moment in a month that may be closed: the last one may not while its requests may still run, in the first hour of the next.
func inAClosableMonth() time.Time { return time.Now().UTC().AddDate(0, 0, -40) }

func TestInvoices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := inAClosableMonth()
	month := first.Format("2006-01")
	var ids []string
	for range 3 {
		r := &ledger.Record{
			Org: "acme", TokenID: "tok", Model: "acme/a", GPUs: 1, Start: "hot", DispatchedAt: first, Billed: time.Second,
			Price: 8_250_000_000, Status: ledger.Complete,
		}
		check(t, w.ledger.Append(r))
		ids = append(ids, r.ID)
	}
	list, err := w.client.Invoices(t.Context(), "", "", "", 0)
	if err != nil || len(list.Invoices) != 0 {
		t.Errorf("got %+v, %v, want no invoice", list, err)
	}
	made, err := w.client.Correct(t.Context(), admin.Correction{Record: ids[0], CreditUSD: "0.001", Reason: "slow", IdempotencyKey: "k"})
	if err != nil || made.Cost != -1_000_000 || made.Corrects != ids[0] {
		t.Fatalf("got %+v, %v", made, err)
	}
	again, body, _ := w.ask("POST", "/api/corrections", `{"record": "`+ids[0]+`", "credit_usd": "0.001", "reason": "slow", "idempotency_key": "k"}`)
	if again != 200 || !strings.Contains(body, made.ID) {
		t.Errorf("asked again: got %d %s, want 200 and the same record", again, body)
	}
	open, err := w.client.Invoice(t.Context(), "acme", month)
	if err != nil || open.State != ledger.InvoiceOpen || open.Total != 3*2_291_667-1_000_000 {
		t.Errorf("got %+v, %v, want the open invoice", open, err)
	}
	closed, err := w.client.CloseMonth(t.Context(), admin.Closing{Month: month, Confirm: true})
	if err != nil || closed.ClosedBy != "root" || closed.Already || len(closed.Invoices) != 1 {
		t.Fatalf("got %+v, %v, want one invoice", closed, err)
	}
	if list, err = w.client.Invoices(t.Context(), "acme", month, "", 1); err != nil || len(list.Invoices) != 1 || list.Invoices[0].Payable != "0.01" || len(list.OpenMonths) != 0 {
		t.Errorf("got %+v, %v, want it listed", list, err)
	}
	page, err := w.client.Receipts(t.Context(), "acme", month, "", 3)
	if err != nil || len(page.Records) != 3 || page.NextCursor == nil {
		t.Fatalf("got %+v, %v, want a page of three", page, err)
	}
	if page, err = w.client.Receipts(t.Context(), "acme", month, *page.NextCursor, 3); err != nil || len(page.Records) != 1 || page.Records[0].ID != made.ID || page.NextCursor != nil {
		t.Errorf("got %+v, %v, want the correction", page, err)
	}
	status, body, header := w.ask("GET", "/api/invoices/acme/"+month+"?format=html", "")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(body, "0.005875001") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("got %d %v %s, want a page", status, header, body)
	}
}

func TestInvoices_SayWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	month := time.Now().UTC().Format("2006-01")
	for _, row := range []struct {
		method, path, body string
		status             int
		param              string
	}{
		{"GET", "/api/invoices?month=2026-1", "", 400, "month"},
		{"GET", "/api/invoices?cursor=x", "", 400, "cursor"},
		{"GET", "/api/invoices/acme/" + month, "", 404, ""},
		{"GET", "/api/invoices/acme/2026", "", 400, "month"},
		{"GET", "/api/invoices/acme/" + month + "?format=pdf", "", 400, "format"},
		{"GET", "/api/invoices/acme/" + month + "/receipts", "", 404, ""},
		{"POST", "/api/invoices", `{}`, 400, "month"},
		{"POST", "/api/invoices", `{"month": "` + month + `"}`, 400, "month"},
		{"POST", "/api/invoices", `{"mouth": ""}`, 400, "mouth"},
		{"POST", "/api/corrections", `{"record": "x", "reason": "r", "credit_usd": "-1"}`, 400, "credit_usd"},
		{"POST", "/api/corrections", `{"record": "x"}`, 400, "reason"},
		{"POST", "/api/corrections", `{"record": "x", "reason": "r"}`, 404, ""},
		{"POST", "/api/corrections", `{"record": "x", "reason": "r", "credit_usd": "0"}`, 400, "credit_usd"},
	} {
		if status, body, _ := w.ask(row.method, row.path, row.body); status != row.status || paramOf(body) != row.param {
			t.Errorf("%s %s %s: got %d %s, want %d at %q", row.method, row.path, row.body, status, body, row.status, row.param)
		}
	}
}
