package invoice_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func page(t *testing.T, i *ledger.Invoice) string {
	t.Helper()
	var out strings.Builder
	if err := invoice.Page(&out, i); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPage_ShowsTheInvoiceAndNothingThatIsNotInIt(t *testing.T) {
	number := int64(17)
	i := &ledger.Invoice{
		Number: &number, Org: "<b>acme", Month: "2026-10", State: ledger.InvoiceClosed, ClosedAt: &ledger.Instant{Time: time.Date(2026, 11, 1, 8, 30, 0, 0, time.UTC)}, ClosedBy: "ops",
		Lines: []ledger.InvoiceLine{
			{Kind: ledger.KindUsage, Month: "2026-10", Model: "m/one", Price: 8_250_000_000, Records: 1_234_567, BilledUS: 61_725_000_001, GPUUS: 493_800_000_008, Cost: 1_131_625_000_018},
			{Kind: ledger.KindCorrection, Month: "2026-09", Model: "m/one", Price: 8_250_000_000, Records: 1, Cost: -4_583_334, Note: "corrections of 2026-09"},
		},
		Total: 1_131_620_416_684, TotalUSD: "1131.620416684", Payable: "1131.62", Chains: []ledger.ChainSpan{{Chain: "c1", Records: 5, Last: ledger.Hash{0xab}}},
	}
	text := page(t, i)
	for _, want := range []string{
		"&lt;b&gt;acme", "17", "2026-11-01 08:30 UTC", "1\u2009234\u2009567", "61\u2009725.000001", "493\u2009800.000008", "1\u2009131.625000018", "-0.004583334",
		"corrections of 2026-09", "1\u2009131.620416684", "1131.62", "ab000000",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if found := regexp.MustCompile(`(?i)<script|<link|<img|https?://|url\(|@import`).FindString(text); found != "" || strings.Contains(text, "Draft") {
		t.Errorf("the page has %q, or calls itself a draft", found)
	}
	i.Number, i.ClosedAt, i.ClosedBy, i.State = nil, nil, "", ledger.InvoiceOpen
	if text := page(t, i); !strings.Contains(text, "Draft: 2026-10 is not closed") {
		t.Error("an open invoice does not say that it is one")
	}
}
