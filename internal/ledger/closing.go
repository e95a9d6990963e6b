package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/audit"
)

// closeAfter is how long after a month's end it can be closed: requests that were dispatched in it still run. What takes longer is late, and
// goes to the next month's invoice.
const closeAfter = time.Hour

// Closing asks for a month to be closed.
type Closing struct {
	Month   string // YYYY-MM, UTC
	By      string // who closes it, for the invoices
	Confirm bool   // the clock is right, though it is further ahead than retention believes

	// WithoutDamaged closes it though some records cannot be read: nobody pays for those, ever.
	WithoutDamaged bool
}

// Closed is a month that is closed.
type Closed struct {
	Month    string
	At       time.Time
	By       string
	Already  bool // it was closed before
	Invoices []Invoice
	Damaged  []Damage // what could not be read when it was closed, and is on no invoice; only of a month that is closed now
}

// cut is where a closing separates what is on its invoices and earlier ones from what is not: records of its month and before, up to a number.
type cut struct{ month, upTo int64 }

func (c cut) holds(month, number int64) bool { return month <= c.month && number <= c.upTo }

// noCut is before the first closing.
var noCut = cut{math.MinInt64, 0}

// open is the first dispatch, in microseconds, of a month that is not closed.
func (c cut) open() int64 {
	if c == noCut {
		return math.MinInt64
	}
	return firstDay(c.month+1) * dayMicros
}

// CloseMonth closes a month: it makes one invoice for each organisation that has records which are on none yet, all at once. A month is closed
// when it has been over for an hour, after those before it, and once: closed again, it is given as it is. Mistakes are *InvalidErrors;
// a block that cannot be read is a *DamagedError, and nothing is closed, unless the closing is to do without.
func (l *Ledger) CloseMonth(ctx context.Context, c Closing) (*Closed, error) {
	month, err := parseMonth(c.Month)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(c.By) == "" {
		return nil, &InvalidError{"by", "it is empty; say who closes the month"}
	}
	if err := l.hasEnded(ctx, month, c.Confirm); err != nil {
		return nil, err
	}
	closed, err := l.closeMonth(ctx, month, &c)
	if err != nil {
		return nil, fmt.Errorf("closing %s: %w", c.Month, err)
	}
	if err := l.learnOpen(ctx); err != nil && ctx.Err() == nil {
		l.log.Warn("old usage records may be kept for an hour longer", "reason", err)
	}
	if !closed.Already {
		l.log.Info("a month is closed", "month", c.Month, "by", c.By, "invoices", len(closed.Invoices))
	}
	for _, d := range closed.Damaged {
		l.log.Error("usage records that cannot be read are on no invoice: nobody pays for them", "month", c.Month, "block", d.Block, "org", d.Org, "records", d.Records)
	}
	return closed, nil
}

// hasEnded reports, as an error, that a month cannot be closed yet by a clock that can be believed.
func (l *Ledger) hasEnded(ctx context.Context, month int64, confirm bool) error {
	now, ahead := l.clock.now()
	if confirm && ahead > 0 {
		now = now.Add(ahead)
		if err := l.keepClock(ctx, now); err != nil {
			return err
		}
		ahead = 0
	}
	from := time.UnixMicro(firstDay(month+1) * dayMicros).UTC().Add(closeAfter)
	if !now.Before(from) {
		return nil
	}
	if ahead > 0 && !now.Add(ahead).Before(from) {
		return &InvalidError{"confirm", fmt.Sprintf("the clock says %s, which is more than a day beyond what is known of the time, %s; confirm that it is right to close %s by it",
			now.Add(ahead).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), monthName(month))}
	}
	return &InvalidError{"month", fmt.Sprintf("%s can be closed from %s on: requests that were sent to an engine in it may still run", monthName(month), from.Format(time.RFC3339))}
}

// closeMonth computes a month's invoices from what is in the store, and keeps them in one transaction where nobody else has closed a month
// meanwhile. A crash leaves all of it or nothing.
func (l *Ledger) closeMonth(ctx context.Context, month int64, c *Closing) (*Closed, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	for {
		var (
			closed  *Closed
			drafts  drafts
			damages []Damage
			skip    func(*DamagedError) error
			s       = span{to: cut{month: month}}
		)
		if c.WithoutDamaged {
			skip = func(e *DamagedError) error { damages = append(damages, e.Damage); return nil }
		}
		err := l.read(ctx, "", func(v *view) (err error) {
			if closed, err = v.closed(ctx, month); closed != nil || err != nil {
				return err
			}
			if s.before, err = lastCut(ctx, v.tx); err != nil {
				return err
			}
			if err := v.inOrder(ctx, s.before, month); err != nil {
				return err
			}
			if s.to.upTo, err = lastNumber(ctx, v.tx); err != nil {
				return err
			}
			drafts, err = v.draft(ctx, "", s, skip)
			return err
		})
		if closed != nil || err != nil {
			return closed, err
		}
		closed = &Closed{Month: monthName(month), At: time.Now().UTC().Truncate(time.Microsecond), By: c.By, Damaged: damages}
		err = l.store.Write(ctx, func(tx *sql.Tx) error {
			ctx := context.WithoutCancel(ctx)
			if err := drafts.keep(ctx, tx, s.before, s.to, closed); err != nil {
				return err
			}
			return audit.Note(ctx, tx, closed.audited(c))
		})
		if !errors.Is(err, errOvertaken) {
			return closed, err
		}
	}
}

// errOvertaken says that another server has closed a month meanwhile.
var errOvertaken = errors.New("another month was closed meanwhile")

// lastCut gives the cut of the last closing; noCut where there is none.
func lastCut(ctx context.Context, db querier) (last cut, err error) {
	err = db.QueryRowContext(ctx, "SELECT month, up_to FROM closings ORDER BY month DESC LIMIT 1").Scan(&last.month, &last.upTo)
	if errors.Is(err, sql.ErrNoRows) {
		return noCut, nil
	}
	if err != nil {
		return cut{}, fmt.Errorf("looking for the last closing: %w", err)
	}
	return last, nil
}

// lastNumber is the greatest number that a record has, or had when a month was closed: numbers never fall, though retention deletes records.
func lastNumber(ctx context.Context, db querier) (number int64, err error) {
	for _, query := range []string{
		"SELECT seq + records - 1 FROM usage_blocks ORDER BY seq DESC LIMIT 1",
		"SELECT seq + records - 1 FROM usage_runs ORDER BY seq DESC LIMIT 1",
		"SELECT up_to FROM closings ORDER BY month DESC LIMIT 1",
	} {
		var n int64
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, fmt.Errorf("looking for the newest usage record: %w", err)
		}
		number = max(number, n)
	}
	return number, nil
}

// inOrder reports, as an error, that a month cannot be the next to be closed.
func (v *view) inOrder(ctx context.Context, last cut, month int64) error {
	if month <= last.month {
		return &InvalidError{"month", fmt.Sprintf("%s had no usage when %s was closed; what has come since is on a later invoice", monthName(month), monthName(last.month))}
	}
	var first sql.NullInt64
	if err := v.tx.QueryRowContext(ctx, "SELECT MIN(day) FROM usage_days WHERE day >= $1", floorDay(last.open())).Scan(&first); err != nil {
		return fmt.Errorf("looking for the first month that is not closed: %w", err)
	}
	if first.Valid && monthOf(first.Int64) < month {
		return &InvalidError{"month", fmt.Sprintf("months are closed in order, and %s is not closed yet", monthName(monthOf(first.Int64)))}
	}
	return nil
}

// closed gives a month that is closed; nil where it is not.
func (v *view) closed(ctx context.Context, month int64) (*Closed, error) {
	c := &Closed{Month: monthName(month), Already: true}
	var at int64
	err := v.tx.QueryRowContext(ctx, "SELECT closed_at, closed_by FROM closings WHERE month = $1", month).Scan(&at, &c.By)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a closing: %w", err)
	}
	c.At = time.UnixMicro(at).UTC()
	c.Invoices, err = queryInvoices(ctx, v.tx, "SELECT body FROM invoices WHERE month = $1 ORDER BY number", month)
	return c, err
}

func queryInvoices(ctx context.Context, db querier, query string, args ...any) (all []Invoice, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading invoices: %w", err)
	}
	defer rows.Close()
	all = []Invoice{}
	for rows.Next() {
		var body string
		var i Invoice
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &i); err != nil {
			return nil, fmt.Errorf("reading an invoice: %w", err)
		}
		all = append(all, i)
	}
	return all, rows.Err()
}

// audited is what the audit log keeps of a month that is being closed.
func (c *Closed) audited(asked *Closing) audit.Change {
	return audit.Change{
		Subject: "month/" + c.Month, Before: map[string]any{"state": "open"},
		After: map[string]any{
			"state": "closed", "closed_at": c.At, "closed_by": c.By, "invoices": len(c.Invoices),
			"without_damaged": asked.WithoutDamaged, "damaged": len(c.Damaged),
		},
	}
}
