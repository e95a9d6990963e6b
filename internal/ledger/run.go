package ledger

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/klauspost/compress/s2"
)

// spareMemory is how many bytes of parts are kept from one run to the next, to be used again.
const spareMemory = 4 << 20

// run is what neighbouring blocks and runs become, or a large stretch of a segment at once: their records, sorted by organisation.
type run struct {
	seq, records int64
	first, last  int64 // dispatch, in microseconds
	parts        map[string]*part
	spare        []*part // of earlier runs, whose memory is used again
	packed       []byte  // as is this, of what goes into the store
}

// part is one organisation's records of a run, in the order of arrival.
type part struct {
	records     int64
	first, last int64
	next        int64  // number after its last record's
	places      []byte // see usage_parts
	data        []byte
}

// begin empties the run for records from a number on.
func (r *run) begin(seq int64) {
	memory := 0
	for _, p := range r.spare {
		memory += cap(p.data)
	}
	for _, p := range r.parts {
		if memory += cap(p.data); memory <= spareMemory {
			r.spare = append(r.spare, p)
		}
	}
	clear(r.parts)
	r.seq, r.records, r.first, r.last = seq, 0, 0, 0
}

// part gives an organisation's part, whose next record was dispatched at that moment.
func (r *run) part(org []byte, at int64) *part {
	p := r.parts[string(org)]
	if p != nil {
		return p
	}
	if last := len(r.spare) - 1; last >= 0 {
		p, r.spare = r.spare[last], r.spare[:last]
	} else {
		p = new(part)
	}
	*p = part{next: r.seq, first: at, last: at, places: p.places[:0], data: p.data[:0]}
	r.parts[string(org)] = p
	return p
}

// add takes the next record.
func (r *run) add(n numbered, f *rawFields) {
	at := f.numbers[fieldDispatched]
	p := r.part(f.texts[fieldOrg], at)
	p.places = binary.AppendUvarint(p.places, uint64(n.number-p.next))
	p.next = n.number + 1
	p.data = append(p.data, n.frame...)
	p.records++
	p.first, p.last = min(p.first, at), max(p.last, at)
}

// sealPlaces adds a checksum; openPlaces takes it off.
func sealPlaces(places []byte) []byte {
	return binary.LittleEndian.AppendUint32(places, crc32.Checksum(places, castagnoli))
}

func openPlaces(sealed []byte) (places []byte, ok bool) {
	if len(sealed) < 4 {
		return nil, false
	}
	places = sealed[:len(sealed)-4]
	return places, crc32.Checksum(places, castagnoli) == binary.LittleEndian.Uint32(sealed[len(places):])
}

// insert puts the run into the store.
func (r *run) insert(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO usage_runs (seq, records, dispatched_from, dispatched_to) VALUES ($1, $2, $3, $4)",
		r.seq, r.records, r.first, r.last)
	if err != nil {
		return fmt.Errorf("inserting a run of usage records: %w", err)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO usage_parts (org, seq, records, dispatched_from, dispatched_to, places, data)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`)
	if err != nil {
		return fmt.Errorf("inserting usage records: %w", err)
	}
	defer insert.Close()
	for _, org := range slices.Sorted(maps.Keys(r.parts)) {
		p := r.parts[org]
		r.packed = s2.Encode(r.packed[:cap(r.packed)], p.data)
		if _, err := insert.ExecContext(ctx, org, r.seq, p.records, p.first, p.last, sealPlaces(p.places), r.packed); err != nil {
			return fmt.Errorf("inserting %d usage records of %s: %w", p.records, org, err)
		}
	}
	return nil
}
