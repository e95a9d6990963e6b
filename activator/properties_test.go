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
	// rapid replays failures that it saved without saying so.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }, unsound{}, true)
		if err := h.run(rapid.IntRange(10, 150).Draw(t, "steps")); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(h.log, "\n"))
		}
	})
}

// seeded plays the history of one seed.
func seeded(seed uint64, broken unsound, logs bool) (*history, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	h := newHistory(r.IntN, broken, logs)
	return h, h.run(30 + r.IntN(200))
}

// TestProperties_ManyHistories goes through many more histories than rapid does in the same time, the same ones each time.
func TestProperties_ManyHistories(t *testing.T) {
	first, n := uint64(0), uint64(2000)
	if testing.Short() {
		n = 500
	}
	if s := os.Getenv("HISTORIES"); s != "" { // a soak: the first seed is drawn from HISTORIES
		first, n = fnv(s), 1<<40
	}
	for seed := first; seed-first < n; seed++ {
		if _, err := seeded(seed, unsound{}, false); err != nil {
			h, _ := seeded(seed, unsound{}, true)
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
	}{
		{"the queue is bounded", unsound{queueBound: true}, 0},
		{"leases stay within the share", unsound{overlease: true}, 0},
		{"an open breaker is obeyed", unsound{breaker: true}, 0},
		{"an expired table grants nothing", unsound{expiry: true}, 2340},
		{"an older table is ignored", unsound{oldTables: true}, 470},
		{"orgs have their turns", unsound{unfair: true}, 0},
		{"waiters are told of failed starts", unsound{deaf: true}, 0},
		{"an older report is ignored", unsound{oldReports: true}, 0},
		{"no stop before the share was given back", unsound{noAck: true}, 0},
		{"reported leases count", unsound{leaseBlind: true}, 0},
		{"shares add up to the capacity", unsound{overshare: true}, 0},
		{"no reservation without demand", unsound{noDemand: true}, 0},
		{"a failed start backs off", unsound{noBackoff: true}, 0},
		{"no launch on GPUs in use", unsound{gpuBlind: true}, 0},
		{"what a source never listed is not gone", unsound{forget: true}, 0},
		{"an expired dispatcher may still have streams", unsound{noRunning: true}, 0},
	}
	for _, row := range rows {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			for seed := row.from; seed < row.from+20000; seed++ {
				if _, err := seeded(seed, row.broken, false); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("no history noticed")
		})
	}
}
