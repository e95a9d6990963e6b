package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
)

const (
	arenaSize  = 64 << 10 // memory for frames is taken so much at a time
	arenaLeast = 2 << 10  // a rest of less is left
	tailMemory = 64 << 20 // tail.limit
)

// stretch is a part of a segment, whole frames. Its bytes never change, so that whoever has a copy may read on.
type stretch struct {
	segment uint64
	id      string // of the segment
	extent
	frames []byte // nil = only in the file
}

// tail is what is in the log and not yet in the store, oldest first. Queries answer from it, so that they need move nothing. A
// store that cannot be written to lets it grow, but not its memory.
type tail struct {
	stretches []stretch
	memory    int64
	limit     int64 // of memory; the oldest frames above it are read from the log when they are asked for
}

// add takes frames that were written to the end of a segment, and gives the memory behind them for the next.
func (t *tail) add(s *segment, frames []byte) (rest []byte) {
	added := extent{s.end, s.end + int64(len(frames))}
	last := len(t.stretches) - 1
	if last >= 0 && t.stretches[last].segment == s.number && t.stretches[last].end == added.start && continues(t.stretches[last].frames, frames) {
		to := &t.stretches[last]
		to.end, to.frames = added.end, to.frames[:len(to.frames)+len(frames)]
	} else {
		t.stretches = append(t.stretches, stretch{s.number, s.id, added, frames[: len(frames) : len(frames)+spare(frames)]})
	}
	t.memory += int64(len(frames))
	for i := 0; t.memory > t.limit && i < len(t.stretches)-1; i++ {
		t.memory -= int64(len(t.stretches[i].frames))
		t.stretches[i].frames = nil
	}
	if rest = frames[len(frames):]; cap(rest) < arenaLeast {
		rest = make([]byte, 0, arenaSize)
	}
	return rest
}

func spare(b []byte) int { return cap(b) - len(b) }

// continues reports whether next lies right behind b in the same memory.
func continues(b, next []byte) bool {
	return len(next) > 0 && spare(b) >= len(next) && &b[:len(b)+1][len(b)] == &next[0]
}

// forget drops what lies before a place.
func (t *tail) forget(to place) {
	for i := range t.stretches {
		s := &t.stretches[i]
		if s.segment > to.segment || s.segment == to.segment && s.end > to.end {
			if s.segment == to.segment && s.start < to.end {
				if s.frames != nil {
					t.memory -= to.end - s.start
					s.frames = s.frames[to.end-s.start:]
				}
				s.start = to.end
			}
			t.stretches = slices.Delete(t.stretches, 0, i)
			return
		}
		t.memory -= int64(len(s.frames))
	}
	t.stretches = slices.Delete(t.stretches, 0, len(t.stretches))
}

// cut drops what lies behind a place.
func (t *tail) cut(from place) {
	for i := range t.stretches {
		s := &t.stretches[i]
		if s.segment < from.segment || s.segment == from.segment && s.end <= from.end {
			continue
		}
		if s.segment == from.segment && s.start < from.end {
			if s.frames != nil {
				t.memory -= s.end - from.end
				s.frames = s.frames[:from.end-s.start]
			}
			s.end = from.end
			continue
		}
		for _, gone := range t.stretches[i:] {
			t.memory -= int64(len(gone.frames))
		}
		t.stretches = slices.Delete(t.stretches, i, len(t.stretches))
		return
	}
}

// unmoved gives what is in the log for certain and not yet in the store.
func (w *wal) unmoved() []stretch {
	w.mu.Lock()
	defer w.mu.Unlock()
	certain := tail{stretches: slices.Clone(w.tail.stretches)}
	if w.certain {
		certain.cut(w.sure())
	}
	return certain.stretches
}

// forget drops what lies before a place from the tail: it is in the store.
func (w *wal) forget(to place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail.forget(to)
}

// load reads the frames of stretches that are not in memory. A segment that is gone is in the store.
func (w *wal) load(stretches []stretch) error {
	for i := range stretches {
		s := &stretches[i]
		if s.frames != nil {
			continue
		}
		f, err := w.disk.Open(w.path(s.segment))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		s.frames = make([]byte, s.end-s.start)
		_, err = io.ReadFull(io.NewSectionReader(f, s.start, s.end-s.start), s.frames)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("reading what is not yet in the store: %w", err)
		}
	}
	return nil
}

// eachUnmoved calls f with the records of stretches that the store does not have, oldest first, until f returns false.
func eachUnmoved(ctx context.Context, tx *sql.Tx, stretches []stretch, f func(r *rawFields) bool) error {
	var have coverage
	var err error
	for i, s := range stretches {
		if i == 0 || s.id != stretches[i-1].id { // once a segment: a log that waits for its store has thousands of stretches
			if have, err = covered(ctx, tx, s.id, extent{s.start, math.MaxInt64}); err != nil {
				return err
			}
		}
		more := true
		eachFrame(s.frames, func(at int, r *rawFields) bool {
			if have.covers(s.start + int64(at)) {
				return true
			}
			if r.again {
				var known bool
				if known, err = knows(ctx, tx, stretches[:i+1], s.start+int64(at), r); known || err != nil {
					return err == nil
				}
			}
			more = f(r)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// eachFrame calls f with the records of frames and where each begins, until f returns false. Damage is passed over: the mover reports it.
func eachFrame(frames []byte, f func(at int, r *rawFields) bool) {
	var r rawFields
	for off := 0; ; {
		payload, start, end, ok, _ := nextFrame(frames, off)
		if !ok || r.read(payload) == nil && !f(start, &r) {
			return
		}
		off = end
	}
}

// knows reports whether a record is in the store, or in stretches before a byte of the last.
func knows(ctx context.Context, tx *sql.Tx, stretches []stretch, before int64, of *rawFields) (known bool, err error) {
	id := string(of.texts[fieldID])
	for i, s := range stretches {
		eachFrame(s.frames, func(at int, r *rawFields) bool {
			if i == len(stretches)-1 && s.start+int64(at) >= before {
				return false
			}
			known = known || string(r.texts[fieldID]) == id
			return !known
		})
	}
	if known {
		return true, nil
	}
	found, err := find(ctx, tx, string(of.texts[fieldOrg]), id)
	return found != nil, err
}
