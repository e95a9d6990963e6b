package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"
)

// clockSlack is by how much the clock may be ahead of what is known of the time before it is not believed.
const clockSlack = 24 * time.Hour

// The clock's reading is kept in the store, as a setting, while it is believed.
const clockScope, clockName = "ledger", "clock"

// clock says how late it is to whoever deletes by age. A clock that jumps ahead, by a mistyped date or a dead battery, must not delete
// records: it is believed only up to a day beyond what is known, which is when it was believed last (after a start: in a former life, or else the
// newest record's dispatch), and what has passed since on the monotonic clock.
type clock struct {
	mu    sync.Mutex
	known time.Time // zero: nothing is known, and any time is believed
	noted time.Time // when known was; has a monotonic reading
}

// now gives the time by which to delete and to hide records: the clock's, or what is known where that is ahead.
func (c *clock) now() (now time.Time, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := time.Now()
	if c.known.IsZero() {
		return wall, 0
	}
	expected := c.known.Add(wall.Sub(c.noted))
	if ahead := wall.Round(0).Sub(expected); ahead > clockSlack {
		return expected, ahead
	}
	return wall, 0
}

// believe notes a time as known. It never goes back: a clock that is late deletes nothing.
func (c *clock) believe(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.known.IsZero() || t.Round(0).After(c.known.Add(now.Sub(c.noted))) {
		c.known, c.noted = t.Round(0), now
	}
}

// ClockError says that this machine's clock is further ahead of what is known than retention believes.
type ClockError struct {
	Clock, Known time.Time
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock says %s, which is more than a day beyond what is known of the time, %s; no usage records are deleted by it unless it is confirmed",
		e.Clock.UTC().Format(time.RFC3339), e.Known.UTC().Format(time.RFC3339))
}

// Prune has the records that are older than the retention deleted, now instead of within the hour, and gives the time before which they were
// dispatched: what is on no invoice yet stays. It does not wait for that. The error is a *ClockError where the clock is not believed; confirm believes it.
func (l *Ledger) Prune(ctx context.Context, confirm bool) (before time.Time, err error) {
	now, ahead := l.clock.now()
	if ahead > 0 {
		wall := now.Add(ahead)
		if !confirm {
			return time.Time{}, &ClockError{wall, now}
		}
		l.log.Warn("the clock is confirmed; retention goes by it", "clock", wall, "known", now)
		now = wall
	}
	if err := l.keepClock(ctx, now); err != nil {
		return time.Time{}, err
	}
	signal(l.pruning)
	return time.UnixMicro(floorDay(l.keptFrom(now.Add(-l.retention).UnixMicro())) * dayMicros).UTC(), nil
}

// keepClock believes a time, in this life and the next.
func (l *Ledger) keepClock(ctx context.Context, now time.Time) error {
	if err := l.store.SaveSetting(ctx, clockScope, clockName, now.UTC().Format(time.RFC3339)); err != nil {
		return fmt.Errorf("keeping the clock's reading: %w", err)
	}
	l.clock.believe(now)
	return nil
}

// recallClock finds out what is known of the time.
func (l *Ledger) recallClock(ctx context.Context) error {
	settings, err := l.store.Settings(ctx, clockScope)
	if err != nil {
		return err
	}
	if kept, err := time.Parse(time.RFC3339, settings[clockName]); err == nil {
		l.clock.believe(kept)
		return nil
	}
	var newest sql.NullInt64
	err = l.store.DB().QueryRowContext(ctx, `SELECT MAX(dispatched_to) FROM (SELECT MAX(dispatched_to) AS dispatched_to FROM usage_runs
		UNION ALL SELECT MAX(dispatched_to) FROM usage_blocks) AS newest`).Scan(&newest)
	if err != nil {
		return fmt.Errorf("looking for the newest usage record: %w", err)
	}
	if newest.Valid {
		l.clock.believe(time.UnixMicro(newest.Int64).UTC())
	}
	return nil
}
