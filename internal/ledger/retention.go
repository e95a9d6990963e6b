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

// retentionLoop deletes records that are older than the retention: at the start, then each hour.
func (l *Ledger) retentionLoop(ctx context.Context) {
	for {
		if err := l.prune(ctx, floorDay(l.oldest())); err != nil && ctx.Err() == nil {
			l.log.Error("deleting old usage records failed; trying again in an hour", "error", err)
		}
		if !pause(ctx, retentionEvery) {
			return
		}
	}
}

// oldest is the first dispatch, in microseconds, whose record is kept. Older ones are in no list.
func (l *Ledger) oldest() int64 { return time.Now().Add(-l.retention).UnixMicro() }

// prune deletes the sums of the days before a day, then the blocks whose records are all of these days. Never does it delete a
// block of a day whose sums it keeps: were the block's segment moved again, that day would count it twice.
func (l *Ledger) prune(ctx context.Context, day int64) error {
	err := l.store.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.WithoutCancel(ctx), "DELETE FROM usage_days WHERE day < ?", day)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting old sums of usage: %w", err)
	}
	for {
		more := false
		err := l.store.Write(ctx, func(tx *sql.Tx) (err error) {
			more, err = l.pruneBlocks(context.WithoutCancel(ctx), tx, day*dayMicros)
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

// pruneBlocks deletes some blocks whose records were dispatched before a moment. It gives false when there are no more.
func (l *Ledger) pruneBlocks(ctx context.Context, tx *sql.Tx, before int64) (more bool, err error) {
	for n := int64(0); n < retentionBatch; {
		var seq, records int64
		var data []byte
		err := tx.QueryRowContext(ctx, "SELECT seq, records, data FROM usage_blocks WHERE dispatched_to < ? ORDER BY dispatched_to LIMIT 1", before).
			Scan(&seq, &records, &data)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if err := l.deleteBlock(ctx, tx, seq, data); err != nil {
			return false, err
		}
		n += records
	}
	return true, nil
}

// deleteBlock deletes a block and its keys. Which keys it has, its records say.
func (l *Ledger) deleteBlock(ctx context.Context, tx *sql.Tx, seq int64, data []byte) error {
	b := newBlock()
	unreadable := eachRecord(seq, data, func(_ int64, f *rawFields) bool {
		b.note(f)
		return true
	})
	for _, key := range b.keys() {
		if _, err := tx.ExecContext(ctx, "DELETE FROM usage_keys WHERE key = ? AND seq = ?", key, seq); err != nil {
			return err
		}
	}
	if unreadable != nil {
		l.log.Error("deleting old usage records that cannot be read", "error", unreadable)
		if _, err := tx.ExecContext(ctx, "DELETE FROM usage_keys WHERE seq = ?", seq); err != nil { // reads the whole table
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM usage_blocks WHERE seq = ?", seq)
	return err
}
