package invoice_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// bill is receipts of an organisation with two chains, and its invoice of January that they add up to: in chain a two records of January, one of
// February between them, and a correction; in chain b a late one of December, behind that month's invoice, and one of January.
func bill(t *testing.T) ([]ledger.Record, *ledger.Invoice) {
	t.Helper()
	january := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	record := func(n int, at time.Time) ledger.Record {
		r := ledger.Record{
			ID: fmt.Sprint("id-", n), RequestID: fmt.Sprint("r-", n), Kind: ledger.KindUsage, Org: "acme", TokenID: "tok", Model: "m", GPUs: 4, Start: fleet.Hot,
			ReceivedAt: at, DispatchedAt: at, Billed: 2 * time.Second, Price: 8_250_000_000, Status: ledger.Complete,
		}
		r.Cost = ledger.Cost(r.Billed, r.GPUs, r.Price)
		return r
	}
	correction := record(4, january)
	correction.Kind, correction.Corrects, correction.Reason, correction.Billed, correction.Cost = ledger.KindCorrection, "id-1", "slow", 0, -333_333
	a := []ledger.Record{record(1, january), record(2, january.AddDate(0, 0, 1)), record(3, january), correction}
	b := []ledger.Record{record(5, january.AddDate(0, -1, 0)), record(6, january)}
	i := &ledger.Invoice{Org: "acme", Month: "2026-01", State: ledger.InvoiceClosed}
	var all []ledger.Record
	var tally ledger.Tally
	for name, chain := range map[string][]ledger.Record{"a": a, "b": b} {
		previous := ledger.Hash{}
		if name == "b" {
			previous = ledger.Hash{7} // the last of December's invoice
		}
		span := ledger.ChainSpan{Chain: name, After: previous}
		for n := range chain {
			r := &chain[n]
			r.Chain, r.Previous = name, previous
			previous = ledger.HashOf(r)
			if r.ID != "id-2" {
				tally.Add(r)
				span.Records, span.Last = span.Records+1, previous
			}
		}
		i.Chains = append(i.Chains, span)
	}
	all = append(append(all, a...), b...)
	i.Lines, i.Total = tally.Lines("2026-01")
	i.TotalUSD, i.Payable = i.Total.String(), ledger.Payable(i.Total)
	return all, i
}

func lines(t *testing.T, records []ledger.Record) string {
	t.Helper()
	var out strings.Builder
	for _, r := range records {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n", text)
	}
	return out.String()
}

func verify(t *testing.T, receipts string, i *ledger.Invoice) *invoice.Report {
	t.Helper()
	report, err := invoice.Verify(strings.NewReader(receipts), i)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestVerify_OfATrueBillFindsNothing(t *testing.T) {
	records, i := bill(t)
	report := verify(t, lines(t, records), i)
	const want = 4*18_333_333 - 333_333
	if text := report.Text("x"); text != "" || report.Records != 6 || report.Billed != 5 || report.Total != want || report.Payable != "0.07" || len(report.Chains) != 2 {
		t.Errorf("got %+v\n%s", report, text)
	}
	if report := verify(t, lines(t, records), nil); report.Text("x") != "" || report.Total != want+18_333_333 || len(report.Notes) != 2 {
		t.Errorf("without the invoice: got %+v, want all records added up, and where each chain begins", report)
	}
	if report := verify(t, "\n", nil); report.Text("x") != "" || report.Records != 0 {
		t.Errorf("of nothing: got %+v", report)
	}
}

// Whatever is changed, dropped, slipped in or wrongly added up is found, and said with its line.
func TestVerify_FindsWhatIsNotTrue(t *testing.T) {
	drop := func(n int) func([]ledger.Record, *ledger.Invoice) []ledger.Record {
		return func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { return append(all[:n:n], all[n+1:]...) }
	}
	of := func(f func(i *ledger.Invoice)) func([]ledger.Record, *ledger.Invoice) []ledger.Record {
		return func(all []ledger.Record, i *ledger.Invoice) []ledger.Record { f(i); return all }
	}
	for name, row := range map[string]struct {
		change func(all []ledger.Record, i *ledger.Invoice) []ledger.Record
		text   func(string) string // of the receipts; nil = as it is
		want   string              // a regular expression
	}{
		"a cost":               {text: func(s string) string { return strings.Replace(s, "18333333", "18333334", 1) }, want: `x:1: record id-1 costs 18333334 nano-USD, and 2000000 us x 4 GPUs x 8250000000 nano-USD per GPU-hour are 18333333`},
		"a time and its cost":  {text: func(s string) string { return strings.Replace(s, `"billed_us":2000000`, `"billed_us":2000001`, 1) }, want: `x:1: record id-1 was changed: its hash is [0-9a-f]{64}, and it says`},
		"a hash left out":      {text: func(s string) string { return regexp.MustCompile(`,"hash":"[^"]*"`).ReplaceAllString(s, "") }, want: `x:1: record id-1 was changed: its hash is [0-9a-f]{64}, and it says none`},
		"another organisation": {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { all[5].Org = "zoo"; return all }, want: `x:6: record id-6 is of organisation zoo`},
		"a record in between":  {change: drop(1), want: `x:2: records are missing before id-3: the one whose hash is [0-9a-f]{64} is not here`},
		"the first":            {change: drop(0), want: `x:1: records are missing at the beginning of chain a: it goes on from none`},
		"the first of b":       {change: drop(4), want: `x:5: records are missing at the beginning of chain b: it goes on from 07000000`},
		"the last":             {change: drop(5), want: `x:5: the end of chain b is missing, or not as it was`},
		"a chain":              {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { return all[:4] }, want: `x: chain b is missing: the invoice has 2 records of it`},
		"a record twice":       {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { return append(all, all[0]) }, want: `x:7: record id-1 is in line 1 already`},
		"a record slipped in": {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record {
			r := all[2]
			r.ID = "id-9"
			return append(all, r)
		}, want: `x:7: record id-9 and that of line 3 both say that they follow`},
		"too much credit":       {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { all[3].Cost = -18_333_334; return all }, want: `x:1: record id-1 costs 18333333 nano-USD, and corrections take 18333334 off`},
		"a correction upwards":  {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { all[3].Cost = 5; return all }, want: `x:4: correction id-4 must name a record and a reason, and cost less than nothing`},
		"a kind":                {change: func(all []ledger.Record, _ *ledger.Invoice) []ledger.Record { all[5].Kind = "gift"; return all }, want: `x:6: record id-6 is of kind "gift"`},
		"no record":             {text: func(s string) string { return "{}x\n" + s }, want: `x:1: is no usage record`},
		"a record without id":   {text: func(s string) string { return "{}\n" + s }, want: `x:1: is no usage record: it has no id`},
		"the total":             {change: of(func(i *ledger.Invoice) { i.Total++ }), want: `x: the invoice's total is 73000000 nano-USD, and its records add up to 72999999`},
		"what is payable":       {change: of(func(i *ledger.Invoice) { i.Payable = "0.08" }), want: `x: the invoice says 0.072999999 USD in all and 0.08 USD payable`},
		"a line":                {change: of(func(i *ledger.Invoice) { i.Lines[0].Records++ }), want: `x: usage of m in 2026-01 at 8250000000 nano-USD per GPU-hour: the invoice has 4 records`},
		"a line of nothing":     {change: of(func(i *ledger.Invoice) { i.Lines = append(i.Lines, ledger.InvoiceLine{Model: "n", Cost: 5}) }), want: `x: the invoice has a line that no record stands behind`},
		"a line twice":          {change: of(func(i *ledger.Invoice) { i.Lines = append(i.Lines, i.Lines[0]) }), want: `x: the invoice has two lines of usage of m`},
		"a line less":           {change: of(func(i *ledger.Invoice) { i.Lines = i.Lines[1:] }), want: `x: the invoice has no line of usage of m in 2026-01`},
		"a record of elsewhere": {change: of(func(i *ledger.Invoice) { i.Org = "zoo" }), want: `x:1: record id-1 is of organisation acme, and the invoice of zoo`},
		"an invoice paid twice": {change: of(func(i *ledger.Invoice) { i.Chains[0].After, i.Chains[1].After = ledger.Hash{9}, ledger.Hash{9} }), want: `records are missing at the beginning of chain a: it goes on from 09000000`},
	} {
		t.Run(name, func(t *testing.T) {
			records, i := bill(t)
			if row.change != nil {
				records = row.change(records, i)
			}
			text := lines(t, records)
			if row.text != nil {
				text = row.text(text)
			}
			report := verify(t, text, i)
			if got := report.Text("x"); !regexp.MustCompile(row.want).MatchString(got) {
				t.Errorf("got\n%s\nwant %q", got, row.want)
			}
		})
	}
}

// A record of an earlier month is billed where it lies behind the last one of an earlier invoice, and not where it lies before.
func TestVerify_BillsAnEarlierMonthsRecordOnce(t *testing.T) {
	records, i := bill(t)
	december := records[4]
	for n := range i.Chains {
		if i.Chains[n].Chain == "b" {
			i.Chains[n].After = ledger.HashOf(&december) // it was on that
			i.Chains[n].Records--
		}
	}
	report := verify(t, lines(t, records), i)
	if got := report.Text("x"); !strings.Contains(got, "the invoice's total is 72999999 nano-USD, and its records add up to 54666666") || report.Billed != 4 {
		t.Errorf("got %s%+v, want it not billed again", got, report)
	}
}

// Whoever keeps all receipts can check each invoice with them: what is behind its ends is on others.
func TestVerify_TakesReceiptsOfOtherInvoicesToo(t *testing.T) {
	records, i := bill(t)
	next := records[3] // the end of chain a
	late := next
	late.ID, late.Kind, late.Corrects, late.Reason, late.Billed, late.Cost, late.Previous = "id-7", ledger.KindUsage, "", "", time.Second, ledger.Cost(time.Second, 4, next.Price), ledger.HashOf(&next)
	elsewhere := late
	elsewhere.ID, elsewhere.Chain, elsewhere.Previous = "id-8", "c", ledger.Hash{}
	report := verify(t, lines(t, append(records, late, elsewhere)), i)
	if got := report.Text("x"); got != "" || report.Records != 8 || report.Billed != 5 || !strings.Contains(strings.Join(report.Notes, "\n"), "chain c is not on the invoice") {
		t.Errorf("got %s%+v, want both left out", got, report)
	}
}

// Without chains nothing shows what is missing; verify says so.
func TestVerify_SaysWhatItCannotTell(t *testing.T) {
	records, _ := bill(t)
	for n := range records {
		records[n].Chain, records[n].Previous = "", ledger.Hash{}
	}
	report := verify(t, lines(t, records), nil)
	if report.Text("x") != "" || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "in no chain, which a version without chains has written: 6;") {
		t.Errorf("got %+v", report)
	}
	records = records[3:4] // the correction alone
	if report := verify(t, lines(t, records), nil); len(report.Notes) != 2 || !strings.Contains(report.Notes[1], "not among the receipts, but on an earlier invoice: 1") {
		t.Errorf("got %+v", report)
	}
}
