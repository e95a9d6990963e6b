package plan

import (
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestProperties looks for a history that breaks a promise, and shrinks it.
func TestProperties(t *testing.T) {
	for _, w := range worlds {
		t.Run(string(w), func(t *testing.T) { explore(t, w) })
	}
}

func explore(t *testing.T, w world) {
	// rapid replays failures that it saved without saying so.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }, w, true)
		if err := h.run(rapid.IntRange(10, 150).Draw(t, "steps")); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(h.log, "\n"))
		}
	})
}

// seeded plays the history of one seed.
func seeded(seed uint64, w world, logs bool) (*history, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	h := newHistory(r.IntN, w, logs)
	return h, h.run(30 + r.IntN(200))
}

// fnv is FNV-1a.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// TestProperties_ManyHistories goes through many more histories than rapid does in the same time, the same ones each time.
func TestProperties_ManyHistories(t *testing.T) {
	for _, w := range worlds {
		t.Run(string(w), func(t *testing.T) { playMany(t, w) })
	}
}

func playMany(t *testing.T, w world) {
	first, n := uint64(0), uint64(2000)
	if testing.Short() {
		n = 500
	}
	if s := os.Getenv("HISTORIES"); s != "" { // a soak: the first seed is drawn from HISTORIES
		first, n = fnv(s), 1<<40
	}
	for seed := first; seed-first < n; seed++ {
		if _, err := seeded(seed, w, false); err != nil {
			h, _ := seeded(seed, w, true)
			h.dump()
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(h.log, "\n"))
		}
	}
}
