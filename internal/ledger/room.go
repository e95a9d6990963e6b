package ledger

import (
	"encoding/binary"
	"fmt"
)

// recordRoom is what a record takes of the log at most, where the names in it are as long as configs, tokens and requests allow. Longer ones
// need room of their own when they come.
const recordRoom = 1 << 10

// claim takes room for so many bytes. What holders of claims have written counts twice until they give their claims back, so there is never less room
// than they need.
func (w *wal) claim(bytes int64) error {
	if w.claimed.Add(bytes) <= w.room.Load() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.grow(); err != nil {
		w.claimed.Add(-bytes)
		return err
	}
	return nil
}

// grow allocates segments until there is room for all that is claimed. w.mu is held.
func (w *wal) grow() error {
	for w.claimed.Load() > w.room.Load() {
		if err := w.allocate(); err != nil {
			return fmt.Errorf("%w: %w", ErrNoRoom, err)
		}
	}
	return nil
}

// claimFor claims room for a record that needs more than others, and for what it may leave unused at a segment's end.
func (w *wal) claimFor(r *Record) (claimed int64, err error) {
	if w.mostOf(r) <= recordRoom {
		return 0, nil
	}
	size := w.sizeOf(r)
	if size <= recordRoom {
		return 0, nil
	}
	if size > maxPayload+frameHeadLen {
		return 0, &InvalidError{"record", fmt.Sprintf("it has %d bytes, more than %d", size, maxPayload)}
	}
	claimed = 2 * int64(size)
	return claimed, w.claim(claimed)
}

// mostOf bounds a frame's size from above, at no cost.
func (w *wal) mostOf(r *Record) int {
	const rest = frameHeadLen + 2 + numberCount*(1+binary.MaxVarintLen64) + 2 + len(Hash{}) + textCount*(1+binary.MaxVarintLen32)
	return rest + len(w.chain.id) + len(r.ID) + len(r.RequestID) + len(r.Kind) + len(r.Org) + len(r.TokenID) + len(r.Model) + len(r.Instance) + len(r.Start) +
		len(r.Status) + len(r.Corrects) + len(r.Reason)
}

// sizeOf is the size of a record's frame that is not the first of its chain.
func (w *wal) sizeOf(r *Record) int {
	linked := *r
	linked.Chain, linked.Previous = w.chain.id, Hash{1}
	return len(appendFrame(nil, &linked, false))
}
