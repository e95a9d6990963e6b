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

// run is what neighbouring blocks and runs become: their records, sorted by organisation.
type run struct {
	seq, records int64
	first, last  int64 // dispatch, in microseconds
	parts        map[string]*part
}

// part is one organisation's records of a run, in the order of arrival.
type part struct {
	records     int64
	first, last int64
	next        int64  // number after its last record's
	places      []byte // see usage_parts
	data        []byte
}

// add takes the next record.
func (r *run) add(n numbered, f *rawFields) {
	at := f.numbers[fieldDispatched]
	p := r.parts[string(f.texts[fieldOrg])]
	if p == nil {
		p = &part{next: r.seq, first: at, last: at}
		r.parts[string(f.texts[fieldOrg])] = p
	}
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
	_, err := tx.ExecContext(ctx, "INSERT INTO usage_runs (seq, records, dispatched_from, dispatched_to) VALUES (?, ?, ?, ?)",
		r.seq, r.records, r.first, r.last)
	if err != nil {
		return fmt.Errorf("inserting a run of usage records: %w", err)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO usage_parts (org, seq, records, dispatched_from, dispatched_to, places, data)
		VALUES (?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return fmt.Errorf("inserting usage records: %w", err)
	}
	defer insert.Close()
	var packed []byte
	for _, org := range slices.Sorted(maps.Keys(r.parts)) {
		p := r.parts[org]
		packed = s2.Encode(packed[:cap(packed)], p.data)
		if _, err := insert.ExecContext(ctx, org, r.seq, p.records, p.first, p.last, sealPlaces(p.places), packed); err != nil {
			return fmt.Errorf("inserting %d usage records of %s: %w", p.records, org, err)
		}
	}
	return nil
}
