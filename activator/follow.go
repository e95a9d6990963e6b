package activator

import (
	"context"
	"sync"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const noticesKept = 1024

// board keeps the last notices for those who follow.
type board struct {
	mu     sync.Mutex // guards what follows
	last   uint64     // ID of the newest
	kept   []fleet.Notice
	fresh  chan struct{} // closed when there are new ones
	anyone bool          // somebody waits on fresh
}

// post numbers the notices and shows them.
func (b *board) post(ns []fleet.Notice) {
	if len(ns) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range ns {
		b.last++
		ns[k].ID = b.last
	}
	b.kept = append(b.kept, ns...)
	if over := len(b.kept) - noticesKept; over > 0 {
		b.kept = append(b.kept[:0], b.kept[over:]...)
	}
	if b.anyone {
		close(b.fresh)
		b.fresh, b.anyone = make(chan struct{}), false
	}
}

// newest gives the ID of the newest notice.
func (b *board) newest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// since gives the notices after an ID, and the channel that is closed when there are more.
func (b *board) since(after uint64) ([]fleet.Notice, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := len(b.kept)
	for first > 0 && b.kept[first-1].ID > after {
		first--
	}
	b.anyone = true
	return append([]fleet.Notice(nil), b.kept[first:]...), b.fresh
}

// Announce shows a notice of something else than instances to those who follow.
func (a *Activator) Announce(n fleet.Notice) { a.notices.post([]fleet.Notice{n}) }

// Follow calls f for every notice after the given ID, first those that are remembered, then new ones as they come. It blocks
// until ctx is done (and returns its cause) or f returns an error (and returns that). MaxUint64 = only new ones.
func (a *Activator) Follow(ctx context.Context, after uint64, f func(fleet.Notice) error) error {
	after = min(after, a.notices.newest())
	for {
		ns, fresh := a.notices.since(after)
		for _, n := range ns {
			if err := f(n); err != nil {
				return err
			}
			after = n.ID
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-fresh:
		}
	}
}
