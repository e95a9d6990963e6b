package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
)

// end is a place after everything that can be in the log.
var end = place{math.MaxUint64, math.MaxInt64}

// flush moves everything that was appended before the call into the store. It goes on where an earlier call failed.
func (l *Ledger) flush(ctx context.Context) error {
	l.moving.Lock()
	defer l.moving.Unlock()
	to, appended := l.wal.extent()
	if to != l.moved {
		if err := l.moveTo(ctx, to); err != nil {
			return err
		}
	}
	l.movedRecords.Store(appended)
	return nil
}

// moveTo moves what lies between l.moved and a place, and removes the segments before that place: those are complete. They go in their order,
// because a segment that is left needs the next ones, which may say that it was cut.
func (l *Ledger) moveTo(ctx context.Context, to place) error {
	numbers, err := l.wal.numbers()
	if err != nil {
		return fmt.Errorf("listing the ledger's segments: %w", err)
	}
	left := false
	for _, n := range numbers {
		if n < l.moved.segment || n > to.segment { // moved, but could not be removed; or begun since
			continue
		}
		if err := l.moveSegment(ctx, n, to); err != nil {
			return fmt.Errorf("moving usage records of %s: %w", l.wal.path(n), err)
		}
		if n == to.segment || left {
			continue
		}
		if err := l.wal.disk.Remove(l.wal.path(n)); err != nil {
			left = true
			l.log.Error("cannot remove a segment of the ledger whose records are in the store", "reason", err)
		}
	}
	return nil
}

// removeAll removes all segments, whose records are in the store.
func (l *Ledger) removeAll() error {
	numbers, err := l.wal.numbers()
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := l.wal.disk.Remove(l.wal.path(n)); err != nil {
			return err
		}
	}
	return nil
}

// findCuts reads the cuts that the segments of former lives say.
func (l *Ledger) findCuts(numbers []uint64) error {
	for _, n := range numbers {
		if err := l.mover.read(l.wal, n, 0, math.MaxInt64); err != nil {
			return fmt.Errorf("reading %s: %w", l.wal.path(n), err)
		}
		for off := 0; ; {
			payload, _, end, ok, _ := nextFrame(l.mover.data, off)
			c, is := readCut(payload)
			if !ok || !is {
				break
			}
			if before, known := l.wal.cuts[c.segment]; known { // it was cut twice
				c.end = min(c.end, before)
			}
			l.wal.cuts[c.segment], off = c.end, end
		}
	}
	return nil
}

// moveSegment moves what is left of one segment, as far as it lies before a place, in one transaction.
func (l *Ledger) moveSegment(ctx context.Context, number uint64, to place) error {
	from, limit := int64(0), int64(math.MaxInt64)
	if number == l.moved.segment {
		from = l.moved.end
	}
	if number == to.segment {
		limit = to.end
	}
	m := &l.mover
	m.server = l.server
	if err := m.read(l.wal, number, from, limit); err != nil {
		return err
	}
	m.links.mends = number < l.wal.first
	err := l.store.Write(ctx, func(tx *sql.Tx) error {
		err := m.move(context.WithoutCancel(ctx), tx) // the driver starts a goroutine for a statement that can be cancelled; the transaction can be
		if err == nil && m.damage != nil {
			l.report(number, m.damage)
		}
		return err
	})
	if err == nil {
		l.keepFrom(m.days)
		l.reportMended(number, m.links.mended)
		l.moved = place{number, m.from + int64(len(m.data))}
		l.wal.forget(l.moved)
	}
	return err
}

// report tells of damage, and keeps the segment under another name for people to look at before its good records are moved
// and it is removed: a hard link, so that it is there whenever a crash comes. A last record that the end of a former process cut
// short is no damage: no Append has returned for it (or, with Async, a power cut took what was not yet fsynced).
func (l *Ledger) report(number uint64, damage error) {
	path := l.wal.path(number)
	if number < l.wal.first && !errors.Is(damage, errDamaged) {
		l.log.Warn("the end of a former process cut the last usage record of a segment short", "segment", path)
		return
	}
	aside := path + ".corrupt"
	err := l.wal.disk.Link(path, aside)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	l.log.Error("usage records may be lost: a segment of the ledger is damaged; its good records are kept",
		"segment", path, "copy", aside, "damage", damage.Error(), "copy_error", err)
}
