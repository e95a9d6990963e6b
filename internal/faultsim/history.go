package faultsim

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

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

// linearWithin bounds what one history's check takes; what is not known by then counts for nothing.
const linearWithin = time.Second

// CheckLinear holds that the model allows some order of what was done, which explains what is named.
func (h *History) CheckLinear(model porcupine.Model, ops []porcupine.Operation, explains string) {
	switch porcupine.CheckOperationsTimeout(model, ops, linearWithin) {
	case porcupine.Illegal:
		h.Fail("no order explains %s", explains)
		for _, op := range ops {
			h.Note("%d to %d: %+v", op.Call, op.Return, op.Input)
		}
	case porcupine.Unknown:
		h.Reach("history too long to check")
	}
}
