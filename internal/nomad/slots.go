package nomad

import (
	"sync"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// slotSource, and the slot's ID, is the source of what a supervisor tells.
const slotSource = "slot/"

// slots is what is known of the slots, from the acts and from Nomad.
type slots struct {
	mu      sync.Mutex // guards all below, and what the entries hold
	known   map[string]*entry
	read    chan struct{} // closed once Nomad's list was read
	changed chan struct{} // closed, and made anew, at each change
}

// entry is one slot.
type entry struct {
	fleet.Slot
	spec   *slotSpec    // what it was launched with; nil = not known
	addr   string       // of its supervisor; "" = it does not run yet
	plain  bool         // its supervisor is from before there was TLS
	client *slot.Client // nil = there was no address or no key yet
	fenced uint64       // the highest term that its supervisor has taken as a fence
	listed bool         // Nomad has it
	given  bool         // it is given back: that its supervisor falls silent is no news
	gone   bool
	reason string // why it is gone, where nobody asked for it
	cause  fleet.Cause
}

func newSlots() *slots {
	return &slots{known: make(map[string]*entry), read: make(chan struct{}), changed: make(chan struct{})}
}

// add gives the slot's entry, made where there is none; it needs mu.
func (s *slots) add(o fleet.Slot) *entry {
	e := s.known[o.ID]
	if e == nil {
		o.Pending = true
		e = &entry{Slot: o}
		s.known[o.ID] = e
	}
	return e
}

// notify wakes those who watch; it needs mu.
func (s *slots) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// givenBack reports whether the slot is given back, or gone.
func (s *slots) givenBack(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[id]
	return e == nil || e.given
}

// snapshot gives all slots, forgets those that are gone, and the channel that is closed at the next change.
func (s *slots) snapshot() ([]entry, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]entry, 0, len(s.known))
	for id, e := range s.known {
		all = append(all, *e)
		if e.gone {
			delete(s.known, id)
		}
	}
	return all, s.changed
}
