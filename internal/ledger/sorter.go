package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// The mover brings a block four times a second: small ones, of everybody, unless there is much to do. The sorter makes runs of them. Each record is rewritten a few times
// at most: blocks and runs of about the same size become one together, until it is full.

const (
	runSpan  = int64(24 * time.Hour / time.Microsecond) // at most between a run's dispatches, so that those of an hour, and of days to delete, are found
	runFull  = 4096                                     // records; neighbours that have as many become one run
	runLarge = 2048                                     // records; a run of as many stays as it is, and the mover makes one of as many at once
	fanIn    = 8                                        // so many neighbours of a size become one
	sortLook = 1024                                     // blocks and runs that are looked at at once

	sortPause = 10 * time.Millisecond // between two runs, so that the mover is not kept waiting
)

// shelf is a block or run as the sorter sees it.
type shelf struct {
	seq, records int64
	first, last  int64 // dispatch, in microseconds
	run          bool
	damaged      bool
}

// stays reports whether a shelf becomes no part of a larger one.
func (s *shelf) stays() bool { return s.damaged || s.run && s.records >= runLarge }

// size is a shelf's class: one holds up to eight times as many records as the class below.
func (s *shelf) size() int { return (bits.Len64(uint64(s.records)) - 1) / 3 }

// pieces is the query of its pieces.
func (s *shelf) pieces() string {
	if s.run {
		return partColumns + "WHERE p.seq = $1"
	}
	return blockColumns + "WHERE b.seq = $1"
}

// plan says which neighbours are to become one run: those of shelves[from:to]; none where to is 0. settled is how many shelves at the beginning
// will stay as they are. more = there are others behind the last.
func plan(shelves []shelf, more bool) (from, to, settled int) {
	var records, first, last int64
	for i := range shelves {
		s := &shelves[i]
		joins := i > from && !s.stays() && !shelves[from].stays() && s.seq == shelves[i-1].seq+shelves[i-1].records &&
			records < runFull && max(last, s.last)-min(first, s.first) <= runSpan
		if i > from && !joins {
			if worthARun(shelves[from:i]) {
				return from, i, from
			}
			from = i
		}
		if i == from {
			records, first, last = 0, s.first, s.last
		}
		records, first, last = records+s.records, min(first, s.first), max(last, s.last)
	}
	open := shelves[from:] // others may come behind these
	if (more || records >= runFull) && worthARun(open) {
		return from, len(shelves), from
	}
	if at := alike(open); at < len(open) {
		return from + at, len(shelves), from
	}
	return from, 0, from
}

// worthARun reports whether shelves that nothing will be added to are not a run already, and can be one.
func worthARun(shelves []shelf) bool {
	return len(shelves) > 0 && !shelves[0].damaged && (len(shelves) > 1 || !shelves[0].run)
}

// alike gives where the last shelves begin among which enough of the largest size are to become one; len(shelves) where there are none.
func alike(shelves []shelf) (from int) {
	largest, of := -1, 0
	for i := len(shelves) - 1; i >= 0 && !shelves[i].stays(); i-- {
		if size := shelves[i].size(); size > largest {
			largest, of = size, 0
		} else if size < largest {
			continue
		}
		if of++; of == fanIn {
			return i
		}
	}
	return len(shelves)
}

// sortLoop makes runs of blocks whenever some were brought.
func (l *Ledger) sortLoop(ctx context.Context) {
	signal(l.unsorted) // what a former life has left
	failing := false
	for wait(ctx, l.unsorted, 0) {
		more, err := l.sort(ctx, false)
		if err != nil && !failing && ctx.Err() == nil {
			l.log.Error("cannot sort usage records; queries of organisations take longer", "reason", err)
		}
		if failing = err != nil; failing {
			more = true
			pause(ctx, retryWait)
		}
		if more {
			signal(l.unsorted)
			pause(ctx, sortPause)
		}
	}
}

// sort makes one run, where there is one to make. It gives false when there is none. all makes runs of what is better left until there is
// more of it, too.
func (l *Ledger) sort(ctx context.Context, all bool) (more bool, err error) {
	settled := l.settled.Load()
	err = l.store.Write(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx) // see moveSegment
		shelves, err := l.shelves(ctx, tx, settled)
		if err != nil {
			return fmt.Errorf("looking for usage records to sort: %w", err)
		}
		from, to, done := plan(shelves, all || len(shelves) == sortLook)
		if len(shelves) > 0 {
			settled = shelves[done].seq
		}
		if more = to > 0 || len(shelves) == sortLook; to > 0 {
			return l.sortInto(ctx, tx, shelves[from:to])
		}
		return nil
	})
	if damaged := (*DamagedError)(nil); errors.As(err, &damaged) {
		l.tellDamage(damaged) // and the next plan leaves it where it is
		return true, nil
	}
	if err == nil {
		l.settled.Store(settled)
	}
	return more, err
}

// shelves lists blocks and runs from a number on, in order.
func (l *Ledger) shelves(ctx context.Context, tx *sql.Tx, from int64) (all []shelf, err error) {
	const columns = "SELECT seq, records, dispatched_from, dispatched_to, "
	rows, err := tx.QueryContext(ctx, columns+"1 FROM usage_runs WHERE seq >= $1 UNION ALL "+columns+"0 FROM usage_blocks WHERE seq >= $1 ORDER BY seq LIMIT $2",
		from, sortLook)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s shelf
		if err := rows.Scan(&s.seq, &s.records, &s.first, &s.last, &s.run); err != nil {
			return nil, err
		}
		s.damaged = l.damages.in(s.seq)
		all = append(all, s)
	}
	return all, rows.Err()
}

// sortInto replaces neighbouring blocks and runs by one run.
func (l *Ledger) sortInto(ctx context.Context, tx *sql.Tx, shelves []shelf) error {
	r := &l.sorted
	from, to := &shelves[0], &shelves[len(shelves)-1]
	r.begin(from.seq)
	r.records, r.first, r.last = to.seq+to.records-from.seq, from.first, from.last
	for _, s := range shelves {
		r.first, r.last = min(r.first, s.first), max(r.last, s.last)
		orgs := map[string]struct{}{}
		in := sink{unpacked: &l.unpacked, record: func(n numbered, f *rawFields) bool {
			r.add(n, f)
			note(orgs, f.texts[fieldOrg])
			return true
		}}
		if err := readPieces(ctx, tx, in, s.pieces(), s.seq); err != nil {
			return fmt.Errorf("sorting usage records: %w", err)
		}
		if err := s.remove(ctx, tx, orgs); err != nil {
			return fmt.Errorf("removing sorted usage records: %w", err)
		}
	}
	return r.insert(ctx, tx)
}

// remove deletes a shelf whose records are kept elsewhere. The keys by which single records are found go on leading to their numbers.
func (s *shelf) remove(ctx context.Context, tx *sql.Tx, orgs map[string]struct{}) error {
	if s.run {
		return execAll(ctx, tx, s.seq, "DELETE FROM usage_parts WHERE seq = $1", "DELETE FROM usage_runs WHERE seq = $1")
	}
	for org := range orgs {
		if _, err := tx.ExecContext(ctx, "DELETE FROM usage_keys WHERE key = $1 AND seq = $2", orgKey(org), s.seq); err != nil {
			return err
		}
	}
	return execAll(ctx, tx, s.seq, keepExtent, addExtent, "DELETE FROM usage_blocks WHERE seq = $1")
}

// What a block says of the log is kept: as the end of a stretch that ends where the block begins, or as one of its own.
const (
	keepExtent = `UPDATE usage_extents SET end_at = b.end_at, dispatched_to = CASE WHEN usage_extents.dispatched_to > b.dispatched_to
		THEN usage_extents.dispatched_to ELSE b.dispatched_to END
		FROM usage_blocks b WHERE b.seq = $1 AND usage_extents.segment = b.segment AND usage_extents.end_at = b.start_at`
	addExtent = `INSERT INTO usage_extents (segment, start_at, end_at, dispatched_to)
		SELECT segment, start_at, end_at, dispatched_to FROM usage_blocks b WHERE b.seq = $1
		AND NOT EXISTS (SELECT 1 FROM usage_extents e WHERE e.segment = b.segment AND e.end_at = b.end_at)`
)

func execAll(ctx context.Context, tx *sql.Tx, seq int64, statements ...string) error {
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s, seq); err != nil {
			return err
		}
	}
	return nil
}
