package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
)

// move is one transaction of the mover: it brings what is left of a segment into the store.
//
// A frame is known by its place, a segment's ID and a byte: what a block of the store covers is there already, whoever moved
// it. Only where the place does not tell (a record that the log may hold twice, a segment whose header is damaged) is a record
// looked up by its ID. What is left out, damaged or there already ends a block, so that blocks need no list of exceptions.
type move struct {
	server  string // whose log it is
	segment string
	unknown bool // the header is damaged: segment is an ID made up
	from    int64
	data    []byte // of the segment from there on
	damage  error
	links   links

	covered coverage
	block   block
	run     run // the block's records, sorted
	days    days
	ends    ends
}

// extent is a stretch of a segment: its bytes from start on and before end.
type extent struct{ start, end int64 }

// coverage is what the store has of a segment, in order.
type coverage []extent

// covered reads what the store has of a part of a segment.
func covered(ctx context.Context, tx *sql.Tx, segment string, part extent) (have coverage, err error) {
	const in = " WHERE segment = $1 AND end_at > $2 AND start_at < $3"
	rows, err := tx.QueryContext(ctx, "SELECT start_at, end_at FROM usage_blocks"+in+
		" UNION ALL SELECT start_at, end_at FROM usage_extents"+in+" ORDER BY end_at", segment, part.start, part.end)
	if err != nil {
		return nil, fmt.Errorf("looking for blocks of segment %s: %w", segment, err)
	}
	defer rows.Close()
	for rows.Next() {
		var e extent
		if err := rows.Scan(&e.start, &e.end); err != nil {
			return nil, fmt.Errorf("looking for blocks of segment %s: %w", segment, err)
		}
		have = append(have, e)
	}
	return have, rows.Err()
}

// covers reports whether the store has the frame at a byte. It is asked in the order of the bytes.
func (c *coverage) covers(at int64) bool {
	for len(*c) > 0 && (*c)[0].end <= at {
		*c = (*c)[1:]
	}
	return len(*c) > 0 && (*c)[0].start <= at
}

// read reads a segment's header, and the segment from a byte (0 = the first frame) to a limit, or to where it was cut.
func (m *move) read(w *wal, number uint64, from, limit int64) error {
	f, err := w.disk.Open(w.path(number))
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	var head [headerLen]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var begin int
	m.segment, begin, m.damage = readHeader(head[:n])
	if errors.Is(m.damage, ErrNewer) {
		return m.damage
	}
	if m.unknown = m.segment == ""; m.unknown {
		m.segment = NewID()
	}
	if m.from = from; from == 0 {
		m.from = int64(begin)
	}
	if cut, is := w.cutOf(m.segment); is {
		limit = min(limit, cut)
	}
	rest := int(max(0, min(size, limit)-m.from))
	if cap(m.data) < rest {
		m.data = make([]byte, rest, max(rest, segmentSize))
	}
	m.data = m.data[:rest]
	_, err = io.ReadFull(io.NewSectionReader(f, m.from, int64(rest)), m.data)
	return err
}

// move puts the frames into the store that are not there, and notes damage.
func (m *move) move(ctx context.Context, tx *sql.Tx) error {
	if err := m.begin(ctx, tx); err != nil {
		return err
	}
	for off := 0; ; {
		payload, start, end, ok, damaged := nextFrame(m.data, off)
		if damaged {
			m.spoilt(fmt.Errorf("%w from byte %d on", errDamaged, m.from+int64(off)))
		}
		if !ok && !damaged && !zeros(m.data[off:]) {
			m.spoilt(errCutShort)
		}
		if !ok {
			break
		}
		if err := m.frame(ctx, tx, start, end, payload); err != nil {
			return err
		}
		off = end
	}
	if err := m.finish(ctx, tx); err != nil {
		return err
	}
	if err := m.days.store(ctx, tx); err != nil {
		return err
	}
	if err := m.days.storeServer(ctx, tx, m.server); err != nil {
		return err
	}
	return m.ends.store(ctx, tx)
}

func (m *move) spoilt(err error) { m.damage = errors.Join(m.damage, err) }

// begin forgets an earlier move, or one that failed, and reads which frames the store has. Of a segment that is read in
// the order in which it grows, it has none.
func (m *move) begin(ctx context.Context, tx *sql.Tx) (err error) {
	if m.days == nil {
		m.block, m.run, m.days, m.ends = newBlock(), run{parts: map[string]*part{}}, days{}, ends{}
	}
	m.block.reset()
	clear(m.days)
	clear(m.ends)
	m.links.begin()
	m.covered, err = covered(ctx, tx, m.segment, extent{m.from, m.from + int64(len(m.data))})
	return err
}

// frame moves one frame, whose bytes are from start to end of the data.
func (m *move) frame(ctx context.Context, tx *sql.Tx, start, end int, payload []byte) error {
	at := m.from + int64(start)
	if _, is := readCut(payload); is || m.covered.covers(at) {
		return nil
	}
	var f rawFields
	if err := f.read(payload); errors.Is(err, ErrNewer) {
		return err
	} else if err != nil {
		m.spoilt(fmt.Errorf("%w in the frame at byte %d", err, at))
		return nil
	}
	if doubtful := f.again || m.unknown; doubtful || !m.block.takes(at, &f) {
		if err := m.finish(ctx, tx); err != nil {
			return err
		}
		if doubtful {
			found, err := find(ctx, tx, string(f.texts[fieldOrg]), string(f.texts[fieldID]))
			if unsure := (*DamagedError)(nil); errors.As(err, &unsure) {
				m.spoilt(fmt.Errorf("%w: the record at byte %d may be in block %d", errDamaged, at, unsure.Block))
				return nil // it is counted if it is there; nobody pays twice
			}
			if err != nil || found != nil {
				return err
			}
		}
	}
	if err := m.links.mend(ctx, tx, &f, m.data[start:end]); err != nil {
		return err
	}
	if m.block.records == 0 {
		m.run.begin(0)
	}
	m.run.add(numbered{m.block.records, m.data[start:end]}, &f)
	m.block.add(at, m.data[start:end], &f)
	m.days.add(&f)
	m.ends.add(&f, payload)
	return nil
}

// finish puts the block into the store and begins another. One that is large goes there as the run that the sorter would make of it.
func (m *move) finish(ctx context.Context, tx *sql.Tx) error {
	if m.block.records == 0 {
		return nil
	}
	defer m.block.reset()
	if m.block.records >= runLarge {
		return m.insertRun(ctx, tx)
	}
	return m.block.insert(ctx, tx, m.segment)
}

func (m *move) insertRun(ctx context.Context, tx *sql.Tx) error {
	last, err := lastNumber(ctx, tx)
	if err != nil {
		return err
	}
	b, r := &m.block, &m.run
	r.seq, r.records, r.first, r.last = last+1, b.records, b.first, b.last
	if err := r.insert(ctx, tx); err != nil {
		return err
	}
	if err := insertExtent(ctx, tx, m.segment, extent{b.start, b.end}, b.last); err != nil {
		return err
	}
	clear(b.orgs) // parts are found without keys
	return insertKeys(ctx, tx, r.seq, b.keys())
}

// insertExtent notes that the store has a part of a segment, whose records were dispatched up to a moment.
func insertExtent(ctx context.Context, tx *sql.Tx, segment string, part extent, dispatchedTo int64) error {
	grown, err := tx.ExecContext(ctx, `UPDATE usage_extents SET end_at = $3, dispatched_to = CASE WHEN dispatched_to > $4 THEN dispatched_to ELSE $4 END
		WHERE segment = $1 AND end_at = $2`, segment, part.start, part.end, dispatchedTo)
	if err != nil {
		return fmt.Errorf("noting what was moved of segment %s: %w", segment, err)
	}
	if n, err := grown.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO usage_extents (segment, start_at, end_at, dispatched_to) VALUES ($1, $2, $3, $4)",
		segment, part.start, part.end, dispatchedTo)
	if err != nil {
		return fmt.Errorf("noting what was moved of segment %s: %w", segment, err)
	}
	return nil
}
