package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segmentSize is what a segment takes of the disk from its beginning on. It bounds what a restart moves again: some four thousand records.
const segmentSize = 1 << 20

const segmentSuffix = ".wal"

// place is a byte in the log: in a segment, after so many bytes.
type place struct {
	segment uint64
	end     int64
}

// segment is one file that this process has made. Behind end it has zeros, or what a failed write left.
type segment struct {
	number uint64
	id     string
	file   File
	begin  int64 // records begin here, behind the header and cuts
	end    int64 // whole frames end here
	synced int64 // fsynced up to here
	full   bool  // nothing more goes into it
}

// room is how much of the segment records may take. Each fits in it whole as long as there is any, for the last may be longer.
func (s *segment) room() int64 {
	if s.full {
		return 0
	}
	return max(0, segmentSize-recordRoom-s.end)
}

// cutoff says that of a segment nothing behind a byte counts: its records were taken back, because their write or, with Sync, their fsync failed
// and their answers were withheld. The next segment begins with it, so that the next start knows it too.
type cutoff struct {
	segment string // ID
	end     int64
	told    uint64 // number of the last segment that says so; 0 = none
}

// cutVersion is where a payload has its version: one that is no record, but a cut.
const cutVersion = 3

// appendCut appends a cut's frame.
func appendCut(b []byte, c cutoff) []byte {
	start := len(b)
	b = append(beginFrame(b), cutVersion)
	b = binary.AppendVarint(b, c.end)
	return sealFrame(append(b, c.segment...), start)
}

// readCut reads a payload that may be a cut.
func readCut(payload []byte) (c cutoff, is bool) {
	if len(payload) == 0 || payload[0] != cutVersion {
		return cutoff{}, false
	}
	in := reader{data: payload[1:]}
	c.end = in.number()
	c.segment = string(in.data)
	return c, !in.failed
}

func (w *wal) path(number uint64) string {
	return filepath.Join(w.dir, fmt.Sprintf("%016x%s", number, segmentSuffix))
}

// numbers lists the segments in the directory, in order.
func (w *wal) numbers() ([]uint64, error) {
	names, err := w.disk.List(w.dir)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, segmentSuffix)
		if number, err := strconv.ParseUint(digits, 16, 64); ok && err == nil && len(digits) == 16 {
			all = append(all, number)
		}
	}
	slices.Sort(all)
	return all, nil
}

// allocate makes another segment. w.mu is held, though this is I/O: the segments' numbers are the records' order, and it happens once in thousands.
func (w *wal) allocate() error {
	if w.closed {
		return ErrClosed
	}
	path := w.path(w.next)
	w.next++
	f, err := w.disk.Create(path, segmentSize)
	if err != nil {
		return fmt.Errorf("allocating a segment: %w", err)
	}
	id := NewID()
	if _, err := f.WriteAt(segmentHeader(id), 0); err != nil {
		return errors.Join(fmt.Errorf("beginning a segment: %w", err), f.Close(), w.disk.Remove(path))
	}
	s := &segment{number: w.next - 1, id: id, file: f, begin: headerLen, end: headerLen, synced: headerLen}
	w.spares, w.newFiles = append(w.spares, s), true
	w.room.Add(s.room())
	return nil
}

// rotate makes the next segment the active one. It begins with the cuts that are not certain to be known.
func (w *wal) rotate() error {
	if len(w.spares) == 0 {
		if err := w.allocate(); err != nil {
			return err
		}
	}
	if len(w.open) > 0 {
		w.fill(w.active())
	}
	s := w.spares[0]
	w.spares = w.spares[1:]
	var told []byte
	for _, c := range w.untold {
		told = appendCut(told, c)
	}
	if len(told) > 0 {
		if _, err := s.file.WriteAt(told, s.end); err != nil {
			w.fill(s)
			return errors.Join(fmt.Errorf("beginning a segment: %w", err), s.file.Close())
		}
	}
	for i := range w.untold {
		w.untold[i].told = s.number
	}
	if !w.certain {
		w.untold = w.untold[:0]
	}
	w.advance(s, len(told))
	s.begin = s.end
	w.open = append(w.open, s)
	return nil
}

// advance notes that so many bytes were written to a segment.
func (w *wal) advance(s *segment, bytes int) {
	before := s.room()
	s.end += int64(bytes)
	w.room.Add(s.room() - before)
}

// fill has nothing more written to a segment.
func (w *wal) fill(s *segment) {
	w.room.Add(-s.room())
	s.full = true
}

func (w *wal) active() *segment { return w.open[len(w.open)-1] }

// cutAt takes back what lies behind a byte of a segment.
func (w *wal) cutAt(s *segment, end int64) {
	w.fill(s)
	s.end, s.synced = end, min(s.synced, end)
	c := cutoff{segment: s.id, end: end}
	w.cuts[c.segment] = c.end
	w.untold = append(w.untold, c)
}

// cutOf says where what counts of a segment ends; false = nothing of it was taken back.
func (w *wal) cutOf(segment string) (end int64, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end, is = w.cuts[segment]
	return end, is
}
