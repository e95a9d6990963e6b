package faultsim

import "fmt"

// Kind is a kind of things that happen in a world.
type Kind struct {
	Name string
	Do   func()
}

// History is what the histories of all worlds have in common: the tape, and the first promise that was broken. A world embeds it.
type History struct {
	*Tape
	broken error
}

// Fail notes that a promise was broken. The first one counts.
func (h *History) Fail(format string, args ...any) {
	if h.broken == nil {
		h.broken = fmt.Errorf("broken promise: %s", fmt.Sprintf(format, args...))
	}
}

// Broken reports whether a promise was broken.
func (h *History) Broken() bool { return h.broken != nil }

// Reached counts a rare state.
func (h *History) Reached(state string) { h.Reach("reached: " + state) }

// Swarm gives each kind so often as the history has it: one uniform choice would miss what needs many of one kind, or none of another.
func (h *History) Swarm(kinds ...Kind) (all []Kind) {
	for _, k := range kinds {
		for range Pick(h.Tape, []int{0, 1, 2, 6}) {
			all = append(all, k)
		}
	}
	return all
}

// Play has things happen, after each of which the world settles, and then the calm, in which everything has to come to rest. The error says which promise was
// broken.
func (h *History) Play(kinds []Kind, settle, calm func()) error {
	for !h.Broken() && h.More() {
		k := Pick(h.Tape, kinds)
		h.Reach(k.Name)
		h.Note("%s", k.Name)
		k.Do()
		settle()
	}
	if !h.Broken() {
		calm()
	}
	return h.broken
}
