package faultsim

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// BubbleHistory is what histories have in common that play in a bubble of synctest, in which several goroutines see what happens. A world embeds it: see
// PlayBubble.
type BubbleHistory struct {
	History
	Faults  []time.Duration // how long a fault may last
	Settles time.Duration   // so long after a fault it may still be felt

	mu      sync.Mutex // guards all below; nothing else is locked under it
	counts  map[string]int
	failure string
	healthy time.Time // from then on nothing has failed
	moment  int64
	ops     []porcupine.Operation
}

// PlayBubble plays a history in a bubble. The error says which promise was broken.
func (h *BubbleHistory) PlayBubble(t *testing.T, play func() error) (err error) {
	synctest.Test(t, func(*testing.T) {
		defer func() {
			if what := recover(); what != nil {
				fmt.Fprintf(os.Stderr, "panic: %v\n%s", what, debug.Stack()) // goroutines that are left hide it
				err = fmt.Errorf("panic: %v", what)
			}
		}()
		err = play()
	})
	return err
}

// Play is History's, in which each step settles as the world says, and ends then all that still runs.
func (h *BubbleHistory) Play(kinds []Kind, settle, calm, end func()) error {
	err := h.History.Play(kinds, settle, calm)
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

// Settle lets what was done have its effect; shows gives what is noted then.
func (h *BubbleHistory) Settle(shows func() string) {
	time.Sleep(time.Duration(1_000_000 + h.Choose(200_000_000)))
	synctest.Wait()
	h.Step()
	if h.Logs() {
		h.Note("  %s: %s", time.Now().Format("15:04:05.000"), shows())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure != "" {
		h.Fail("%s", h.failure)
	}
}

// Count counts a rare state, as Reached does, from any goroutine.
func (h *BubbleHistory) Count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make(map[string]int)
	}
	h.counts[what]++
}

// Broke notes a broken promise, as Fail does, from any goroutine.
func (h *BubbleHistory) Broke(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure == "" {
		h.failure = fmt.Sprintf(format, args...)
	}
}

// Unwell says that something fails until a moment.
func (h *BubbleHistory) Unwell(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if until.After(h.healthy) {
		h.healthy = until
	}
}

// UnwellOnly says that something fails until a moment, and that all else of which Unwell was told is over.
func (h *BubbleHistory) UnwellOnly(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.healthy = until
}

// Healthy reports whether nothing failed at a moment, nor since.
func (h *BubbleHistory) Healthy(at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.healthy.Before(at)
}

// Until chooses how long a fault lasts.
func (h *BubbleHistory) Until() time.Time {
	until := time.Now().Add(Pick(h.Tape, h.Faults))
	h.Unwell(until.Add(h.Settles))
	return until
}

// StepTime lets some time pass.
func (h *BubbleHistory) StepTime() {
	time.Sleep(Pick(h.Tape, []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 6 * time.Second}))
}

// Tick gives the next moment of the order in which things are said and heard.
func (h *BubbleHistory) Tick() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	return h.moment
}

// Did records what was asked for at a moment, and is done now.
func (h *BubbleHistory) Did(what any, called int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment++
	h.ops = append(h.ops, porcupine.Operation{ClientId: len(h.ops), Input: what, Call: called, Return: h.moment})
}
