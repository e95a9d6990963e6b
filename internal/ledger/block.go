package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
)

// blockSpan bounds the time between a block's dispatches, so that those of an hour are found without a look at all blocks.
const blockSpan = int64(2 * time.Hour / time.Microsecond)

// idPrefix is how much of an ID is one key: a second of NewID's time. A block has few of them, though requests take seconds, and they
// lead to few blocks. Blocks of before had keys of 33 ms.
const (
	idPrefix       = 7
	idPrefixBefore = 8
)

// block is a stretch of whole frames of one segment on its way into the store.
type block struct {
	start, end  int64 // in the segment
	data        []byte
	records     int64
	first, last int64 // dispatch, in microseconds
	orgs, ids   map[string]struct{}
	names       map[int64]struct{}
	packed      []byte // memory for data, compressed
}

func newBlock() block {
	return block{orgs: map[string]struct{}{}, ids: map[string]struct{}{}, names: map[int64]struct{}{}}
}

// takes reports whether a record whose frame begins at start belongs to the block.
func (b *block) takes(start int64, f *rawFields) bool {
	at := f.numbers[fieldDispatched]
	return b.records > 0 && start == b.end && max(b.last, at)-min(b.first, at) <= blockSpan
}

// add puts the next record into the block. A frame lies in the bytes that the block's first frame lies in.
func (b *block) add(start int64, frame []byte, f *rawFields) {
	at := f.numbers[fieldDispatched]
	if b.records == 0 {
		b.start, b.data, b.first, b.last = start, frame[:0], at, at
	}
	b.end, b.data = start+int64(len(frame)), b.data[:len(b.data)+len(frame)]
	b.records++
	b.first, b.last = min(b.first, at), max(b.last, at)
	b.note(f)
}

// note keeps what a record is found by.
func (b *block) note(f *rawFields) {
	note(b.orgs, f.texts[fieldOrg])
	note(b.ids, idStart(f.texts[fieldID], idPrefix))
	if request := f.texts[fieldRequest]; len(request) > 0 {
		b.names[nameKey(string(f.texts[fieldToken]), string(request))] = struct{}{}
	}
}

// reset empties the block and keeps its memory.
func (b *block) reset() {
	clear(b.orgs)
	clear(b.ids)
	clear(b.names)
	*b = block{orgs: b.orgs, ids: b.ids, names: b.names, packed: b.packed}
}

func note(set map[string]struct{}, text []byte) {
	if _, ok := set[string(text)]; !ok { // a look without a copy
		set[string(text)] = struct{}{}
	}
}

// keys lists what the block is found by, in order: neighbours share pages of the store.
func (b *block) keys() []int64 {
	keys := make(map[int64]struct{}, len(b.names)+len(b.orgs)+len(b.ids))
	maps.Copy(keys, b.names)
	for org := range b.orgs {
		keys[orgKey(org)] = struct{}{}
	}
	for id := range b.ids {
		keys[idKey(id)] = struct{}{}
	}
	return slices.Sorted(maps.Keys(keys))
}

func orgKey(org string) int64               { return keyOf("org", org) }
func idKey(start string) int64              { return keyOf("id", start) }
func nameKey(tokenID, request string) int64 { return keyOf("request", tokenID, request) }

// idKeys are the keys by which the record with an ID is found.
func idKeys(id string) [2]int64 {
	return [...]int64{idKey(idStart(id, idPrefix)), idKey(idStart(id, idPrefixBefore))}
}

func idStart[T string | []byte](id T, length int) T { return id[:min(len(id), length)] }

// keyOf hashes what callers may choose, with a hash that nobody can make collide at will.
func keyOf(texts ...string) int64 {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

const insertBlock = `INSERT INTO usage_blocks (seq, records, segment, start_at, end_at, dispatched_from, dispatched_to, data)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// insert puts the block into the store, behind all others. Its records are much alike: compressed they take a quarter of the
// room, and less time than the store would need for the rest.
func (b *block) insert(ctx context.Context, tx *sql.Tx, segment string) error {
	last, err := lastNumber(ctx, tx)
	if err != nil {
		return err
	}
	seq := last + 1
	b.packed = s2.Encode(b.packed[:cap(b.packed)], b.data)
	if _, err := tx.ExecContext(ctx, insertBlock, seq, b.records, segment, b.start, b.end, b.first, b.last, b.packed); err != nil {
		return fmt.Errorf("inserting %d usage records: %w", b.records, err)
	}
	return insertKeys(ctx, tx, seq, b.keys())
}

// keysPerInsert is how many keys one statement inserts: binding and stepping through a statement costs more than a row, but SQLite's driver
// looks for each numbered value among all of them.
const keysPerInsert = 25

func insertKeys(ctx context.Context, tx *sql.Tx, seq int64, keys []int64) error {
	var insert *sql.Stmt
	values := make([]any, 0, 2*keysPerInsert)
	for some := range slices.Chunk(keys, keysPerInsert) {
		values = values[:0]
		for _, key := range some {
			values = append(values, key, seq)
		}
		if insert == nil || len(some) < keysPerInsert {
			var err error
			if insert, err = tx.PrepareContext(ctx, insertKeysText(len(some))); err != nil {
				return fmt.Errorf("preparing an insert: %w", err)
			}
			defer insert.Close()
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return fmt.Errorf("inserting keys of usage records: %w", err)
		}
	}
	return nil
}

func insertKeysText(n int) string {
	text := []byte("INSERT INTO usage_keys (key, seq) VALUES ")
	for i := range n {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = fmt.Appendf(text, "($%d, $%d)", 2*i+1, 2*i+2)
	}
	return string(text)
}
