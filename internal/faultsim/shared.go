package faultsim

import (
	"fmt"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// SharedHistory is what the histories of servers that share a Database have in common. A world embeds it.
type SharedHistory[C any] struct {
	BubbleHistory
	Store *Database[C]
}

// PlayBubble is BubbleHistory's, and then holds that the model allows some order of what was done, which explains what is named.
func (h *SharedHistory[C]) PlayBubble(t *testing.T, play func() error, model porcupine.Model, explains string) error {
	err := h.BubbleHistory.PlayBubble(t, play)
	if err == nil {
		h.CheckLinear(model, h.ops, explains)
		err = h.broken
	}
	return err
}

// Play is BubbleHistory's.
func (h *SharedHistory[C]) Play(kinds []Kind, calm, end func()) error {
	return h.BubbleHistory.Play(kinds, h.Settle, calm, end)
}

// Settle lets what was done have its effect.
func (h *SharedHistory[C]) Settle() {
	h.BubbleHistory.Settle(func() (text string) {
		h.Store.Look(func(c *C) { text = fmt.Sprint(c) })
		return text
	})
}

// StepAway has nobody reach the store for a while.
func (h *SharedHistory[C]) StepAway() { h.Store.Away(h.Until()) }

// StepSlow has the store take its time for a while.
func (h *SharedHistory[C]) StepSlow() { h.Store.Slow(h.Until()) }

// PickWhere chooses one of those in a list for which it holds; the zero value = there is none.
func PickWhere[T any](t *Tape, s []T, holds func(T) bool) (none T) {
	all := slices.DeleteFunc(slices.Clone(s), func(one T) bool { return !holds(one) })
	if len(all) == 0 {
		return none
	}
	return Pick(t, all)
}
