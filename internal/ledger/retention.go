package ledger

import (
	"context"
	"fmt"
	"time"
)

const (
	retentionEvery = time.Hour
	retentionBatch = 1000
	retentionPause = 10 * time.Millisecond // between batches, so that the mover is not kept waiting
)

// retentionLoop deletes records that are older than the retention: at the start, then each hour.
func (l *Ledger) retentionLoop(ctx context.Context) {
	for {
		if err := l.prune(ctx, time.Now().Add(-l.retention)); err != nil && ctx.Err() == nil {
			l.log.Error("deleting old usage records failed; trying again in an hour", "error", err)
		}
		if !pause(ctx, retentionEvery) {
			return
		}
	}
}

// prune deletes the records that were dispatched before a moment, some at a time.
func (l *Ledger) prune(ctx context.Context, before time.Time) error {
	for {
		result, err := l.store.DB().ExecContext(ctx, `DELETE FROM usage_records WHERE seq IN
			(SELECT seq FROM usage_records WHERE dispatched_at < ? LIMIT ?)`, before.UnixMicro(), retentionBatch)
		if err != nil {
			return fmt.Errorf("deleting old usage records: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n < retentionBatch {
			return err
		}
		if !pause(ctx, retentionPause) {
			return nil
		}
	}
}
