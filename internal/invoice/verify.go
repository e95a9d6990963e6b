package invoice

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// maxLine bounds one line of receipts, in bytes.
const maxLine = 1 << 20

// Report is what Verify has found.
type Report struct {
	Records  int64         `json:"records"` // that were read
	Billed   int64         `json:"billed"`  // of them, on the invoice; without an invoice all
	Total    fleet.NanoUSD `json:"total_nano_usd"`
	TotalUSD string        `json:"total_usd"`
	Payable  string        `json:"payable_usd"`
	Chains   []Chain       `json:"chains"`
	Notes    []string      `json:"notes"`    // what cannot be checked, and why that may be so
	Problems []Problem     `json:"problems"` // empty = all is as it must be
}

// Chain is what the records show of one chain.
type Chain struct {
	Chain   string      `json:"chain"`
	Records int64       `json:"records"`
	First   ledger.Hash `json:"first"` // hash of its first record
	Last    ledger.Hash `json:"last"`  // and of its last
}

// Problem is something that is not as it must be.
type Problem struct {
	Line int    `json:"line"` // of the receipts, from 1; 0 = it is about all of them, or about the invoice
	What string `json:"what"`
}

// Verify checks receipts, one JSON object of a record a line, and an invoice against them where one is given. The error says that they cannot
// be read at all; everything else is in the report.
func Verify(receipts io.Reader, i *ledger.Invoice) (*Report, error) {
	v := verifier{invoice: i, report: &Report{Chains: []Chain{}, Notes: []string{}, Problems: []Problem{}}, ids: map[string]int{}, chains: map[string]*chain{}, costs: map[string]*costs{}}
	lines := bufio.NewScanner(receipts)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		if text := bytes.TrimSpace(lines.Bytes()); len(text) > 0 {
			v.read(n, text)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("reading receipts: a line has more than %d bytes; write one record a line", maxLine)
	} else if err != nil {
		return nil, fmt.Errorf("reading receipts: %w", err)
	}
	v.follow()
	v.weighCorrections()
	v.sum()
	v.compare()
	slices.SortStableFunc(v.report.Problems, func(a, b Problem) int { return a.Line - b.Line })
	return v.report, nil
}

// verifier is one Verify.
type verifier struct {
	report  *Report
	invoice *ledger.Invoice // nil = there is none
	records []received
	ids     map[string]int    // line of each ID
	chains  map[string]*chain // by ID
	costs   map[string]*costs // by the ID of a usage record
}

// received is one record as it was read.
type received struct {
	line   int
	hash   ledger.Hash // that it says, or what it must be where it says none; zero for a record without a chain
	record ledger.Record
}

// chain is what was read of one chain.
type chain struct {
	org     string
	by      map[ledger.Hash]int // index of the record with a hash
	next    map[ledger.Hash]int // index of the record whose previous a hash is
	ordered []int               // indexes, first to last
}

// costs are a usage record's cost and what was taken off it.
type costs struct {
	line           int
	known          bool
	cost, credited fleet.NanoUSD
}

func (v *verifier) problem(line int, format string, args ...any) {
	v.report.Problems = append(v.report.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

func (v *verifier) note(format string, args ...any) {
	v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, args...))
}

// read takes one record and checks what it says of itself.
func (v *verifier) read(line int, text []byte) {
	var r ledger.Record
	var claims struct {
		Hash ledger.Hash `json:"hash"`
	}
	if err := errors.Join(json.Unmarshal(text, &r), json.Unmarshal(text, &claims)); err != nil {
		v.problem(line, "is no usage record: %v", err)
		return
	}
	v.report.Records++
	if before := v.ids[r.ID]; before > 0 || r.ID == "" {
		v.problem(line, "record %s is in line %d already", r.ID, before)
		return
	}
	v.ids[r.ID] = line
	of := received{line: line, record: r}
	if r.Chain != "" {
		hash, err := ledger.HashOfJSON(text)
		switch {
		case err != nil:
			v.problem(line, "record %s has no hash that could be computed: %v", r.ID, err)
		case claims.Hash != hash:
			v.problem(line, "record %s was changed: its hash is %s, and it says %s", r.ID, hash, orNone(claims.Hash))
		}
		if of.hash = claims.Hash; of.hash == (ledger.Hash{}) {
			of.hash = hash
		} // a change is told once: its successors follow what it says
	}
	v.checkCost(line, &r)
	v.records = append(v.records, of)
}

// checkCost recomputes what a record costs.
func (v *verifier) checkCost(line int, r *ledger.Record) {
	switch r.Kind {
	case ledger.KindUsage:
		if want := ledger.Cost(r.Billed, r.GPUs, r.Price); r.Cost != want {
			v.problem(line, "record %s costs %d nano-USD, and %d us x %d GPUs x %d nano-USD per GPU-hour are %d",
				r.ID, r.Cost, r.Billed.Microseconds(), r.GPUs, r.Price, want)
		}
		c := v.costsOf(r.ID)
		c.line, c.known, c.cost = line, true, r.Cost
	case ledger.KindCorrection:
		if r.Cost >= 0 || r.Corrects == "" || r.Reason == "" {
			v.problem(line, "correction %s must name a record and a reason, and cost less than nothing", r.ID)
		}
		if c := v.costsOf(r.Corrects); r.Cost < 0 {
			if c.credited -= r.Cost; c.credited < 0 {
				c.credited = math.MaxInt64
			}
		}
	default:
		v.problem(line, "record %s is of kind %q; there are usage and correction", r.ID, r.Kind)
	}
}

func (v *verifier) costsOf(id string) *costs {
	if v.costs[id] == nil {
		v.costs[id] = &costs{}
	}
	return v.costs[id]
}

// weighCorrections checks that no record costs less than nothing in the end.
func (v *verifier) weighCorrections() {
	unknown := 0
	for _, id := range slices.Sorted(maps.Keys(v.costs)) {
		switch c := v.costs[id]; {
		case !c.known:
			unknown++
		case c.credited > c.cost:
			v.problem(c.line, "record %s costs %d nano-USD, and corrections take %d off", id, c.cost, c.credited)
		}
	}
	if unknown > 0 {
		v.note("corrections of records that are not among the receipts, but on an earlier invoice: %d", unknown)
	}
}

// follow follows the chains.
func (v *verifier) follow() {
	unchained := 0
	for i := range v.records {
		r := &v.records[i]
		if r.record.Chain == "" {
			unchained++
			continue
		}
		c := v.chains[r.record.Chain]
		if c == nil {
			c = &chain{org: r.record.Org, by: map[ledger.Hash]int{}, next: map[ledger.Hash]int{}}
			v.chains[r.record.Chain] = c
		}
		if c.org != r.record.Org {
			v.problem(r.line, "record %s of organisation %s is in a chain of %s", r.record.ID, r.record.Org, c.org)
		}
		if other, taken := c.next[r.record.Previous]; taken {
			v.problem(r.line, "record %s and that of line %d both say that they follow %s: one of them was slipped in",
				r.record.ID, v.records[other].line, orNone(r.record.Previous))
			continue
		}
		c.by[r.hash], c.next[r.record.Previous] = i, i
	}
	if unchained > 0 {
		v.note("records in no chain, which a version without chains has written: %d; nothing shows whether all of them are here", unchained)
	}
	for _, id := range slices.Sorted(maps.Keys(v.chains)) {
		v.followOne(id, v.chains[id])
	}
}

// followOne walks along one chain from each record whose predecessor is not here: one may be the oldest.
func (v *verifier) followOne(id string, c *chain) {
	var firsts []int
	for previous, i := range c.next {
		if _, here := c.by[previous]; !here {
			firsts = append(firsts, i)
		}
	}
	slices.Sort(firsts) // receipts come oldest first
	for n, first := range firsts {
		r := &v.records[first]
		switch previous := r.record.Previous; {
		case n > 0:
			v.problem(r.line, "records are missing before %s: the one whose hash is %s is not here", r.record.ID, orNone(previous))
		case previous == ledger.Hash{}:
			v.note("chain %s is here from its first record on", id)
		case v.invoice == nil:
			v.note("chain %s begins with %s: the record before it, whose hash is %s, is not among the receipts", id, r.record.ID, previous)
		}
		c.ordered = append(c.ordered, c.walk(first, v.records)...)
	}
	if len(c.ordered) < len(c.next) {
		v.problem(0, "chain %s goes in a circle: %d of its records follow none", id, len(c.next)-len(c.ordered))
	}
	if len(c.ordered) > 0 {
		v.report.Chains = append(v.report.Chains, Chain{
			Chain: id, Records: int64(len(c.ordered)), First: v.records[c.ordered[0]].hash, Last: v.records[c.ordered[len(c.ordered)-1]].hash,
		})
	}
}

// walk gives the records from one on, each behind the one before.
func (c *chain) walk(first int, records []received) (all []int) {
	for i, more := first, true; more; i, more = c.next[records[i].hash], hasKey(c.next, records[i].hash) {
		all = append(all, i)
	}
	return all
}

func hasKey[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

func orNone(h ledger.Hash) string {
	if h == (ledger.Hash{}) {
		return "none"
	}
	return h.String()
}

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

// In gives the problem with its line in a file.
func (p Problem) In(file string) string {
	if p.Line == 0 {
		return file + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", file, p.Line, p.What)
}

// Text writes the problems for people, one a line, as file:line: what.
func (r *Report) Text(file string) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&b, p.In(file))
	}
	return b.String()
}
