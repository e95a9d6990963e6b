package ledger

import (
	"errors"
	"fmt"
)

// Append writes one record to the log, with a write(2) done when it returns; with Sync, it is fsynced too. It fills
// r's ID, kind and cost where they are empty, cuts its times to microseconds, and puts it at the end of its organisation's chain. After an error
// the record is not kept, and nobody pays it; the same record may be appended again. The error is ErrNoRoom where the disk is full.
func (l *Ledger) Append(r *Record) error {
	room, err := l.Reserve()
	if err != nil {
		return fmt.Errorf("appending a usage record: %w", err)
	}
	defer room.Release()
	return l.append(r)
}

// append is Append where there is room.
func (l *Ledger) append(r *Record) error {
	r.complete()
	b, err := l.wal.append(r)
	if l.durability == Sync {
		if err != nil {
			b = l.wal.pending() // which tells the disk that the record was taken back
		}
		err = errors.Join(err, l.wal.sync(b))
	}
	if err != nil {
		return fmt.Errorf("appending usage record %s: %w", r.ID, err)
	}
	l.meters.count(r)
	signal(l.written)
	if l.durability != Sync {
		signal(l.unsynced)
	}
	return nil
}

// Room is a place in the log for one record, taken before there is a record: Append then cannot fail for want of it. The zero value is none.
type Room struct {
	l *Ledger
}

// Reserve takes a place for a record. The error is ErrNoRoom where the disk is full. It is meant for each request, before anybody works for it:
// it waits for nothing, but once in thousands for a segment to be allocated.
func (l *Ledger) Reserve() (Room, error) {
	err := l.wal.claim(recordRoom)
	if err != nil && !l.crowded.Swap(true) && !errors.Is(err, ErrClosed) {
		l.log.Error("requests are refused: the ledger has no room to record them", "reason", err)
	}
	if err != nil {
		return Room{}, err
	}
	if l.crowded.Load() && l.crowded.Swap(false) {
		l.log.Info("the ledger has room to record requests again")
	}
	return Room{l}, nil
}

// Append is Ledger.Append, into the place that was taken.
func (r *Room) Append(record *Record) error { return r.l.append(record) }

// Release gives the place back, whether a record was appended or not. It may be called again.
func (r *Room) Release() {
	if r.l != nil {
		r.l.wal.claimed.Add(-recordRoom)
		r.l = nil
	}
}
