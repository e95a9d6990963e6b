package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// InvoiceState says whether an invoice can still change.
type InvoiceState string

// The states of an invoice.
const (
	InvoiceOpen   InvoiceState = "open"   // what it would be if its month were closed now
	InvoiceClosed InvoiceState = "closed" // it never changes again
)

// Invoice is what one organisation pays for one UTC month. Its JSON is that of /api/invoices.
type Invoice struct {
	Number   *int64        `json:"number"` // from 1, without gaps, over all organisations; nil while it is open
	Org      string        `json:"org"`
	Month    string        `json:"month"` // YYYY-MM
	State    InvoiceState  `json:"state"`
	ClosedAt *Instant      `json:"closed_at"` // nil while it is open
	ClosedBy string        `json:"closed_by"`
	Lines    []InvoiceLine `json:"lines"`
	Total    fleet.NanoUSD `json:"total_nano_usd"` // exact: the sum of its records
	TotalUSD string        `json:"total_usd"`      // the same in dollars, exact
	Payable  string        `json:"payable_usd"`    // the total in whole cents: rounded once, half to even
	Chains   []ChainSpan   `json:"chains"`
}

// InvoiceLine adds up records of one kind, month, model and price.
type InvoiceLine struct {
	Kind     Kind          `json:"kind"`
	Month    string        `json:"month"` // in which the requests were dispatched
	Model    string        `json:"model"`
	Price    fleet.NanoUSD `json:"price_nano_usd_per_gpu_hour"`
	Records  int64         `json:"records"` // requests, or corrections
	BilledUS int64         `json:"billed_us"`
	GPUUS    int64         `json:"gpu_us"`
	Cost     fleet.NanoUSD `json:"cost_nano_usd"`
	Note     string        `json:"note"` // why it is a line of its own; "" = it needs no reason
}

// ChainSpan says which records of one of the organisation's chains an invoice has: of those behind After up to Last, whichever were
// dispatched in its month or before.
type ChainSpan struct {
	Chain   string `json:"chain"`   // "" = records that a version without chains has written
	After   Hash   `json:"after"`   // hash of the chain's last record on an earlier invoice; empty = there is none
	Last    Hash   `json:"last"`    // hash of the chain's last record on this one
	Records int64  `json:"records"` // on this one
}

// Instant is a moment whose JSON is RFC 3339 in UTC with microseconds.
type Instant struct{ time.Time }

// MarshalJSON writes the moment.
func (i Instant) MarshalJSON() ([]byte, error) { return instant(i.Time).MarshalJSON() }

// Payable rounds an amount to whole cents, half to even, and writes it in dollars with two decimals.
func Payable(n fleet.NanoUSD) string { return roundCents(n).String() }

const nanosPerCent = 10_000_000

func roundCents(n fleet.NanoUSD) fleet.NanoUSD {
	cents, rest := n/nanosPerCent, n%nanosPerCent // both have n's sign
	up := fleet.NanoUSD(1)
	if rest < 0 {
		up, rest = -1, -rest
	}
	if rest > nanosPerCent/2 || rest == nanosPerCent/2 && cents%2 != 0 {
		cents += up
	}
	return fleet.NanoUSD(times(int64(cents), nanosPerCent))
}

// Tally adds records up to the lines of an invoice. The zero value is empty.
type Tally struct{ lines map[lineKey]*InvoiceLine }

type lineKey struct {
	month int64
	kind  Kind
	model string
	price fleet.NanoUSD
}

// Add adds a record.
func (t *Tally) Add(r *Record) {
	f := r.fields()
	var raw rawFields
	raw.numbers = f.numbers
	for i, s := range f.texts {
		raw.texts[i] = []byte(s)
	}
	t.add(&raw)
}

func (t *Tally) add(f *rawFields) {
	month, price := monthOf(floorDay(f.numbers[fieldDispatched])), fleet.NanoUSD(f.numbers[fieldPrice])
	line := t.lines[lineKey{month, Kind(f.texts[fieldKind]), string(f.texts[fieldModel]), price}] // no copies
	if line == nil {
		if t.lines == nil {
			t.lines = map[lineKey]*InvoiceLine{}
		}
		k := lineKey{month, Kind(f.texts[fieldKind]), string(f.texts[fieldModel]), price}
		line = &InvoiceLine{Kind: k.kind, Month: monthName(month), Model: k.model, Price: price}
		t.lines[k] = line
	}
	line.Records++
	line.BilledUS = plus(line.BilledUS, f.numbers[fieldBilled])
	line.GPUUS = plus(line.GPUUS, times(f.numbers[fieldBilled], f.numbers[fieldGPUs]))
	line.Cost = fleet.NanoUSD(plus(int64(line.Cost), f.numbers[fieldCost]))
}

// Lines gives the lines of an invoice of a month, YYYY-MM, and their sum: the month's own first, its corrections, then what belongs to
// earlier months.
func (t *Tally) Lines(month string) (lines []InvoiceLine, total fleet.NanoUSD) {
	lines = []InvoiceLine{}
	for _, k := range slices.SortedFunc(maps.Keys(t.lines), func(a, b lineKey) int {
		return cmp.Or(-cmp.Compare(a.month, b.month), -cmp.Compare(a.kind, b.kind), cmp.Compare(a.model, b.model), cmp.Compare(a.price, b.price))
	}) {
		line := *t.lines[k]
		line.Note = noteOf(&line, month)
		lines = append(lines, line)
		total = fleet.NanoUSD(plus(int64(total), int64(line.Cost)))
	}
	return lines, total
}

func noteOf(line *InvoiceLine, month string) string {
	switch late := line.Month != month; {
	case late && line.Kind == KindCorrection:
		return "corrections of " + line.Month + ", made after that month's invoice"
	case late:
		return "late records of " + line.Month + ", which came after that month's invoice"
	case line.Kind == KindCorrection:
		return "corrections of this month's records"
	}
	return ""
}

// monthName writes a month as YYYY-MM.
func monthName(month int64) string {
	return time.UnixMicro(firstDay(month) * dayMicros).UTC().Format("2006-01")
}

// parseMonth is the inverse of monthName. The error is an *InvalidError.
func parseMonth(s string) (int64, error) {
	from, _, err := Month(s)
	if err != nil {
		return 0, err
	}
	return monthOf(floorDay(from.UnixMicro())), nil
}
