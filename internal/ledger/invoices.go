package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Errors of invoices.
var (
	ErrNoInvoice = errors.New("there is no such invoice")
)

// Limits of one answer of Invoices.
const (
	DefaultInvoicesLimit = 100
	MaxInvoicesLimit     = 1000
)

// InvoiceQuery selects closed invoices. Empty fields select all.
type InvoiceQuery struct {
	Org, Month string
	Limit      int    // 0 = DefaultInvoicesLimit
	Cursor     string // the next of the page before, of the same query
}

// Invoices lists closed invoices, the newest first. next "" = these are the last. A mistake is an *InvalidError.
func (l *Ledger) Invoices(ctx context.Context, q InvoiceQuery) (all []Invoice, next string, err error) {
	limit, err := clampLimit(q.Limit, DefaultInvoicesLimit, MaxInvoicesLimit)
	if err != nil {
		return nil, "", err
	}
	query, args := "SELECT body FROM invoices WHERE number < $1", []any{int64(math.MaxInt64)}
	if q.Cursor != "" {
		if args[0], err = strconv.ParseInt(q.Cursor, 10, 64); err != nil {
			return nil, "", &InvalidError{"cursor", "it is not one of this query; use the next_cursor of the page before"}
		}
	}
	if q.Org != "" {
		args = append(args, q.Org)
		query += fmt.Sprintf(" AND org = $%d", len(args))
	}
	if q.Month != "" {
		month, err := parseMonth(q.Month)
		if err != nil {
			return nil, "", err
		}
		args = append(args, month)
		query += fmt.Sprintf(" AND month = $%d", len(args))
	}
	args = append(args, limit+1)
	all, err = queryInvoices(ctx, l.store.DB(), query+fmt.Sprintf(" ORDER BY number DESC LIMIT $%d", len(args)), args...)
	if err != nil {
		return nil, "", err
	}
	if len(all) > limit {
		all = all[:limit]
		next = strconv.FormatInt(*all[limit-1].Number, 10)
	}
	return all, next, nil
}

// Invoice gives an organisation's invoice of a month: of one that is not closed, what it would be if it were closed now. The error is
// ErrNoInvoice where the organisation has nothing to pay for in it.
func (l *Ledger) Invoice(ctx context.Context, org, month string) (found *Invoice, err error) {
	number, err := parseMonth(month)
	if err != nil {
		return nil, err
	}
	err = l.read(ctx, org, func(v *view) error {
		found, err = v.invoice(ctx, org, number)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the invoice of %s for %s: %w", org, month, err)
	}
	return found, nil
}

func (v *view) invoice(ctx context.Context, org string, month int64) (*Invoice, error) {
	last, err := lastCut(ctx, v.tx)
	if err != nil {
		return nil, err
	}
	if month <= last.month {
		closed, err := queryInvoices(ctx, v.tx, "SELECT body FROM invoices WHERE org = $1 AND month = $2", org, month)
		if err == nil && len(closed) == 0 {
			err = ErrNoInvoice
		}
		if err != nil {
			return nil, err
		}
		return &closed[0], nil
	}
	open, err := v.draftOpen(ctx, org, last, month)
	if err != nil {
		return nil, err
	}
	if open[org] == nil {
		return nil, ErrNoInvoice
	}
	return open[org].invoice(ctx, v.tx, org, monthName(month))
}

// draftOpen drafts what an organisation's invoice of a month would be if that and the months before were closed now.
func (v *view) draftOpen(ctx context.Context, org string, last cut, month int64) (drafts, error) {
	s := openSpan(last, month)
	open, err := v.draft(ctx, org, s, nil)
	if err != nil {
		return nil, err
	}
	number, err := lastNumber(ctx, v.tx)
	if err != nil {
		return nil, err
	}
	err = v.eachUnmoved(ctx, func(r *rawFields) bool {
		number++
		if string(r.texts[fieldOrg]) == org && s.holds(monthOfRecord(r), number) {
			open.addUnmoved(number, r)
		}
		return true
	})
	return open, err
}

// Receipts lists the records of a closed invoice in the order in which they reached the store, and what lies between them in their chains though it is on
// another invoice: without it nobody could tell that nothing is missing. The error is ErrNoInvoice where there is none.
func (l *Ledger) Receipts(ctx context.Context, org, month, cursor string, limit int) (page Page, err error) {
	if limit, err = clampLimit(limit, DefaultRecordsLimit, MaxRecordsLimit); err != nil {
		return Page{}, err
	}
	number, err := parseMonth(month)
	if err != nil {
		return Page{}, err
	}
	after := int64(0)
	if cursor != "" {
		if after, err = strconv.ParseInt(cursor, 10, 64); err != nil || after < 0 {
			return Page{}, &InvalidError{"cursor", "it is not one of this query; use the next_cursor of the page before"}
		}
	}
	err = l.read(ctx, org, func(v *view) (err error) {
		page, err = v.receipts(ctx, org, number, after, limit)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("listing the receipts of %s for %s: %w", org, month, err)
	}
	return page, nil
}

func (v *view) receipts(ctx context.Context, org string, month, after int64, limit int) (page Page, err error) {
	chains, err := v.chainsOf(ctx, org, month)
	if err != nil {
		return Page{}, err
	}
	s, err := spanOf(ctx, v.tx, month)
	if err != nil {
		return Page{}, err
	}
	first, last := int64(math.MaxInt64), int64(0)
	for _, c := range chains {
		first, last = min(first, c.start), max(last, c.end)
	}
	after = max(after, first-1)
	page.Records = []Record{}
	err = v.readFrom(ctx, org, after, sink{after: after, record: func(n numbered, r *rawFields) bool {
		if n.number > last {
			return false
		}
		if string(r.texts[fieldOrg]) != org {
			return true
		}
		of, known := chains[string(r.texts[fieldChain])]
		chained := known && len(r.texts[fieldChain]) > 0 && n.number >= of.start && n.number <= of.end
		if !chained && !s.holds(monthOfRecord(r), n.number) {
			return true
		}
		if len(page.Records) == limit {
			page.Next = strconv.FormatInt(after, 10)
			return false
		}
		page.Records, after = append(page.Records, r.record()), n.number
		return true
	}, damaged: func(e *DamagedError) error {
		v.tellDamage(e)
		if e.Block <= last {
			page.Damaged = append(page.Damaged, e.Damage)
		}
		return nil
	}})
	return page, err
}

// chainsOf gives where an invoice's part of each chain begins and ends, both included.
func (v *view) chainsOf(ctx context.Context, org string, month int64) (chains map[string]extent, err error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT chain, first_number, last_number FROM invoice_chains WHERE org = $1 AND month = $2", org, month)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	chains = map[string]extent{}
	for rows.Next() {
		var chain string
		var of extent
		if err := rows.Scan(&chain, &of.start, &of.end); err != nil {
			return nil, err
		}
		chains[chain] = of
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, ErrNoInvoice
	}
	return chains, nil
}

// spanOf gives the span of a closed month. The error is ErrNoInvoice where it is not closed.
func spanOf(ctx context.Context, db querier, month int64) (s span, err error) {
	s = span{before: noCut, to: cut{month: month}}
	err = db.QueryRowContext(ctx, "SELECT up_to FROM closings WHERE month = $1", month).Scan(&s.to.upTo)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNoInvoice
	}
	if err != nil {
		return s, err
	}
	err = db.QueryRowContext(ctx, "SELECT month, up_to FROM closings WHERE month < $1 ORDER BY month DESC LIMIT 1", month).Scan(&s.before.month, &s.before.upTo)
	if errors.Is(err, sql.ErrNoRows) {
		s.before, err = noCut, nil
	}
	return s, err
}
