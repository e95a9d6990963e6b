package faultsim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// World is a kind of histories.
type World struct {
	Play func(*Tape) error // plays one; the error says which promise was broken
	Rare []string          // states that a long run has to reach
}

// play plays a history. A panic breaks a promise, too.
func (w *World) play(tape *Tape) (err error) {
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("panic: %v\n%s", what, debug.Stack())
		}
	}()
	return w.Play(tape)
}

// Variables of the environment that say what is played.
const (
	budgetEnv = "PILOTLIGHT_FAULTS"        // so many steps ("10000000"), or so long ("30s"), from fresh seeds, instead of the test's own
	seedEnv   = "PILOTLIGHT_FAULTS_SEED"   // this history alone, with its notes
	resultEnv = "PILOTLIGHT_FAULTS_RESULT" // a file to which the outcome is added
	shrinkEnv = "PILOTLIGHT_FAULTS_SHRINK" // "off": the history of a failing seed is played as it is
)

// Run plays n histories, or so many as a short run has, of seeds from 0 on; or what the environment says: see `just simulate-faults`.
func Run(t *testing.T, w World, n, short int) {
	t.Helper()
	if testing.Short() {
		n = short
	}
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
		if !w.playOne(t, seed) {
			t.Fail()
		}
		return
	}
	r := &run{w: w, last: uint64(n), began: time.Now()}
	if text := os.Getenv(budgetEnv); text != "" {
		if err := r.limit(text); err != nil {
			t.Fatalf("%s: %v", budgetEnv, err)
		}
		t.Logf("seeds from %d on", r.first)
	}
	r.play()
	o := r.outcome()
	t.Log(o)
	if r.failed {
		t.Logf("seed %d breaks a promise after %.1f s", r.failure, time.Since(r.began).Seconds())
		if w.playOne(t, r.failure) {
			t.Logf("seed %d kept its promises when it was played again: the world is not deterministic", r.failure)
		}
		t.FailNow()
	}
	if err := w.twice(r.first); err != nil {
		t.Error(err)
	}
	r.wantRare(t, o)
	if path := os.Getenv(resultEnv); path != "" {
		o.World = worldOf(t.Name())
		if err := o.keep(path); err != nil {
			t.Error(err)
		}
	}
}

// playOne plays the history of a seed, and reports whether it kept all promises. Where it did not, it shows the shortest that does not either.
func (w *World) playOne(t *testing.T, seed uint64) bool {
	t.Helper()
	tape := newTape(seed, true)
	err := w.play(tape)
	t.Logf("seed %d: %d steps, sum %x", seed, tape.steps, tape.sum)
	if err == nil {
		return true
	}
	t.Logf("seed %d: %v", seed, err)
	short := tape
	if os.Getenv(shrinkEnv) != "off" {
		short = replay(shrink(w.play, tape.clone(), err), true)
		err = w.play(short)
		t.Logf("the shortest history that was found breaks a promise after %d steps: %v", short.steps, err)
	}
	t.Logf("\n%s", strings.Join(short.log, "\n"))
	t.Logf("to play it again: %s=%d go test -count=1 -run '^%s$' ./…", seedEnv, seed, strings.ReplaceAll(t.Name(), "/", "$/^"))
	return false
}

// run plays many histories at once, each in a goroutine of its own.
type run struct {
	w           World
	first, last uint64    // seeds; the last is not played
	stepsMost   int       // 0 = no limit
	until       time.Time // zero = no limit
	began       time.Time

	mu      sync.Mutex // guards all below
	next    uint64
	steps   int
	seeds   int
	counts  map[string]int
	failed  bool
	failure uint64 // the smallest seed that failed
}

// limit takes a budget: steps, or a duration.
func (r *run) limit(text string) error {
	r.first, r.last = rand.Uint64N(1<<40), 1<<63
	if steps, err := strconv.Atoi(strings.ReplaceAll(text, "_", "")); err == nil {
		r.stepsMost = steps
		return nil
	}
	d, err := time.ParseDuration(text)
	r.until = r.began.Add(d)
	return err
}

func (r *run) play() {
	r.next, r.counts = r.first, make(map[string]int)
	var players sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			for seed, ok := r.take(); ok; seed, ok = r.take() {
				tape := newTape(seed, false)
				r.note(seed, tape, r.w.play(tape))
			}
		})
	}
	players.Wait()
}

// take gives the next seed.
func (r *run) take() (uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := r.failed || r.next >= r.last || r.stepsMost > 0 && r.steps >= r.stepsMost || !r.until.IsZero() && time.Now().After(r.until)
	if !over {
		r.next++
	}
	return r.next - 1, !over
}

func (r *run) note(seed uint64, tape *Tape, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seeds++
	r.steps += tape.steps
	for what, n := range tape.counts {
		r.counts[what] += n
	}
	if err != nil && (!r.failed || seed < r.failure) {
		r.failed, r.failure = true, seed
	}
}

// twice plays the history of a seed twice. The error says where the two differ: such a failure could not be played again.
func (w *World) twice(seed uint64) error {
	once, again := newTape(seed, true), newTape(seed, true)
	if err := errors.Join(w.play(once), w.play(again)); err != nil {
		return err
	}
	if once.sum == again.sum {
		return nil
	}
	k := 0
	for k < min(len(once.log), len(again.log)) && once.log[k] == again.log[k] {
		k++
	}
	return fmt.Errorf("seed %d is more than one history, from note %d on: %q, and %q", seed, k, once.log[k:min(k+1, len(once.log))], again.log[k:min(k+1, len(again.log))])
}

// rareAfter is a number of histories that reach what can be reached.
const rareAfter = 5000

// wantRare says which rare states were never reached.
func (r *run) wantRare(t *testing.T, o *outcome) {
	t.Helper()
	for _, what := range r.w.Rare {
		switch {
		case r.counts[what] > 0:
		case r.seeds >= rareAfter:
			t.Errorf("never reached in %d histories: %s", r.seeds, what)
		default:
			t.Logf("never reached, in %d histories only: %s", r.seeds, what)
		}
	}
}
