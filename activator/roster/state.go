package roster

import (
	"strings"
	"time"
)

func (r *Roster) changed(c Change) { r.changes = append(r.changes, c) }

// own reports whether an instance ID was given in this life.
func (c *Config) own(id string) bool { return strings.HasPrefix(id, c.Prefix) }

// clock gives a time on the roster's clock.
func (c *Config) clock(t time.Time) time.Duration { return t.Sub(c.Epoch) }

// SlotsKnown reports whether the slots were listed, and every one that runs has spoken or was given up. One that was added in this life is not waited for:
// nothing of an earlier life can be there.
func (r *Roster) SlotsKnown() bool { return r.listsSlots && r.awaiting == 0 }

// stopAwaiting notes that decisions need not wait for the slot any more.
func (r *Roster) stopAwaiting(s *Slot) {
	if !s.awaited {
		return
	}
	s.awaited = false
	if !s.earlier {
		return
	}
	if r.awaiting--; r.awaiting == 0 {
		r.heardAll = r.heardAll || r.SlotsKnown()
		r.changed(Change{Kind: Reachability})
	}
}

// firstAwaited gives the slot that has been awaited longest; nil = none is.
func (r *Roster) firstAwaited() *Slot {
	for len(r.awaited) > 0 {
		if a := r.awaited[0]; a.Slot.awaited && a.from == a.since {
			return a.Slot
		}
		r.awaited = r.awaited[1:]
	}
	return nil
}

const tombstonesKept = 1 << 14

func newTombstones() tombstones { return tombstones{is: make(map[string]bool)} }

func (t *tombstones) add(id string) {
	if t.is[id] {
		return
	}
	if len(t.order) >= tombstonesKept {
		delete(t.is, t.order[0])
		t.order = t.order[1:]
	}
	t.is[id] = true
	t.order = append(t.order, id)
}
