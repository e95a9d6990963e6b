package export_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/export"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func newLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	dir := t.TempDir()
	s, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: s, Retention: 100 * 365 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// use appends a record that was dispatched at a moment, and has it reach the store.
func use(t *testing.T, l *ledger.Ledger, org, model, token, at string, billed time.Duration, price fleet.NanoUSD) *ledger.Record {
	t.Helper()
	dispatched, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	r := &ledger.Record{
		Org: org, Model: model, TokenID: token, GPUs: 2, DispatchedAt: dispatched, ReceivedAt: dispatched, Billed: billed, Price: price,
		PromptTokens: 5, CompletionTokens: 7, Status: ledger.Complete,
	}
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
	return r
}

func flush(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil { // it moves what is left, and ends
		t.Fatal(err)
	}
}

func correct(t *testing.T, l *ledger.Ledger, r *ledger.Record, credit fleet.NanoUSD) {
	t.Helper()
	if _, _, err := l.Correct(t.Context(), ledger.Correction{Record: r.ID, Credit: credit, Reason: "it was slow"}); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
}

func closeMonth(t *testing.T, l *ledger.Ledger, month string) []ledger.Invoice {
	t.Helper()
	closed, err := l.CloseMonth(t.Context(), ledger.Closing{Month: month, By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return closed.Invoices
}

// history has two closed months, with a correction before March was closed, and one and a late record after it, and an open one.
func history(t *testing.T) (l *ledger.Ledger, invoices map[string]ledger.Invoice) {
	t.Helper()
	l = newLedger(t)
	const price = 8_250_000_000
	first := use(t, l, "acme", "m/one", "t1", "2025-03-01T10:59:59Z", 1234567*time.Microsecond, price)
	second := use(t, l, "acme", "m/one", "t2", "2025-03-02T11:00:00Z", 3*time.Second, price)
	use(t, l, "acme", "m/one", "t1", "2025-03-02T11:30:00Z", 2*time.Second, price+1)
	use(t, l, "acme", "m, \"two\"", "t1", "2025-03-31T23:59:59Z", time.Hour, price)
	use(t, l, "acme", "free", "t1", "2025-03-31T23:59:59Z", time.Hour, 0)
	use(t, l, "zoo", "m/one", "t9", "2025-03-31T23:59:59Z", time.Second, price)
	correct(t, l, first, 1_000_000)
	all := closeMonth(t, l, "2025-03")
	correct(t, l, second, 0)
	use(t, l, "acme", "m/one", "t2", "2025-03-15T00:00:00Z", time.Second, price)
	use(t, l, "acme", "m/one", "t2", "2025-04-15T00:00:00Z", 5*time.Second, price)
	all = append(all, closeMonth(t, l, "2025-04")...)
	use(t, l, "acme", "m/one", "t2", "2025-05-15T00:00:00Z", 6*time.Second, price)
	invoices = map[string]ledger.Invoice{} // InvoiceId -> invoice
	for _, i := range all {
		invoices[fmt.Sprint("INV-", *i.Number)] = i
	}
	return l, invoices
}

// focus gives the rows of an export by their columns.
func focus(t *testing.T, l *ledger.Ledger, version export.FOCUSVersion, month string, by ledger.By) (rows []map[string]string, text []byte) {
	t.Helper()
	bills, err := l.Bills(t.Context(), "", month, by)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := export.FOCUS(&out, version, bills); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(lines[0]) {
		t.Errorf("the columns are not in order: %v", lines[0])
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, column := range lines[0] {
			row[column] = line[i]
		}
		rows = append(rows, row)
	}
	return rows, out.Bytes()
}

func number(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

// TestFOCUS_BilledCostAddsUpToWhatIsPayable however finely the charges are split, in both versions.
func TestFOCUS_BilledCostAddsUpToWhatIsPayable(t *testing.T) {
	l, invoices := history(t)
	for _, version := range export.FOCUSVersions {
		for _, by := range []ledger.By{"model", "token", "day", "hour", "day,token"} {
			sums := map[string]*big.Rat{}
			for _, month := range []string{"2025-03", "2025-04"} {
				rows, _ := focus(t, l, version, month, by)
				for _, row := range rows {
					id := row["InvoiceId"]
					if sums[id] == nil {
						sums[id] = new(big.Rat)
					}
					sums[id].Add(sums[id], number(t, row["BilledCost"]))
				}
			}
			if len(sums) != len(invoices) {
				t.Errorf("%s by %s: rows of %d invoices, want %d", version, by, len(sums), len(invoices))
			}
			for id, i := range invoices {
				if sums[id] == nil || sums[id].Cmp(number(t, i.Payable)) != 0 {
					t.Errorf("%s by %s: invoice %s adds up to %v, payable are %s", version, by, id, sums[id], i.Payable)
				}
			}
		}
	}
}

// TestFOCUS_OfAnOpenMonthHasNoInvoice: nothing is rounded, and nothing is on an invoice.
func TestFOCUS_OfAnOpenMonthHasNoInvoice(t *testing.T) {
	l, _ := history(t)
	rows, _ := focus(t, l, export.FOCUS14, "2025-05", "day")
	if len(rows) != 1 || rows[0]["InvoiceId"]+rows[0]["InvoiceDetailId"] != "" || rows[0]["BilledCost"] != "0.0275" ||
		rows[0]["ChargePeriodStart"] != "2025-05-15T00:00:00Z" || rows[0]["ChargePeriodEnd"] != "2025-05-16T00:00:00Z" ||
		rows[0]["BillingPeriodStart"] != "2025-05-01T00:00:00Z" {
		t.Errorf("got %v", rows)
	}
}

// TestFOCUS_SaysWhatIsCharged goes through the kinds of charges.
func TestFOCUS_SaysWhatIsCharged(t *testing.T) {
	l, _ := history(t)
	march, _ := focus(t, l, export.FOCUS14, "2025-03", "token")
	april, _ := focus(t, l, export.FOCUS14, "2025-04", "model")
	find := func(rows []map[string]string, category, class, model, start string) map[string]string {
		t.Helper()
		for _, row := range rows {
			if row["ChargeCategory"] == category && row["ChargeClass"] == class && row["ResourceId"] == model && row["ChargePeriodStart"][:7] == start {
				return row
			}
		}
		t.Fatalf("there is no %s %s of %q from %s", category, class, model, start)
		return nil
	}
	two := find(march, "Usage", "", `m, "two"`, "2025-03")
	for column, want := range map[string]string{
		"BilledCost": "16.50", "ListCost": "16.50", "PricingQuantity": "2.0", "PricingUnit": "GPU-Hours", "ListUnitPrice": "8.25",
		"ConsumedQuantity": "7200.0", "ConsumedUnit": "GPU-Seconds", "SubAccountId": "t1", "BillingAccountId": "acme", "InvoiceId": "INV-1",
		"InvoiceDetailId": `usage/2025-03/m, "two"/8.25`, "SkuPriceId": `m, "two"@8.25`, "HostProviderName": "Pilotlight", "ServiceProviderName": "Pilotlight",
		"ChargeDescription": `Inference on m, "two"`, "BillingPeriodEnd": "2025-04-01T00:00:00Z",
	} {
		if two[column] != want {
			t.Errorf("%s: got %q, want %q", column, two[column], want)
		}
	}
	if credit := find(march, "Credit", "", "m/one", "2025-03"); credit["BilledCost"] != "-0.001" || credit["PricingQuantity"] != "" {
		t.Errorf("a correction in its own month: got %v", credit)
	}
	if late := find(april, "Usage", "Correction", "m/one", "2025-03"); late["BilledCost"] != "-0.01375" || late["InvoiceId"] != "INV-3" || late["ConsumedQuantity"] != "0.0" {
		t.Errorf("a correction of an earlier invoice: got %v", late)
	}
	if late := find(april, "Usage", "", "m/one", "2025-03"); late["BilledCost"] != "0.004583333" || late["BillingPeriodStart"] != "2025-04-01T00:00:00Z" {
		t.Errorf("a late record: got %v", late)
	}
	if free := find(march, "Usage", "", "free", "2025-03"); free["PricingQuantity"] != "2.0" || free["BilledCost"] != "0.00" {
		t.Errorf("what costs nothing: got %v", free)
	}
	for _, row := range slices.Concat(march, april) {
		if row["ChargeCategory"] == "Usage" && row["ChargeClass"] == "" {
			product := new(big.Rat).Mul(number(t, row["PricingQuantity"]), number(t, row["ListUnitPrice"]))
			if diff := product.Sub(product, number(t, row["ListCost"])); diff.Abs(diff).Cmp(big.NewRat(1, 1e12)) > 0 {
				t.Errorf("quantity times price is not the cost: %v", row)
			}
		}
		if (row["InvoiceId"] == "") != (row["InvoiceDetailId"] == "") {
			t.Errorf("got invoice %q, detail %q", row["InvoiceId"], row["InvoiceDetailId"])
		}
	}
}

// TestFOCUS_VersionsDifferInColumnsAlone: what the official validator says of 1.2 goes for the values of 1.4, too.
func TestFOCUS_VersionsDifferInColumnsAlone(t *testing.T) {
	l, _ := history(t)
	now, _ := focus(t, l, export.FOCUS14, "2025-03", "day,token")
	before, _ := focus(t, l, export.FOCUS12, "2025-03", "day,token")
	if len(now) != len(before) || len(now) == 0 {
		t.Fatalf("%d rows, and %d", len(now), len(before))
	}
	for i, row := range now {
		for _, column := range []string{"HostProviderName", "ServiceProviderName", "InvoiceDetailId"} {
			if row[column] == "" {
				t.Errorf("%s is null in 1.4", column)
			}
			if _, there := before[i][column]; there {
				t.Errorf("%s is in 1.2", column)
			}
			delete(row, column)
		}
		for _, column := range []string{"ProviderName", "PublisherName"} {
			if before[i][column] == "" {
				t.Errorf("%s is null in 1.2", column)
			}
			if _, there := row[column]; there {
				t.Errorf("%s is in 1.4, which has removed it", column)
			}
			delete(before[i], column)
		}
		if delete(before[i], "CommitmentDiscountStatus"); fmt.Sprint(row) != fmt.Sprint(before[i]) {
			t.Errorf("got  %v\nwant %v", row, before[i])
		}
	}
	var invalid *ledger.InvalidError
	if err := export.FOCUS(&bytes.Buffer{}, "1.3", nil); !errors.As(err, &invalid) || invalid.Field != "focus_version" {
		t.Errorf("an unknown version: got %v", err)
	}
}

func TestBills_RefuseWhatCannotBe(t *testing.T) {
	l := newLedger(t)
	for _, q := range [][2]string{{"2025-13", "model"}, {"2025-03", "year"}} {
		var invalid *ledger.InvalidError
		if _, err := l.Bills(t.Context(), "", q[0], ledger.By(q[1])); !errors.As(err, &invalid) {
			t.Errorf("%v: got %v", q, err)
		}
	}
	if bills, err := l.Bills(t.Context(), "", "2025-03", "day"); err != nil || len(bills) != 0 {
		t.Errorf("of nothing: got %v, %v", bills, err)
	}
}
