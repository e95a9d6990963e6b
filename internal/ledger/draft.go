package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// span is what the invoices of a closing have: what its cut holds, and the one before does not.
type span struct{ before, to cut }

func (s span) holds(month, number int64) bool {
	return s.to.holds(month, number) && !s.before.holds(month, number)
}

// drafts are the invoices of a closing in the making, by organisation.
type drafts map[string]*draft

type draft struct {
	tally  Tally
	chains map[string]*chainPart
}

// chainPart is what an invoice has of one chain.
type chainPart struct {
	first, last, records int64
	follows              Hash  // what the first says that it follows
	end                  int64 // number of the last record that shows that nothing is missing, and its hash: see reach
	endHash              Hash
	newest               []byte  // payload of the record with the last number
	unmoved              *Record // that record where it is not in the store yet
}

// Which pieces may hold records of a span: those of the months that it opens, and those that came after the cut before it. What else they hold is
// passed over.
const (
	draftRuns = "p.seq IN (SELECT seq FROM usage_runs WHERE dispatched_from < $1 AND (dispatched_to >= $2 OR " +
		"seq >= (SELECT COALESCE(MAX(seq), 0) FROM usage_runs WHERE seq <= $3)))"
	draftBlocks = "b.dispatched_from < $1 AND (b.dispatched_to >= $2 OR " +
		"b.seq >= (SELECT COALESCE(MAX(seq), 0) FROM usage_blocks WHERE seq <= $3))"

	draftAll = partColumns + "WHERE " + draftRuns + " UNION ALL " + blockColumns + "WHERE " + draftBlocks
	draftOrg = partColumns + "WHERE p.org = $4 AND " + draftRuns + " UNION ALL " +
		blockColumns + "JOIN usage_keys k ON k.seq = b.seq WHERE k.key = $5 AND " + draftBlocks
)

// draft adds up a span of an organisation's records ("" = of everybody's). damaged is told of what cannot be read; nil = that is an error.
func (v *view) draft(ctx context.Context, org string, s span, damaged func(*DamagedError) error) (drafts, error) {
	all := drafts{}
	query, args := draftAll, []any{firstDay(s.to.month+1) * dayMicros, s.before.open(), s.before.upTo}
	if org != "" {
		query, args = draftOrg, append(args, org, orgKey(org))
	}
	err := readPieces(ctx, v.tx, sink{record: func(n numbered, r *rawFields) bool {
		if (org == "" || string(r.texts[fieldOrg]) == org) && s.holds(monthOfRecord(r), n.number) {
			all.add(n, r)
		}
		return true
	}, damaged: damaged}, query, args...)
	return all, err
}

func monthOfRecord(r *rawFields) int64 { return monthOf(floorDay(r.numbers[fieldDispatched])) }

func (d drafts) add(n numbered, r *rawFields) {
	if part := d.count(n.number, r); n.number == part.last {
		part.newest = append(part.newest[:0], n.frame[frameHeadLen:]...)
	}
}

// addUnmoved adds a record that is not in the store yet, behind all others.
func (d drafts) addUnmoved(number int64, r *rawFields) {
	record := r.record()
	d.count(number, r).unmoved = &record
}

// count adds a record up, and gives the part of its chain that has it.
func (d drafts) count(number int64, r *rawFields) *chainPart {
	of := d[string(r.texts[fieldOrg])]
	if of == nil {
		of = &draft{chains: map[string]*chainPart{}}
		d[string(r.texts[fieldOrg])] = of
	}
	of.tally.add(r)
	part := of.chains[string(r.texts[fieldChain])]
	if part == nil {
		part = &chainPart{first: number, follows: r.previous}
		of.chains[string(r.texts[fieldChain])] = part
	}
	part.records++
	if number < part.first {
		part.first, part.follows = number, r.previous
	}
	part.last = max(part.last, number)
	return part
}

// keep brings a closing and its invoices into the store, numbers them, and notes them in closed. The error is errOvertaken where last is not the
// last cut any more.
func (d drafts) keep(ctx context.Context, tx *sql.Tx, last, to cut, closed *Closed) error {
	if now, err := lastCut(ctx, tx); err != nil {
		return err
	} else if now != last {
		return errOvertaken
	}
	var number int64
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) FROM invoices").Scan(&number); err != nil {
		return fmt.Errorf("numbering invoices: %w", err)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO closings (month, up_to, closed_at, closed_by) VALUES ($1, $2, $3, $4)",
		to.month, to.upTo, closed.At.UnixMicro(), closed.By)
	if err != nil {
		return fmt.Errorf("noting a closing: %w", err)
	}
	for _, org := range slices.Sorted(maps.Keys(d)) {
		i, err := d[org].invoice(ctx, tx, org, closed.Month)
		if err != nil {
			return err
		}
		number++
		i.Number, i.State, i.ClosedAt, i.ClosedBy = &[]int64{number}[0], InvoiceClosed, &Instant{closed.At}, closed.By
		if err := d[org].insert(ctx, tx, i, to.month); err != nil {
			return fmt.Errorf("keeping the invoice of %s: %w", org, err)
		}
		closed.Invoices = append(closed.Invoices, *i)
	}
	return nil
}

func (d *draft) insert(ctx context.Context, tx *sql.Tx, i *Invoice, month int64) error {
	body, err := json.Marshal(i)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO invoices (number, month, org, body) VALUES ($1, $2, $3, $4)", *i.Number, month, i.Org, string(body))
	if err != nil {
		return err
	}
	for _, s := range i.Chains {
		part := d.chains[s.Chain]
		_, err := tx.ExecContext(ctx, `INSERT INTO invoice_chains (org, chain, month, first_number, last_number, last_hash)
			VALUES ($1, $2, $3, $4, $5, $6)`, i.Org, s.Chain, month, part.first, part.end, part.endHash.String())
		if err != nil {
			return err
		}
	}
	return nil
}

// invoice makes the draft into an open invoice.
func (d *draft) invoice(ctx context.Context, db querier, org, month string) (*Invoice, error) {
	i := &Invoice{Org: org, Month: month, State: InvoiceOpen, Chains: []ChainSpan{}}
	i.Lines, i.Total = d.tally.Lines(month)
	i.TotalUSD, i.Payable = i.Total.String(), Payable(i.Total)
	for _, chain := range slices.Sorted(maps.Keys(d.chains)) {
		s, number := ChainSpan{Chain: chain, Records: d.chains[chain].records}, int64(0)
		if chain != "" {
			var err error
			if s.After, number, err = lastOnInvoice(ctx, db, org, chain); err != nil {
				return nil, err
			}
			if s.Last, err = d.chains[chain].lastHash(); err != nil {
				return nil, fmt.Errorf("reading the last usage record of a chain: %w", err)
			}
		}
		d.chains[chain].reach(s.After, number, s.Last)
		i.Chains = append(i.Chains, s)
	}
	return i, nil
}

func (p *chainPart) lastHash() (Hash, error) {
	if p.unmoved != nil {
		return HashOf(p.unmoved), nil
	}
	var r rawFields
	if err := r.read(p.newest); err != nil {
		return Hash{}, err
	}
	newest := r.record()
	return HashOf(&newest), nil
}

// reach has the part begin where the chain's last record on an earlier invoice ends, so that receipts show that nothing is missing in between:
// there may be records of later months. Where that record lies behind some of the part, because records came out of the order of their months, it
// belongs to it too: it says which of the others are on an earlier invoice.
func (p *chainPart) reach(after Hash, number int64, last Hash) {
	if p.follows != after {
		p.first = min(p.first, number+1)
	}
	p.end, p.endHash = p.last, last
	if number > p.last {
		p.end, p.endHash = number, after
	}
}

// lastOnInvoice gives hash and number of a chain's last record that is on a closed invoice; zero values where there is none.
func lastOnInvoice(ctx context.Context, db querier, org, chain string) (hash Hash, number int64, err error) {
	var text string
	err = db.QueryRowContext(ctx, "SELECT last_hash, last_number FROM invoice_chains WHERE org = $1 AND chain = $2 ORDER BY last_number DESC LIMIT 1",
		org, chain).Scan(&text, &number)
	if err == nil {
		err = hash.UnmarshalText([]byte(text))
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Hash{}, 0, fmt.Errorf("looking for the end of a chain: %w", err)
	}
	return hash, number, nil
}
