package ledger

import "fmt"

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
