package router_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// An organisation's people read its invoices, and check them with nothing but what they are given.
func TestInvoices_OfTheOrgAndItsReceipts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		month := time.Now().UTC().AddDate(0, 0, -1).Format("2006-01") // the one before
		for _, org := range []string{"acme", "other", "acme", "acme"} {
			w.must(w.ledger.Append(&ledger.Record{
				Org: org, TokenID: "tok", Model: chatModel, GPUs: 1, Start: "hot", DispatchedAt: time.Now().AddDate(0, 0, -1), Billed: time.Second,
				Price: 8_250_000_000, Status: ledger.Complete,
			}))
		}
		ask := func(path string, into any) {
			t.Helper()
			a := w.do(call{method: "GET", path: path})
			if err := json.Unmarshal([]byte(a.text), into); err != nil || a.StatusCode != 200 {
				t.Fatalf("%s: got %d %s, %v", path, a.StatusCode, a.text, err)
			}
		}
		var open, closed ledger.Invoice
		ask("/v1/invoices/"+month, &open)
		w.wantCode(w.do(call{method: "GET", path: "/v1/invoices/" + month + "/receipts"}), 404, "not_found")
		w.wantCode(w.do(call{method: "GET", path: "/v1/invoices/last"}), 400, "invalid_request")
		w.wantCode(w.do(call{method: "GET", path: "/v1/invoices?limit=0"}), 400, "invalid_request")

		time.Sleep(time.Hour)
		if _, err := w.ledger.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "ops", Confirm: true}); err != nil {
			t.Fatal(err)
		}
		ask("/v1/invoices/"+month, &closed)
		var list struct{ Invoices []ledger.Invoice }
		ask("/v1/invoices?month="+month, &list)
		if open.State != ledger.InvoiceOpen || open.Total != closed.Total || closed.Org != "acme" || closed.Lines[0].Records != 3 || len(list.Invoices) != 1 || *list.Invoices[0].Number != *closed.Number {
			t.Errorf("got %+v, then %+v, and %+v", open, closed, list)
		}
		var receipts bytes.Buffer
		for cursor := ""; ; {
			var page struct {
				Records     []json.RawMessage
				Next_cursor *string
			}
			ask(fmt.Sprintf("/v1/invoices/%s/receipts?limit=2%s", month, cursor), &page)
			for _, r := range page.Records {
				fmt.Fprintf(&receipts, "%s\n", r)
			}
			if page.Next_cursor == nil {
				break
			}
			cursor = "&cursor=" + *page.Next_cursor
		}
		report, err := invoice.Verify(&receipts, &closed)
		if err != nil || report.Text("receipts") != "" || report.Records != 3 {
			t.Errorf("got %+v, %v", report, err)
		}
	})
}
