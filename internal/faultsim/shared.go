package faultsim

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// SharedHistory is what the histories of servers that share a Database have in common. A world embeds it, and plays in a bubble of synctest: see PlayBubble.
type SharedHistory[C any] struct {
	History
	Store   *Database[C]
	Faults  []time.Duration // how long a fault may last
	Settles time.Duration   // so long after a fault it may still be felt

	mu      sync.Mutex // guards all below; nothing else is locked under it
	counts  map[string]int
	failure string
	healthy time.Time // from then on nothing has failed
	moment  int64
	ops     []porcupine.Operation
}

// PlayBubble plays a history in a bubble, and then holds that the model allows some order of what was done, which explains what is named. The error says which
// promise was broken.
func (h *SharedHistory[C]) PlayBubble(t *testing.T, play func() error, model porcupine.Model, explains string) (err error) {
	synctest.Test(t, func(*testing.T) {
		defer func() {
			if what := recover(); what != nil {
				fmt.Fprintf(os.Stderr, "panic: %v\n%s", what, debug.Stack()) // goroutines that are left hide it
				err = fmt.Errorf("panic: %v", what)
			}
		}()
		err = play()
	})
	if err == nil {
		h.CheckLinear(model, h.ops, explains)
		err = h.broken
	}
	return err
}

// Play is History's, and ends then all that still runs.
func (h *SharedHistory[C]) Play(kinds []Kind, calm, end func()) error {
	err := h.History.Play(kinds, h.Settle, calm)
	end()
	h.mu.Lock()
	defer h.mu.Unlock()
	for what, n := range h.counts {
		for range n {
			h.Reached(what)
		}
	}
	if err == nil && h.failure != "" {
		err = fmt.Errorf("broken promise: %s", h.failure)
	}
	return err
}

// Settle lets what was done have its effect.
func (h *SharedHistory[C]) Settle() {
	time.Sleep(time.Duration(1_000_000 + h.Choose(200_000_000)))
	synctest.Wait()
	h.Step()
	if h.Logs() {
		h.Store.Look(func(c *C) { h.Note("  %s: %v", time.Now().Format("15:04:05.000"), c) })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure != "" {
		h.Fail("%s", h.failure)
	}
}

// Count counts a rare state, as Reached does, from any goroutine.
func (h *SharedHistory[C]) Count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make(map[string]int)
	}
	h.counts[what]++
}

// Broke notes a broken promise, as Fail does, from any goroutine.
func (h *SharedHistory[C]) Broke(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure == "" {
		h.failure = fmt.Sprintf(format, args...)
	}
}

// Unwell says that something fails until a moment.
func (h *SharedHistory[C]) Unwell(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if until.After(h.healthy) {
		h.healthy = until
	}
}

// UnwellOnly says that something fails until a moment, and that all else of which Unwell was told is over.
func (h *SharedHistory[C]) UnwellOnly(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.healthy = until
}

// Healthy reports whether nothing failed at a moment, nor since.
func (h *SharedHistory[C]) Healthy(at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.healthy.Before(at)
}

// Until chooses how long a fault lasts.
func (h *SharedHistory[C]) Until() time.Time {
	until := time.Now().Add(Pick(h.Tape, h.Faults))
	h.Unwell(until.Add(h.Settles))
	return until
}

// StepAway has nobody reach the store for a while.
func (h *SharedHistory[C]) StepAway() { h.Store.Away(h.Until()) }

// StepSlow has the store take its time for a while.
func (h *SharedHistory[C]) StepSlow() { h.Store.Slow(h.Until()) }

// StepTime lets some time pass.
func (h *SharedHistory[C]) StepTime() {
	time.Sleep(Pick(h.Tape, []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 6 * time.Second}))
}

// Tick gives the next moment of the order in which things are said and heard.
func (h *SharedHistory[C]) Tick() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	return h.moment
}

// Did records what was asked for at a moment, and is done now.
func (h *SharedHistory[C]) Did(what any, called int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	h.ops = append(h.ops, porcupine.Operation{ClientId: len(h.ops), Input: what, Call: called, Return: h.moment})
}

// PickWhere chooses one of those in a list for which it holds; the zero value = there is none.
func PickWhere[T any](t *Tape, s []T, holds func(T) bool) (none T) {
	all := slices.DeleteFunc(slices.Clone(s), func(one T) bool { return !holds(one) })
	if len(all) == 0 {
		return none
	}
	return Pick(t, all)
}
