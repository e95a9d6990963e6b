package ledger

import (
	"errors"
	"slices"
)

// batch is what one fsync makes durable: the records appended since the one before. What it has become is guarded by wal.syncing, the rest by wal.mu.
type batch struct {
	done    bool
	err     error
	records uint64
	steps   int // of the chain's, up to its last record
}

// pending gives the batch of the next fsync.
func (w *wal) pending() *batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.batch
}

// cutTries is how often in a row a cut is told, each time in another segment, before a disk is taken for dead.
const cutTries = 20

// sync makes a batch durable, or waits for whoever is at it. With Sync, a batch that fails was taken back when this returns, and so that a
// restart knows it. Only of a disk that takes nothing any more a restart may not know it; then the next segment that can be written tells it.
func (w *wal) sync(b *batch) error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if b.done {
		return b.err
	}
	err := w.fsync()
	for tries := 0; err != nil && w.certain && tries < cutTries; tries++ {
		err = w.fsync() // of what tells the cut
	}
	return b.err
}

// fsync makes durable what is in the log. w.syncing is held.
func (w *wal) fsync() error {
	b, segments, ends, newFiles := w.take()
	for _, s := range segments {
		b.err = errors.Join(b.err, s.file.Sync())
	}
	if newFiles {
		b.err = errors.Join(b.err, w.disk.SyncDir(w.dir))
	}
	b.done = true
	w.settle(b, segments, ends)
	return b.err
}

// take begins a new batch and says what the old one has to fsync.
func (w *wal) take() (b *batch, segments []*segment, ends []int64, newFiles bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, w.batch = w.batch, new(batch)
	b.steps = len(w.chain.steps)
	for _, s := range w.open {
		if s.end > s.synced {
			segments, ends = append(segments, s), append(ends, s.end)
		}
	}
	if len(segments) > 0 { // a new segment without records may be lost
		newFiles, w.newFiles = w.newFiles, false
	}
	return b, segments, ends, newFiles
}

// settle notes what was fsynced and closes what is complete. After a failed fsync, Linux takes the lost pages for clean and
// the next fsync of the same file would succeed: so nothing more goes into it. The mover still reads it from memory, but with Sync, whose
// records are taken back.
func (w *wal) settle(b *batch, segments []*segment, ends []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.newFiles = w.newFiles || b.err != nil
	if b.err != nil && w.certain {
		w.void(b.err)
		return
	}
	for i, s := range segments {
		s.synced = min(ends[i], s.end) // it may have been cut meanwhile
		if b.err != nil {
			w.fill(s)
		}
	}
	if w.certain {
		w.appended += b.records
		w.chain.keep(b.steps)
		w.untold = slices.DeleteFunc(w.untold, func(c cutoff) bool {
			return len(segments) > 0 && c.told != 0 && c.told <= segments[len(segments)-1].number
		})
	}
	w.open = slices.DeleteFunc(w.open, func(s *segment) bool {
		done := s != w.active() && s.synced == s.end
		if done {
			s.file.Close()
		}
		return done
	})
}

// void takes back all records that were not fsynced, whatever batch they are in.
func (w *wal) void(err error) {
	from := w.sure()
	w.batch.done, w.batch.err = true, err
	w.batch = new(batch)
	w.chain.back(0)
	w.takeBack(from)
}
