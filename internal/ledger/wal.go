package ledger

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// group is what one write(2) brings into the log: the records of requests that end at about the same time. The first to come
// hashes, encodes and writes for all: one after the other they take less of the CPU than each between two requests. What a group has become is its
// writer's to say until written is done.
type group struct {
	records []*Record // guarded by wal.joining, as is claimed, until the writer comes
	claimed int64     // room for records that need more than a claim's

	few [8]*Record // memory for records

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

	joining sync.Mutex // guards group, and is taken behind mu
	group   *group     // of the next write; nil = nobody is about to write

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
	frames   []byte // memory for the next frames, that tail goes on from
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
// whoever would write lets the goroutines that are ready to run go first: of a busy server some bring records of their own.
// Who is alone goes ahead, for giving way would wake an idle processor for nothing. After an error the record was taken back.
func (w *wal) append(r *Record) (*batch, error) {
	claimed, err := w.claimFor(r)
	if err != nil {
		return nil, err
	}
	g, first := w.join(r, claimed)
	if first {
		if w.claimed.Load() > recordRoom+claimed {
			runtime.Gosched()
		}
		w.write(g)
	} else {
		g.written.Wait()
	}
	return g.batch, g.err
}

// join adds a record to the group of the next write, which the first to join has to do.
func (w *wal) join(r *Record, claimed int64) (g *group, first bool) {
	w.joining.Lock()
	defer w.joining.Unlock()
	if first = w.group == nil; first {
		w.group = new(group)
		w.group.records = w.group.few[:0]
		w.group.written.Add(1)
	}
	g = w.group
	g.records = append(g.records, r)
	g.claimed += claimed
	return g, first
}

// disband has whoever comes from now on join another group, and gives this one's records.
func (w *wal) disband(g *group) []*Record {
	w.joining.Lock()
	defer w.joining.Unlock()
	w.group = nil
	return g.records
}

// write writes the group's records, each at the end of its organisation's chain, and tells those who wait for it.
func (w *wal) write(g *group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer g.written.Done()
	records := w.disband(g)
	w.claimed.Add(-g.claimed)
	if w.closed {
		g.err = ErrClosed
		return
	}
	steps := len(w.chain.steps)
	frames := w.frames
	for _, r := range records {
		w.chain.add(r)
		frames = appendFrame(frames, r, r.Kind == KindCorrection)
	}
	w.frames = frames[:0]
	if g.err = w.put(frames); g.err != nil {
		w.chain.back(steps)
		return
	}
	g.batch = w.batch
	g.batch.records += uint64(len(records))
	if !w.certain {
		w.chain.keep(len(w.chain.steps))
		w.appended += uint64(len(records))
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
