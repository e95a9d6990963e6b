package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// segmentSize is where a segment is full. It bounds what a restart moves again: some four thousand records.
const segmentSize = 1 << 20

// place is a byte in the log: in a segment, after so many bytes.
type place struct {
	segment uint64
	end     int64
}

// segment is one file that this process has written.
type segment struct {
	number uint64
	id     string
	file   *os.File
	end    int64 // whole frames end here; what a failed write left behind it is overwritten
	synced int64 // fsynced up to here
}

// batch is what one fsync makes durable: the records appended since the one before. It is guarded by wal.syncing.
type batch struct {
	done bool
	err  error
}

// group is what one write(2) brings into the log: the records of requests that end at about the same time. The first to come
// writes for all. What follows is guarded by wal.mu until written is done.
type group struct {
	records uint64
	last    string // the greatest of their IDs
	batch   *batch
	err     error
	written sync.WaitGroup
}

// wal is the write-ahead log: append writes, sync makes durable, remove forgets. The mover reads the files by itself.
type wal struct {
	dir   string
	first uint64 // segment of this life

	// mu guards what follows. It is held across one write(2), against the rule of no lock across I/O: the write gives the
	// records their order, and a second file handle would not make the disk faster.
	mu       sync.Mutex
	open     []*segment // the last is the active one; those before wait for their fsync
	full     bool       // the active segment takes no more
	newFiles bool       // the directory is to be fsynced
	batch    *batch     // of the next fsync
	appended uint64     // records in this life
	doubtful string     // the last ID of which an Append failed that may have left the record in the log; "" = none
	closed   bool
	group    *group // of the next write; nil = nobody is about to write
	frames   []byte // its frames, in memory that tail goes on from
	tail     tail   // what is in the log and not yet in the store

	syncing sync.Mutex // one fsync at a time; those who wait for it find their batch done by it
}

// start opens the first segment of this life. Segments of former lives are never written to, so that nothing has to be cut.
func (w *wal) start(number uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first, w.batch = number, new(batch)
	return w.create(number)
}

// append writes one record and gives the batch whose fsync will make it durable. A write costs more than what is written, so
// whoever would write lets the goroutines that are ready to run go first: of a busy server some bring records of their own, on
// an idle one there are none.
func (w *wal) append(r *Record) (*batch, error) {
	g, first, err := w.join(r)
	switch {
	case err != nil:
		return nil, err
	case first:
		runtime.Gosched()
		w.write(g)
	default:
		g.written.Wait()
	}
	return g.batch, g.err
}

// join adds a record to the group of the next write.
func (w *wal) join(r *Record) (g *group, first bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.frames)
	w.frames = appendFrame(w.frames, r, r.ID <= w.doubtful || r.Kind == KindCorrection)
	if size := len(w.frames) - before; size > maxPayload+frameHeadLen {
		w.frames = w.frames[:before]
		return nil, false, &InvalidError{"record", fmt.Sprintf("it has %d bytes, more than %d", size, maxPayload)}
	}
	if first = w.group == nil; first {
		w.group = new(group)
		w.group.written.Add(1)
	}
	g = w.group
	g.records++
	g.last = max(g.last, r.ID)
	return g, first, nil
}

// write writes the group's frames, and tells those who wait for it.
func (w *wal) write(g *group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer g.written.Done()
	frames := w.frames
	w.group, w.frames = nil, frames[:0]
	if w.closed {
		g.err = ErrClosed
		return
	}
	s := w.active()
	if w.full || s.end > headerLen && s.end+int64(len(frames)) > segmentSize {
		if g.err = w.create(s.number + 1); g.err != nil {
			return
		}
		s = w.active()
	}
	if _, err := s.file.WriteAt(frames, s.end); err != nil {
		// A part may be there (disk full). The next write goes over it even if this cut fails too.
		w.doubtful = max(w.doubtful, g.last)
		g.err = errors.Join(err, s.file.Truncate(s.end))
		return
	}
	w.frames = w.tail.add(s, frames)
	s.end += int64(len(frames))
	w.appended += g.records
	g.batch = w.batch
}

// pending gives the batch of the next fsync.
func (w *wal) pending() *batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.batch
}

// doubt notes that a record may be in the log although its Append fails. All records up to its ID are then written as such
// that may be there twice: some more than need be, but one ID is remembered, however many fail.
func (w *wal) doubt(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doubtful = max(w.doubtful, id)
}

// sync makes a batch durable, or waits for whoever is at it.
func (w *wal) sync(b *batch) error {
	w.syncing.Lock()
	defer w.syncing.Unlock()
	if b.done {
		return b.err
	}
	segments, ends, newFiles := w.take()
	for _, s := range segments {
		b.err = errors.Join(b.err, s.file.Sync())
	}
	if newFiles {
		b.err = errors.Join(b.err, syncDir(w.dir))
	}
	b.done = true
	w.settle(segments, ends, b.err)
	return b.err
}

// take begins a new batch and says what the old one has to fsync.
func (w *wal) take() (segments []*segment, ends []int64, newFiles bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batch = new(batch)
	for _, s := range w.open {
		if s.end > s.synced {
			segments, ends = append(segments, s), append(ends, s.end)
		}
	}
	if len(segments) > 0 { // a new segment without records may be lost
		newFiles, w.newFiles = w.newFiles, false
	}
	return segments, ends, newFiles
}

// settle notes what was fsynced and closes what is complete. After a failed fsync, Linux takes the lost pages for clean and
// the next fsync of the same file would succeed: so nothing more goes into it. The mover still reads it from memory.
func (w *wal) settle(segments []*segment, ends []int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range segments {
		s.synced = ends[i]
		w.full = w.full || err != nil && s == w.active()
	}
	w.newFiles = w.newFiles || err != nil
	w.open = slices.DeleteFunc(w.open, func(s *segment) bool {
		done := s != w.active() && s.synced == s.end
		if done {
			s.file.Close()
		}
		return done
	})
}

// extent says where the log ends, and how many records this life has appended.
func (w *wal) extent() (place, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return place{w.active().number, w.active().end}, w.appended
}

// close closes the files. Nothing can be appended any more.
func (w *wal) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, s := range w.open {
		s.file.Close()
	}
}

func (w *wal) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *wal) active() *segment { return w.open[len(w.open)-1] }

// create begins a segment and makes it the active one.
func (w *wal) create(number uint64) error {
	f, err := os.OpenFile(w.path(number), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("beginning a segment: %w", err)
	}
	id := NewID()
	if _, err := f.Write(segmentHeader(id)); err != nil {
		return errors.Join(fmt.Errorf("beginning a segment: %w", err), f.Close(), os.Remove(f.Name()))
	}
	w.open = append(w.open, &segment{number: number, id: id, file: f, end: headerLen, synced: headerLen})
	w.full, w.newFiles = false, true
	return nil
}

const segmentSuffix = ".wal"

func (w *wal) path(number uint64) string {
	return filepath.Join(w.dir, fmt.Sprintf("%016x%s", number, segmentSuffix))
}

// numbers lists the segments in the directory, in order.
func (w *wal) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if number, err := strconv.ParseUint(digits, 16, 64); ok && err == nil && len(digits) == 16 {
			all = append(all, number)
		}
	}
	slices.Sort(all)
	return all, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
