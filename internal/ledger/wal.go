package ledger

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// group is what one write(2) brings into the log: the records of requests that end at about the same time. The first to come
// writes for all. What follows is guarded by wal.mu until written is done.
type group struct {
	records uint64
	claimed int64 // room for records that need more than a claim's
	batch   *batch
	err     error
	written sync.WaitGroup
}

// wal is the write-ahead log: append writes, sync makes durable. The mover reads the files by itself.
//
// What is in the log for certain, so that queries and the mover take it for true, is what was written, or with Sync what was fsynced. What fails
// before is taken back, and nobody ever sees or pays it: the log is cut there.
type wal struct {
	dir     string
	disk    Disk
	certain bool   // with Sync: a record is kept once it is fsynced, else once it is written
	first   uint64 // segment of this life

	room    atomic.Int64 // what records may take of the segments that are allocated, in bytes
	claimed atomic.Int64 // so many of them are claimed for requests in flight

	// mu guards what follows. It is held across one write(2), against the rule of no lock across I/O: the write gives the
	// records their order, and a second file handle would not make the disk faster.
	mu       sync.Mutex
	open     []*segment // the last is the active one; those before wait for their fsync
	spares   []*segment // allocated, and to be used in this order
	next     uint64     // number of the next segment to be allocated
	newFiles bool       // the directory is to be fsynced
	batch    *batch     // of the next fsync
	appended uint64     // records in this life that are in the log for certain
	closed   bool
	group    *group // of the next write; nil = nobody is about to write
	frames   []byte // its frames, in memory that tail goes on from
	tail     tail   // what is in the log and not yet in the store
	chain    chain
	cuts     map[string]int64 // segment's ID -> where what counts of it ends, of former lives too
	untold   []cutoff         // that the log does not say for certain

	syncing sync.Mutex // one fsync at a time; those who wait for it find their batch done by it
}

// start opens the first segment of this life. Segments of former lives are never written to, so that nothing has to be cut.
func (w *wal) start(number uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first, w.next, w.batch = number, number, new(batch)
	return w.rotate()
}

// append writes one record and gives the batch whose fsync will make it durable. A write costs more than what is written, so
// whoever would write lets the goroutines that are ready to run go first: of a busy server some bring records of their own, on
// an idle one there are none. After an error the record was taken back.
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

// join adds a record to the group of the next write, and to its organisation's chain.
func (w *wal) join(r *Record) (g *group, first bool, err error) {
	l := links.Get().(*link)
	defer links.Put(l)
	r.Chain = w.chain.id
	l.begin(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chain.add(r, l)
	before := len(w.frames)
	w.frames = appendFrame(w.frames, r, r.Kind == KindCorrection)
	size := len(w.frames) - before
	var more int64
	if size > recordRoom {
		more, err = w.claimMore(size)
	}
	if err != nil {
		w.frames = w.frames[:before]
		w.chain.back(len(w.chain.steps) - 1)
		return nil, false, err
	}
	if first = w.group == nil; first {
		w.group = new(group)
		w.group.written.Add(1)
	}
	g = w.group
	g.records++
	g.claimed += more
	return g, first, nil
}

// claimMore claims room for a record that needs more than others, and for what it may leave unused at a segment's end. w.mu is held.
func (w *wal) claimMore(size int) (claimed int64, err error) {
	if size > maxPayload+frameHeadLen {
		return 0, &InvalidError{"record", fmt.Sprintf("it has %d bytes, more than %d", size, maxPayload)}
	}
	claimed = 2 * int64(size)
	w.claimed.Add(claimed)
	if err := w.grow(); err != nil {
		w.claimed.Add(-claimed)
		return 0, err
	}
	return claimed, nil
}

// write writes the group's frames, and tells those who wait for it.
func (w *wal) write(g *group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer g.written.Done()
	w.claimed.Add(-g.claimed)
	if g.err != nil { // it was to come behind what has been taken back
		return
	}
	frames := w.frames
	w.group, w.frames = nil, frames[:0]
	if w.closed {
		g.err = ErrClosed
		w.chain.back(w.chain.written)
		return
	}
	if g.err = w.put(frames); g.err != nil {
		return
	}
	g.batch = w.batch
	g.batch.records += g.records
	w.chain.written = len(w.chain.steps)
	if !w.certain {
		w.chain.keep(w.chain.written)
		w.appended += g.records
	}
}

// put writes frames, into each segment as many as it has room for. Of what it cannot write whole nothing stays.
func (w *wal) put(frames []byte) error {
	from := place{w.active().number, w.active().end}
	for len(frames) > 0 {
		s := w.active()
		n := 0
		if !s.full {
			n = fitting(frames, segmentSize-int(s.end))
		}
		var err error
		if n == 0 {
			err = w.rotate()
		} else if _, err = s.file.WriteAt(frames[:n], s.end); err == nil {
			w.frames = w.tail.add(s, frames[:n])
			w.advance(s, n)
			frames = frames[n:]
		}
		if err != nil {
			w.takeBack(from)
			w.chain.back(w.chain.written)
			return err
		}
	}
	return nil
}

// takeBack cuts the log at a place, of which it may have more than is known, and begins a segment that says so. Where that cannot be, the next
// that can be begun says it.
func (w *wal) takeBack(from place) {
	for _, s := range w.open {
		switch {
		case s.number == from.segment:
			w.cutAt(s, from.end)
		case s.number > from.segment:
			w.cutAt(s, s.begin)
		}
	}
	w.tail.cut(from)
	if err := w.rotate(); err == nil {
		w.grow() // what the cut has left unused; without it, Reserve refuses
	}
}

// extent says up to where the log is certain, and how many records of this life that are.
func (w *wal) extent() (place, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sure(), w.appended
}

// sure says up to where the log is certain. w.mu is held.
func (w *wal) sure() place {
	if w.certain {
		for _, s := range w.open {
			if s.synced < s.end {
				return place{s.number, s.synced}
			}
		}
	}
	return place{w.active().number, w.active().end}
}

// close closes the files. Nothing can be appended any more.
func (w *wal) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, all := range [][]*segment{w.open, w.spares} {
		for _, s := range all {
			s.file.Close()
		}
	}
}

func (w *wal) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}
