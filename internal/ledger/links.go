package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
)

// links mends the chains of what former lives have left in the log. A power cut may take a record that was not durable and leave one behind it: that one has
// the hash of a record which is not there, and whoever checks its chain would take the loss for a record that somebody has dropped. It is therefore linked behind the last
// one that is there, before anything of it is in the store, and so on to the end of its chain. The loss is told in the log. With Sync it befalls only
// records for which no Append has returned.
type links struct {
	mends  bool // the records are of former lives
	heads  map[chainKey]*Hash
	mended int
}

// begin forgets what was seen in a transaction before.
func (s *links) begin() {
	s.heads, s.mended = nil, 0
}

// mend puts a record, whose fields share the bytes of its frame, behind the last of its chain that is there.
func (s *links) mend(ctx context.Context, tx *sql.Tx, f *rawFields, frame []byte) error {
	if !s.mends || len(f.texts[fieldChain]) == 0 {
		return nil
	}
	head, err := s.head(ctx, tx, chainKey{string(f.texts[fieldChain]), string(f.texts[fieldOrg])})
	if err != nil {
		return err
	}
	if f.previous != *head && relink(frame, f.previous, *head) {
		f.previous = *head
		s.mended++
	}
	r := f.record()
	*head = HashOf(&r)
	return nil
}

// head gives the hash of the last record of a chain: as it is in the store, or in the part of the log that was looked at.
func (s *links) head(ctx context.Context, tx *sql.Tx, key chainKey) (*Hash, error) {
	if head := s.heads[key]; head != nil {
		return head, nil
	}
	var hash []byte
	err := tx.QueryRowContext(ctx, "SELECT hash FROM usage_chains WHERE chain = $1 AND org = $2", key.chain, key.org).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("reading the end of the chain of %s: %w", key.org, err)
	}
	if s.heads == nil {
		s.heads = map[chainKey]*Hash{}
	}
	head := new(Hash)
	copy(head[:], hash)
	s.heads[key] = head
	return head, nil
}

// relink replaces the hash in a frame that names the record before. It is false where the frame has none: that is the first of its chain.
func relink(frame []byte, previous, to Hash) bool {
	field := append([]byte{textTag(fieldPrevious), byte(len(previous))}, previous[:]...)
	at := bytes.Index(frame[frameHeadLen:], field)
	if at < 0 {
		return false
	}
	copy(frame[frameHeadLen+at+2:], to[:])
	binary.LittleEndian.PutUint32(frame[8:], frameSum(frame))
	return true
}

// reportMended tells of records that were linked anew.
func (l *Ledger) reportMended(number uint64, mended int) {
	if mended > 0 {
		l.log.Error("usage records that were not durable are lost: those behind them were linked to the last that is there",
			"segment", l.wal.path(number), "records", mended)
	}
}
