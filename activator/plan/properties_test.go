package plan

import (
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
)

// TestFaults plays histories full of faults, each from its seed: see faultsim.
func TestFaults(t *testing.T) {
	for _, w := range worlds {
		t.Run(string(w), func(t *testing.T) {
			faultsim.Run(t, faultsim.World{Play: func(tape *faultsim.Tape) error { return newHistory(tape, w).run() }, Rare: rare[w]}, 700, 40)
		})
	}
}

// fnv is FNV-1a.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
