package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
)

// batchRecords bounds one transaction of the mover: long enough to pay for its fsync, short enough that others who write to
// the store hardly wait.
const batchRecords = 4000

// rowsPerInsert is how many records one statement inserts, far below SQLite's limit of 32,766 values.
const rowsPerInsert = 100

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

// moveTo moves what lies between l.moved and a place, and removes the segments before that place: those are complete.
func (l *Ledger) moveTo(ctx context.Context, to place) error {
	numbers, err := l.wal.numbers()
	if err != nil {
		return fmt.Errorf("listing the ledger's segments: %w", err)
	}
	for _, n := range numbers {
		if n < l.moved.segment || n > to.segment { // moved, but could not be removed; or begun since
			continue
		}
		if err := l.moveSegment(ctx, n, to); err != nil {
			return fmt.Errorf("moving usage records of %s: %w", l.wal.path(n), err)
		}
		if n == to.segment {
			continue
		}
		if err := os.Remove(l.wal.path(n)); err != nil {
			l.log.Error("cannot remove a segment of the ledger whose records are in the store", "error", err)
		}
	}
	return nil
}

// moveSegment moves what is left of one segment, as far as it lies before a place.
func (l *Ledger) moveSegment(ctx context.Context, number uint64, to place) error {
	from, limit := int64(0), int64(math.MaxInt64)
	if number == l.moved.segment {
		from = l.moved.end
	}
	if number == to.segment {
		limit = to.end
	}
	f, err := os.Open(l.wal.path(number))
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, from, limit-from))
	if err != nil {
		return err
	}
	return l.moveBytes(ctx, number, from, data)
}

// moveBytes moves the records in data, which begins at byte from of the segment.
func (l *Ledger) moveBytes(ctx context.Context, number uint64, from int64, data []byte) error {
	off, damage := 0, error(nil)
	if from == 0 {
		if off, damage = readHeader(data); errors.Is(damage, ErrNewer) {
			return damage
		}
	}
	for {
		records, next, err := readFrames(data, off)
		if errors.Is(err, ErrNewer) {
			return err
		}
		if damage = errors.Join(damage, err); damage != nil {
			l.report(number, damage)
			damage = nil
		}
		if err := l.insert(ctx, records); err != nil {
			return err
		}
		l.moved, off = place{number, from + int64(next)}, next
		if len(records) < batchRecords {
			return nil
		}
	}
}

// readHeader checks a segment's header and gives its length. A header cut short by a crash has nothing after it.
func readHeader(data []byte) (int, error) {
	switch {
	case len(data) < headerLen && bytes.HasPrefix(segmentHeader[:], data):
		return len(data), nil
	case len(data) < headerLen || !bytes.HasPrefix(data, segmentHeader[:headerLen-1]):
		return 0, fmt.Errorf("%w: no header at byte 0", errDamaged)
	case data[headerLen-1] > segmentVersion:
		return 0, fmt.Errorf("%w: a segment has version %d", ErrNewer, data[headerLen-1])
	}
	return headerLen, nil
}

// readFrames reads up to batchRecords records from off. next is where to go on: the end of data when fewer were left. The
// error tells of damaged bytes, which are skipped, or of a last frame that is cut short; or it is ErrNewer.
func readFrames(data []byte, off int) (records []Record, next int, err error) {
	for len(records) < batchRecords {
		payload, start, end, ok, damaged := nextFrame(data, off)
		if damaged {
			err = errors.Join(err, fmt.Errorf("%w from byte %d on", errDamaged, off))
		}
		if !ok && !damaged && off < len(data) {
			err = errors.Join(err, errCutShort)
		}
		if !ok {
			return records, len(data), err
		}
		r, decodeErr := decodePayload(payload)
		if errors.Is(decodeErr, ErrNewer) {
			return nil, off, decodeErr
		}
		if decodeErr != nil {
			err = errors.Join(err, fmt.Errorf("%w in the frame at byte %d", decodeErr, start))
		} else {
			records = append(records, r)
		}
		off = end
	}
	return records, off, err
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
	err := os.Link(path, aside)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	l.log.Error("usage records may be lost: a segment of the ledger is damaged; its good records are kept",
		"segment", path, "copy", aside, "damage", damage.Error(), "copy_error", err)
}

// insert puts records into the store. It drops those that the store has already, by their IDs.
func (l *Ledger) insert(ctx context.Context, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	return l.store.Write(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx) // the driver starts a goroutine for a statement that can be cancelled; the transaction can be
		full := len(records) - len(records)%rowsPerInsert
		if err := insertChunks(ctx, tx, records[:full]); err != nil {
			return err
		}
		return insertChunks(ctx, tx, records[full:])
	})
}

// insertChunks inserts records, rowsPerInsert with each run of one statement, or all at once where there are fewer.
func insertChunks(ctx context.Context, tx *sql.Tx, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	rows := min(rowsPerInsert, len(records))
	insert, err := tx.PrepareContext(ctx, insertRows(rows))
	if err != nil {
		return fmt.Errorf("preparing an insert: %w", err)
	}
	defer insert.Close()
	values := make([]any, 0, rows*(strings.Count(recordColumns, ",")+1))
	for some := range slices.Chunk(records, rows) {
		values = values[:0]
		for i := range some {
			values = some[i].appendColumns(values)
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return fmt.Errorf("inserting %d records from %s on: %w", len(some), some[0].ID, err)
		}
	}
	return nil
}
