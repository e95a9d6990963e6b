package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"
)

// A piece of the store is a block, with records of everybody, or a part of a run, with one organisation's. The records of a
// block or run are numbered on from its seq. That number is a record's place in the order of arrival, whatever it lies in.

// pieceColumns are what readPieces reads; parts p and blocks b.
const (
	partColumns  = "SELECT p.seq, p.org, p.records, p.dispatched_from, p.dispatched_to, p.places, p.data FROM usage_parts p "
	blockColumns = "SELECT b.seq, '', b.records, b.dispatched_from, b.dispatched_to, NULL, b.data FROM usage_blocks b "
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// numbered is a record's frame with its number.
type numbered struct {
	number int64
	frame  []byte
}

// sink takes what readPieces reads.
type sink struct {
	unpacked *[]byte                             // memory to use for what is unpacked, and to give back; nil = new memory
	after    int64                               // records up to this number are passed over
	id       string                              // records with another ID are passed over; "" = none is
	record   func(n numbered, r *rawFields) bool // false: no more; r is valid during the call
	damaged  func(e *DamagedError) error         // an error ends the reading; nil = every damage does
}

// readPieces reads the pieces that a query of partColumns, blockColumns or both selects, one seq after the other, those of the same
// seq in the order of their records.
func readPieces(ctx context.Context, db querier, to sink, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []numbered
	var unpacked []byte
	if to.unpacked != nil {
		unpacked = (*to.unpacked)[:0]
		defer func() { *to.unpacked = unpacked }()
	}
	seq := int64(-1)
	for rows.Next() {
		var d Damage
		var from, until int64
		var places, data sql.RawBytes
		if err := rows.Scan(&d.Block, &d.Org, &d.Records, &from, &until, &places, &data); err != nil {
			return err
		}
		if d.Block != seq {
			if more, err := to.take(all); !more || err != nil {
				return err
			}
			all, unpacked, seq = all[:0], unpacked[:0], d.Block
		}
		before := len(all)
		if all, unpacked, err = unpackPiece(all, unpacked, d.Block, d.Records, places, data); err != nil {
			all = all[:before]
			d.From, d.To = time.UnixMicro(from).UTC(), time.UnixMicro(until).UTC()
			if err := to.spoilt(&DamagedError{d, err}); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = to.take(all)
	return err
}

func (to *sink) spoilt(e *DamagedError) error {
	if to.damaged == nil {
		return e
	}
	return to.damaged(e)
}

// take hands records on.
func (to *sink) take(all []numbered) (more bool, err error) {
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	var r rawFields
	for _, n := range all {
		if n.number <= to.after || to.id != "" && !hasID(n.frame[frameHeadLen:], to.id) {
			continue
		}
		if err := r.read(n.frame[frameHeadLen:]); err != nil {
			return false, fmt.Errorf("reading usage record %d: %w", n.number, err)
		}
		if !to.record(n, &r) {
			return false, nil
		}
	}
	return true, nil
}

// unpackPiece appends the records of a piece: of a block, whose places are nil, or of a part. Each is whole, or the error is there. Their bytes
// are appended to unpacked.
func unpackPiece(all []numbered, unpacked []byte, seq, records int64, places, packed []byte) ([]numbered, []byte, error) {
	data, unpacked, err := unpack(unpacked, packed)
	if err != nil {
		return all, unpacked, fmt.Errorf("%w: %w", errDamaged, err)
	}
	all, err = appendRecords(all, data, seq, records, places)
	return all, unpacked, err
}

// appendRecords appends the records that lie one behind the other in data.
func appendRecords(all []numbered, data []byte, seq, records int64, places []byte) ([]numbered, error) {
	of, number, ok := places != nil, seq, true
	if of {
		if places, ok = openPlaces(places); !ok {
			return all, fmt.Errorf("%w in the places", errDamaged)
		}
	}
	for off, n := 0, int64(0); n < records || off < len(data); n++ {
		if of {
			skip, used := binary.Uvarint(places)
			if used <= 0 || skip > maxBlock {
				return all, fmt.Errorf("%w in the places", errDamaged)
			}
			places, number = places[used:], number+int64(skip)
		}
		payload, ok := wholeFrame(data[off:])
		if !ok || n >= records {
			return all, fmt.Errorf("%w at byte %d", errDamaged, off)
		}
		end := off + frameHeadLen + len(payload)
		all = append(all, numbered{number, data[off:end]})
		number, off = number+1, end
	}
	return all, nil
}

// maxBlock bounds what a damaged block can make us allocate. A block lies in one segment.
const maxBlock = 64 << 20

// unpack appends what was packed to memory, or to new memory where there is not room enough in it.
func unpack(memory, packed []byte) (data, after []byte, err error) {
	n, err := s2.DecodedLen(packed)
	if err != nil {
		return nil, memory, err
	}
	if n > maxBlock {
		return nil, memory, fmt.Errorf("%d bytes are more than %d", n, maxBlock)
	}
	if n > cap(memory)-len(memory) {
		memory = make([]byte, 0, max(n, 2*cap(memory)))
	}
	end := len(memory) + n
	data, err = s2.Decode(memory[len(memory):end:end], packed)
	return data, memory[:end], err
}
