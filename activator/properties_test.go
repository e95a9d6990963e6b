package activator

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
	t.Run("slots", func(t *testing.T) { explore(t, false) })
	t.Run("nodes", func(t *testing.T) { explore(t, true) })
}

func explore(t *testing.T, dedicated bool) {
	// rapid replays failures that it saved without saying so.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }, unsound{}, dedicated, true)
		if err := h.run(rapid.IntRange(10, 150).Draw(t, "steps")); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(h.log, "\n"))
		}
	})
}

// seeded plays the history of one seed.
func seeded(seed uint64, broken unsound, dedicated, logs bool) (*history, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	h := newHistory(r.IntN, broken, dedicated, logs)
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
	t.Run("slots", func(t *testing.T) { playMany(t, false) })
	t.Run("nodes", func(t *testing.T) { playMany(t, true) })
}

func playMany(t *testing.T, dedicated bool) {
	first, n := uint64(0), uint64(2000)
	if testing.Short() {
		n = 500
	}
	if s := os.Getenv("HISTORIES"); s != "" { // a soak: the first seed is drawn from HISTORIES
		first, n = fnv(s), 1<<40
	}
	for seed := first; seed-first < n; seed++ {
		if _, err := seeded(seed, unsound{}, dedicated, false); err != nil {
			h, _ := seeded(seed, unsound{}, dedicated, true)
			h.dump()
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(h.log, "\n"))
		}
	}
}

// TestProperties_NoticeBrokenRules breaks one rule at a time: some history must notice.
func TestProperties_NoticeBrokenRules(t *testing.T) {
	rows := []struct {
		rule   string
		broken unsound
		from   uint64 // the seed from which on to look: some rules are seldom missed
		nodes  bool   // instances are placed on nodes by the back end
	}{
		{"an older report is ignored", unsound{oldReports: true}, 0, false},
		{"no stop before the share was given back", unsound{noAck: true}, 0, false},
		{"reported leases count", unsound{leaseBlind: true}, 0, false},
		{"shares add up to the capacity", unsound{overshare: true}, 0, false},
		{"no reservation without demand", unsound{noDemand: true}, 0, false},
		{"a failed start backs off", unsound{noBackoff: true}, 0, false},
		{"no launch on GPUs in use", unsound{gpuBlind: true}, 0, false},
		{"what a source never listed is not gone", unsound{forget: true}, 0, false},
		{"an expired dispatcher may still have streams", unsound{noRunning: true}, 0, false},
		{"no park before the share was given back", unsound{parksEarly: true}, 0, false},
		{"parked ones fit in host memory", unsound{hostBlind: true}, 0, false},
		{"no more are parked on a GPU than may be", unsound{sleeperBlind: true}, 700, false},
		{"no resume on GPUs in use", unsound{wakesEarly: true}, 0, false},
		{"no launch on a node without room", unsound{gpuBlind: true}, 0, true},
		{"what cannot be seen is not stopped", unsound{stopsUnseen: true}, 0, true},
		{"what liveness misses is asked first", unsound{trustsConsul: true}, 0, true},
		{"what a node's source never listed is not gone", unsound{forget: true}, 0, true},
	}
	for _, row := range rows {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			for seed := row.from; seed < row.from+20000; seed++ {
				if _, err := seeded(seed, row.broken, row.nodes, false); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("no history noticed")
		})
	}
}
