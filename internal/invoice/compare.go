package invoice

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// sum adds up what is on the invoice; without one, all.
func (v *verifier) sum() {
	var tally ledger.Tally
	month := ""
	if v.invoice != nil {
		month = v.invoice.Month
	}
	for _, n := range v.billed() {
		tally.Add(&v.records[n].record)
		v.report.Billed++
	}
	lines, total := tally.Lines(month)
	v.report.Total, v.report.TotalUSD, v.report.Payable = total, total.String(), ledger.Payable(total)
	if v.invoice != nil {
		v.compareLines(v.invoice, lines)
	}
}

// billed gives which records are on the invoice: of each of its chains those up to the last, which were dispatched in its month, or before and come behind
// the chain's last record on an earlier invoice; and what is in no chain. So receipts of many months will do.
func (v *verifier) billed() (all []int) {
	earlier, later := map[int]bool{}, map[int]bool{} // on other invoices
	if v.invoice != nil {
		earlier, later = v.others()
	}
	for n := range v.records {
		r := &v.records[n]
		if v.invoice == nil {
			all = append(all, n)
			continue
		}
		switch month := r.record.DispatchedAt.UTC().Format("2006-01"); {
		case r.record.Org != v.invoice.Org:
			v.problem(r.line, "record %s is of organisation %s, and the invoice of %s", r.record.ID, r.record.Org, v.invoice.Org)
		case later[n], month > v.invoice.Month, month < v.invoice.Month && earlier[n]:
		default:
			all = append(all, n)
		}
	}
	return all
}

// others gives which records of chains lie up to the last one on an earlier invoice, and which behind the last one on this.
func (v *verifier) others() (earlier, later map[int]bool) {
	earlier, later = map[int]bool{}, map[int]bool{}
	spans := map[string]ledger.ChainSpan{}
	for _, s := range v.invoice.Chains {
		spans[s.Chain] = s
	}
	for id, c := range v.chains {
		s, known := spans[id]
		after, hasAfter := c.by[s.After]
		last, hasLast := c.by[s.Last]
		before, behind := hasAfter, !known
		for _, n := range c.ordered {
			earlier[n], later[n] = before, behind
			before = before && n != after
			behind = behind || hasLast && n == last
		}
	}
	return earlier, later
}

// compare holds the invoice against what the receipts show.
func (v *verifier) compare() {
	i := v.invoice
	if i == nil {
		return
	}
	if i.Total != v.report.Total {
		v.problem(0, "the invoice's total is %d nano-USD, and its records add up to %d", i.Total, v.report.Total)
	}
	if want := ledger.Payable(i.Total); i.Payable != want || i.TotalUSD != i.Total.String() {
		v.problem(0, "the invoice says %s USD in all and %s USD payable, and its total of %d nano-USD is %s and %s", i.TotalUSD, i.Payable, i.Total, i.Total, want)
	}
	for _, s := range i.Chains {
		if s.Chain == "" {
			continue
		}
		c := v.chains[s.Chain]
		if c == nil || len(c.ordered) == 0 {
			v.problem(0, "chain %s is missing: the invoice has %d records of it", s.Chain, s.Records)
			continue
		}
		if _, here := c.by[s.Last]; !here {
			last := v.records[c.ordered[len(c.ordered)-1]]
			v.problem(last.line, "the end of chain %s is missing, or not as it was: the invoice's last record there has the hash %s, the last here is %s", s.Chain, s.Last, last.hash)
		}
		first := v.records[c.ordered[0]]
		if _, here := c.by[s.After]; !here && first.record.Previous != s.After {
			v.problem(first.line, "records are missing at the beginning of chain %s: it goes on from %s, and the first here says that it follows %s",
				s.Chain, orNone(s.After), orNone(first.record.Previous))
		}
	}
	known := func(id string) bool {
		return slices.ContainsFunc(i.Chains, func(s ledger.ChainSpan) bool { return s.Chain == id })
	}
	for _, id := range slices.Sorted(maps.Keys(v.chains)) {
		if !known(id) {
			v.note("chain %s is not on the invoice: its records here are on others, or none yet", id)
		}
	}
}

// compareLines holds the invoice's lines against those of its records.
func (v *verifier) compareLines(i *ledger.Invoice, want []ledger.InvoiceLine) {
	name := func(l ledger.InvoiceLine) string {
		return fmt.Sprintf("%s of %s in %s at %d nano-USD per GPU-hour", l.Kind, l.Model, l.Month, l.Price)
	}
	figures := func(l ledger.InvoiceLine) string {
		return fmt.Sprintf("%d records, %d us, %d GPU-us, %d nano-USD", l.Records, l.BilledUS, l.GPUUS, l.Cost)
	}
	has := map[string]string{}
	for _, l := range i.Lines {
		if has[name(l)] != "" {
			v.problem(0, "the invoice has two lines of %s", name(l))
		}
		has[name(l)] = figures(l)
	}
	for _, l := range want {
		switch got := has[name(l)]; {
		case got == "":
			v.problem(0, "the invoice has no line of %s: %s", name(l), figures(l))
		case got != figures(l):
			v.problem(0, "%s: the invoice has %s, and its records are %s", name(l), got, figures(l))
		}
		delete(has, name(l))
	}
	for _, n := range slices.Sorted(maps.Keys(has)) {
		v.problem(0, "the invoice has a line that no record stands behind: %s: %s", n, has[n])
	}
}
