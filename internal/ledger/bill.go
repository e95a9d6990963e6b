package ledger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Bill is an invoice with its lines split further.
type Bill struct {
	Invoice *Invoice // open where its month is not closed
	Charges []Charge // which add up to its total
}

// Charge is a part of an invoice: records of one kind, model and price, and of one token, day or hour where that was asked for.
type Charge struct {
	Kind     Kind
	Model    string
	Price    fleet.NanoUSD // per GPU-hour
	TokenID  string        // "" = of all
	From, To time.Time     // when their requests were dispatched: in a month, a day or an hour, UTC; To is not included
	Records  int64
	BilledUS int64
	GPUUS    int64
	Cost     fleet.NanoUSD
}

// Rounding is what the payable amount is more than the exact total.
func (i *Invoice) Rounding() fleet.NanoUSD { return roundCents(i.Total) - i.Total }

// mostCharges bounds the memory that Bills takes: about 100 MB.
const mostCharges = 500_000

// Bills gives the bills of a month, YYYY-MM, of one organisation or of all (""), by name. by says how finely the charges are split. A closed
// invoice by model needs no records; all else reads them, so that one of which records are not kept any more cannot be split further. Mistakes are
// *InvalidErrors.
func (l *Ledger) Bills(ctx context.Context, org, month string, by By) (bills []Bill, err error) {
	number, err := parseMonth(month)
	if err != nil {
		return nil, err
	}
	g, err := by.grouping()
	if err != nil {
		return nil, err
	}
	err = l.read(ctx, org, func(v *view) (err error) {
		bills, err = v.bills(ctx, org, number, g)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the bills of %s: %w", month, err)
	}
	return bills, nil
}

func (v *view) bills(ctx context.Context, org string, month int64, by grouping) ([]Bill, error) {
	last, err := lastCut(ctx, v.tx)
	if err != nil {
		return nil, err
	}
	if month > last.month {
		return v.openBills(ctx, org, openSpan(last, month), by)
	}
	query, args := "SELECT body FROM invoices WHERE month = $1 ORDER BY org", []any{month}
	if org != "" {
		query, args = "SELECT body FROM invoices WHERE month = $1 AND org = $2", append(args, org)
	}
	invoices, err := queryInvoices(ctx, v.tx, query, args...)
	if err != nil {
		return nil, err
	}
	var bills []Bill
	if by == (grouping{}) {
		for i := range invoices {
			bill, err := invoices[i].bill()
			if err != nil {
				return nil, err
			}
			bills = append(bills, bill)
		}
		return bills, nil
	}
	s, err := spanOf(ctx, v.tx, month)
	if err != nil {
		return nil, err
	}
	all := charges{by: by, span: s, of: map[chargeKey]*Charge{}}
	if err := v.charge(ctx, org, &all); err != nil {
		return nil, err
	}
	for i := range invoices {
		bill := Bill{&invoices[i], all.list(invoices[i].Org)}
		if total := bill.total(); total != invoices[i].Total {
			return nil, &InvalidError{"by", fmt.Sprintf("records of the invoice of %s are not kept any more; it can be exported by model alone", invoices[i].Org)}
		}
		bills = append(bills, bill)
	}
	return bills, nil
}

// openSpan is what the invoices of a month would have if it and the months before were closed now.
func openSpan(last cut, month int64) span {
	s := span{before: last, to: cut{month, math.MaxInt64}}
	if monthBefore := (cut{month - 1, math.MaxInt64}); monthBefore.month > last.month {
		s.before = monthBefore
	}
	return s
}

func (v *view) openBills(ctx context.Context, org string, s span, by grouping) (bills []Bill, err error) {
	all := charges{by: by, span: s, of: map[chargeKey]*Charge{}}
	if err := v.charge(ctx, org, &all); err != nil {
		return nil, err
	}
	number, err := lastNumber(ctx, v.tx)
	if err != nil {
		return nil, err
	}
	err = v.eachUnmoved(ctx, func(r *rawFields) bool {
		number++
		if org == "" || string(r.texts[fieldOrg]) == org {
			all.add(number, r)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	for _, name := range all.orgs() {
		bill := Bill{&Invoice{Org: name, Month: monthName(s.to.month), State: InvoiceOpen}, all.list(name)}
		bill.Invoice.Total = bill.total()
		bills = append(bills, bill)
	}
	return bills, nil
}

// charge reads the records of a span.
func (v *view) charge(ctx context.Context, org string, all *charges) error {
	query, args := draftAll, []any{firstDay(all.span.to.month+1) * dayMicros, all.span.before.open(), all.span.before.upTo}
	if org != "" {
		query, args = draftOrg, append(args, org, orgKey(org))
	}
	err := readPieces(ctx, v.tx, sink{record: func(n numbered, r *rawFields) bool {
		if org == "" || string(r.texts[fieldOrg]) == org {
			all.add(n.number, r)
		}
		return len(all.of) <= mostCharges
	}}, query, args...)
	if err == nil && len(all.of) > mostCharges {
		err = &InvalidError{"by", fmt.Sprintf("there are more than %d charges; ask for one organisation, or split them less", mostCharges)}
	}
	return err
}

func (b *Bill) total() (total fleet.NanoUSD) {
	for _, c := range b.Charges {
		total = fleet.NanoUSD(plus(int64(total), int64(c.Cost)))
	}
	return total
}

// bill makes an invoice's lines into charges.
func (i *Invoice) bill() (Bill, error) {
	b := Bill{Invoice: i}
	for _, line := range i.Lines {
		from, to, err := Month(line.Month)
		if err != nil {
			return b, err
		}
		b.Charges = append(b.Charges, Charge{
			Kind: line.Kind, Model: line.Model, Price: line.Price, From: from, To: to,
			Records: line.Records, BilledUS: line.BilledUS, GPUUS: line.GPUUS, Cost: line.Cost,
		})
	}
	return b, nil
}

// charges are those of a span in the making.
type charges struct {
	by   grouping
	span span
	of   map[chargeKey]*Charge
}

type chargeKey struct {
	org, token, model string
	kind              Kind
	price             fleet.NanoUSD
	start             int64
}

func (c *charges) add(number int64, r *rawFields) {
	if !c.span.holds(monthOfRecord(r), number) {
		return
	}
	at := r.numbers[fieldDispatched]
	k := chargeKey{string(r.texts[fieldOrg]), "", string(r.texts[fieldModel]), Kind(r.texts[fieldKind]), fleet.NanoUSD(r.numbers[fieldPrice]), c.by.start(at)}
	if c.by.token {
		k.token = string(r.texts[fieldToken])
	}
	of := c.of[k]
	if of == nil {
		of = &Charge{Kind: k.kind, Model: k.model, Price: k.price, TokenID: k.token, From: time.UnixMicro(k.start).UTC(), To: c.by.end(k.start)}
		c.of[k] = of
	}
	of.Records++
	of.BilledUS = plus(of.BilledUS, r.numbers[fieldBilled])
	of.GPUUS = plus(of.GPUUS, times(r.numbers[fieldBilled], r.numbers[fieldGPUs]))
	of.Cost = fleet.NanoUSD(plus(int64(of.Cost), r.numbers[fieldCost]))
}

// start is the beginning of the period that a moment is in.
func (g grouping) start(at int64) int64 {
	switch {
	case g.hour:
		return floorTo(at, hourMicros) * hourMicros
	case g.day:
		return floorTo(at, dayMicros) * dayMicros
	}
	return firstDay(monthOf(floorDay(at))) * dayMicros
}

// end is the end of the period that begins at a moment.
func (g grouping) end(start int64) time.Time {
	from := time.UnixMicro(start).UTC()
	switch {
	case g.hour:
		return from.Add(time.Hour)
	case g.day:
		return from.AddDate(0, 0, 1)
	}
	return from.AddDate(0, 1, 0)
}

func (c *charges) orgs() []string {
	all := map[string]bool{}
	for k := range c.of {
		all[k.org] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// list gives an organisation's charges in order of time.
func (c *charges) list(org string) (list []Charge) {
	for k, charge := range c.of {
		if k.org == org {
			list = append(list, *charge)
		}
	}
	slices.SortFunc(list, func(a, b Charge) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Model, b.Model), cmp.Compare(a.TokenID, b.TokenID), -cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Price, b.Price))
	})
	return list
}
