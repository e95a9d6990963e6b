package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// What is on no invoice yet is kept, however old it is: an invoice that cannot be recomputed from its records is none.

// openMonths is what the ledger knows of the months that are not closed. It is learned at the start, each hour, and when a month is closed.
type openMonths struct {
	from     int64 // first dispatch that an open invoice may need, in microseconds; it and what follows is kept and listed
	overdue  int64 // months with usage that could be closed
	overlong bool  // something is kept for them that is older than the retention
}

// firstOpen is a day: what was dispatched on it or later may be on no invoice yet. MaxInt64 where everything is on one.
func firstOpen(ctx context.Context, db querier) (day int64, err error) {
	last, err := lastCut(ctx, db)
	if err != nil {
		return 0, err
	}
	day = math.MaxInt64
	for _, table := range []string{"usage_runs", "usage_blocks"} {
		var from sql.NullInt64
		err := db.QueryRowContext(ctx, "SELECT MIN(dispatched_from) FROM "+table+" WHERE dispatched_to >= $1 OR (seq + records > $2 AND "+
			"seq >= (SELECT COALESCE(MAX(seq), 0) FROM "+table+" WHERE seq <= $3))", last.open(), last.upTo+1, last.upTo).Scan(&from)
		if err != nil {
			return 0, fmt.Errorf("looking for the first usage record that is on no invoice: %w", err)
		}
		if from.Valid {
			day = min(day, floorDay(from.Int64))
		}
	}
	return day, nil
}

// beforeOpen gives a day, or the first that an open invoice may need where that is earlier.
func beforeOpen(ctx context.Context, db querier, day int64) (int64, error) {
	first, err := firstOpen(ctx, db)
	return min(day, first), err
}

// keptFrom gives a moment in microseconds, or the first that an open invoice may need where that is earlier.
func (l *Ledger) keptFrom(moment int64) int64 {
	if o := l.openMonths.Load(); o != nil {
		return min(moment, o.from)
	}
	return moment
}

// keepFrom notes days of records that have just come, and so are on no invoice.
func (l *Ledger) keepFrom(came days) {
	for k := range came {
		for {
			known := l.openMonths.Load()
			if known == nil || known.from <= k.day*dayMicros {
				break
			}
			o := *known
			o.from = k.day * dayMicros
			if l.openMonths.CompareAndSwap(known, &o) {
				break
			}
		}
	}
}

// learnOpen finds out what is not closed. Where that cannot be read, what is known stays.
func (l *Ledger) learnOpen(ctx context.Context) error {
	l.moving.Lock() // what comes meanwhile is noted behind this
	defer l.moving.Unlock()
	now, _ := l.clock.now()
	var o openMonths
	err := l.store.Read(ctx, func(tx *sql.Tx) error {
		first, err := firstOpen(ctx, tx)
		if err != nil {
			return err
		}
		o.from = math.MaxInt64
		if first < math.MaxInt64/dayMicros {
			o.from = first * dayMicros
		}
		o.overlong = o.from < now.Add(-l.retention).UnixMicro()
		last, err := lastCut(ctx, tx)
		if err != nil {
			return err
		}
		over := firstDay(monthOf(floorDay(now.Add(-closeAfter).UnixMicro()))) // months before this day's are over
		months, err := monthsWithUsage(ctx, tx, floorDay(last.open()), over)
		o.overdue = int64(len(months))
		return err
	})
	if err != nil {
		return err
	}
	before := l.openMonths.Swap(&o)
	if o.overlong && (before == nil || !before.overlong) {
		l.log.Warn("usage records are kept for longer than the retention, because their months are not closed (pilotlight invoice close)",
			"from", time.UnixMicro(o.from).UTC(), "months", o.overdue)
	}
	return nil
}

// OpenMonths lists the months with usage that are not closed, oldest first. The last of them may go on.
func (l *Ledger) OpenMonths(ctx context.Context) (months []string, err error) {
	last, err := lastCut(ctx, l.store.DB())
	if err != nil {
		return nil, err
	}
	all, err := monthsWithUsage(ctx, l.store.DB(), floorDay(last.open()), math.MaxInt64)
	for _, month := range all {
		months = append(months, monthName(month))
	}
	return months, err
}

// monthsWithUsage lists the months that have usage on a day from one on and before another.
func monthsWithUsage(ctx context.Context, db querier, from, before int64) (months []int64, err error) {
	for {
		var day sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT MIN(day) FROM usage_days WHERE day >= $1 AND day < $2", from, before).Scan(&day); err != nil {
			return nil, fmt.Errorf("looking for months that are not closed: %w", err)
		}
		if !day.Valid {
			return months, nil
		}
		months = append(months, monthOf(day.Int64))
		from = firstDay(monthOf(day.Int64) + 1)
	}
}
