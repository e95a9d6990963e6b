package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	retentionEvery = time.Hour
	retentionBatch = 4000                  // records of one transaction, or one block
	retentionPause = 10 * time.Millisecond // between batches, so that the mover is not kept waiting
)

// retentionLoop adds days that are over to their months, and deletes records that are older than the retention: at the start, then each hour,
// and when it is asked to.
func (l *Ledger) retentionLoop(ctx context.Context) {
	for {
		now := l.retentionTime(ctx)
		if err := l.finishCorrections(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("a correction is noted, but not made yet; trying again in an hour", "reason", err)
		}
		if err := l.learnOpen(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("cannot find out which months are not closed; trying again in an hour", "reason", err)
		}
		if err := l.sumMonths(ctx, floorDay(time.Now().UnixMicro())); err != nil && ctx.Err() == nil {
			l.log.Error("queries of months take longer; trying again in an hour", "reason", err)
		}
		if err := l.prune(ctx, floorDay(now.Add(-l.retention).UnixMicro())); err != nil && ctx.Err() == nil {
			l.log.Error("deleting old usage records failed; trying again in an hour", "reason", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.pruning:
		case <-time.After(retentionEvery):
		}
	}
}

// retentionTime gives the time by which to delete, and says once when that is not the clock's and the clock would delete something.
func (l *Ledger) retentionTime(ctx context.Context) time.Time {
	now, ahead := l.clock.now()
	if ahead > 0 {
		if l.hasBefore(ctx, now.Add(ahead-l.retention)) && !l.held.Swap(true) {
			l.log.Error("retention does not believe the clock, which may have jumped: it deletes no usage records by it until it is confirmed (pilotlight store prune --confirm)",
				"clock", now.Add(ahead), "known", now)
		}
		return now
	}
	if l.held.Swap(false) {
		l.log.Info("retention goes by the clock again")
	}
	if err := l.keepClock(ctx, now); err != nil && ctx.Err() == nil {
		l.log.Warn("the next start may not believe the clock", "reason", err)
	}
	return now
}

// hasBefore reports whether there are sums of days before that of a moment, which go first. Where that cannot be read, there may be.
func (l *Ledger) hasBefore(ctx context.Context, moment time.Time) bool {
	var day sql.NullInt64
	if err := l.store.DB().QueryRowContext(ctx, "SELECT MIN(day) FROM usage_days").Scan(&day); err != nil {
		return true
	}
	before, err := beforeOpen(ctx, l.store.DB(), floorDay(moment.UnixMicro()))
	return err != nil || day.Valid && day.Int64 < before
}

// oldest is the first dispatch, in microseconds, whose record is kept. Older ones are in no list.
func (l *Ledger) oldest() int64 {
	now, _ := l.clock.now()
	return l.keptFrom(now.Add(-l.retention).UnixMicro())
}

// prune deletes the sums of the days before a day, then the blocks and runs whose records are all of these days, but nothing that is on no
// invoice yet. Never does it delete what
// says that a stretch of the log is there of a day whose sums it keeps: were the segment moved again, that day would count it twice.
func (l *Ledger) prune(ctx context.Context, day int64) error {
	if err := l.pruneDays(ctx, day); err != nil {
		return fmt.Errorf("deleting old sums of usage: %w", err)
	}
	for {
		more := false
		err := l.store.Write(ctx, func(tx *sql.Tx) (err error) {
			more, err = l.pruneSome(context.WithoutCancel(ctx), tx, day)
			return err
		})
		if err != nil {
			return fmt.Errorf("deleting old usage records: %w", err)
		}
		if !more || !pause(ctx, retentionPause) {
			return nil
		}
	}
}

// pruneSome deletes some blocks and runs whose records were dispatched before a day, and in the end what is known of their segments. It
// gives false when there are no more.
func (l *Ledger) pruneSome(ctx context.Context, tx *sql.Tx, day int64) (more bool, err error) {
	if day, err = beforeOpen(ctx, tx, day); err != nil {
		return false, err
	}
	before := day * dayMicros
	const oldest = "SELECT seq, records FROM %s WHERE dispatched_to < $1 ORDER BY dispatched_to LIMIT 1"
	for n := int64(0); n < retentionBatch; {
		s := shelf{run: true}
		err := tx.QueryRowContext(ctx, fmt.Sprintf(oldest, "usage_runs"), before).Scan(&s.seq, &s.records)
		if errors.Is(err, sql.ErrNoRows) {
			s.run = false
			err = tx.QueryRowContext(ctx, fmt.Sprintf(oldest, "usage_blocks"), before).Scan(&s.seq, &s.records)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return false, execAll(ctx, tx, before, "DELETE FROM usage_extents WHERE dispatched_to < $1", "DELETE FROM corrections WHERE dispatched_at < $1")
		}
		if err != nil {
			return false, err
		}
		if err := l.pruneShelf(ctx, tx, &s); err != nil {
			return false, err
		}
		n += s.records
	}
	return true, nil
}

// pruneShelf deletes a block or run, and the keys that lead to it. Which these are, its records say.
func (l *Ledger) pruneShelf(ctx context.Context, tx *sql.Tx, s *shelf) error {
	b := newBlock()
	var unreadable error
	err := readPieces(ctx, tx, sink{
		record: func(_ numbered, r *rawFields) bool {
			b.note(r)
			note(b.ids, idStart(r.texts[fieldID], idPrefixBefore))
			return true
		},
		damaged: func(e *DamagedError) error { unreadable = e; return nil },
	}, s.pieces(), s.seq)
	if err != nil {
		return err
	}
	for _, key := range b.keys() {
		if _, err := tx.ExecContext(ctx, "DELETE FROM usage_keys WHERE key = $1 AND seq >= $2 AND seq < $3", key, s.seq, s.seq+s.records); err != nil {
			return err
		}
	}
	if unreadable != nil {
		l.log.Error("deleting old usage records that cannot be read", "reason", unreadable)
		if _, err := tx.ExecContext(ctx, "DELETE FROM usage_keys WHERE seq >= $1 AND seq < $2", s.seq, s.seq+s.records); err != nil { // reads the whole table
			return err
		}
	}
	if s.run {
		return execAll(ctx, tx, s.seq, "DELETE FROM usage_parts WHERE seq = $1", "DELETE FROM usage_runs WHERE seq = $1")
	}
	return execAll(ctx, tx, s.seq, "DELETE FROM usage_blocks WHERE seq = $1")
}
