package faultsim

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Tape gives the choices of one history, and keeps what became of it. It belongs to one goroutine.
type Tape struct {
	random *rand.Rand // nil = it is played again from blocks
	blocks [][]int    // choices: of the setup, of each thing that happens, of the calm
	at     int        // the block that is played
	next   int        // of its choices
	left   int        // so many blocks are still to be drawn
	steps  int
	counts map[string]int // faults and rare states
	logs   bool
	log    []string
	sum    uint64 // of all choices and notes
}

// blocksMost bounds what is drawn between setup and calm.
const blocksMost = 400

// newTape gives the tape of a seed.
func newTape(seed uint64, logs bool) *Tape {
	random := rand.New(rand.NewPCG(seed, 1))
	return &Tape{random: random, blocks: [][]int{nil}, left: 10 + random.IntN(blocksMost-9), counts: make(map[string]int), logs: logs}
}

// replay gives a tape with known choices. A choice beyond its block's is 0.
func replay(blocks [][]int, logs bool) *Tape {
	return &Tape{blocks: blocks, counts: make(map[string]int), logs: logs}
}

// Choose gives 0 to n-1.
func (t *Tape) Choose(n int) int {
	if n <= 1 {
		return 0
	}
	choice := 0
	if block := &t.blocks[t.at]; t.random != nil {
		choice = t.random.IntN(n)
		*block = append(*block, choice)
	} else if t.next < len(*block) {
		choice = (*block)[t.next] % n
		t.next++
	}
	t.mix(uint64(n)<<32 | uint64(choice))
	return choice
}

// More begins the block of another thing that happens; false = that of the calm.
func (t *Tape) More() bool {
	t.at, t.next = t.at+1, 0
	if t.random == nil {
		return t.at < len(t.blocks)-1
	}
	t.blocks = append(t.blocks, nil)
	t.left--
	return t.left >= 0
}

// Step counts one simulated step.
func (t *Tape) Step() { t.steps++ }

// Reach counts a rare state, or a fault.
func (t *Tape) Reach(what string) { t.counts[what]++ }

// Logs reports whether notes are kept.
func (t *Tape) Logs() bool { return t.logs }

// Note keeps a line for those who read a history.
func (t *Tape) Note(format string, args ...any) {
	if t.logs {
		line := fmt.Sprintf(format, args...)
		for _, b := range []byte(line) {
			t.mix(uint64(b))
		}
		t.log = append(t.log, line)
	}
}

// mix goes on with FNV-1a.
func (t *Tape) mix(v uint64) { t.sum = (t.sum ^ v) * 1099511628211 }

// Pick chooses one of a list.
func Pick[T any](t *Tape, s []T) T { return s[t.Choose(len(s))] }

// clone gives the choices so far, with a block of the calm though it may not have been reached.
func (t *Tape) clone() [][]int {
	blocks := slices.Clone(t.blocks)
	if t.random != nil && t.left >= 0 {
		blocks = append(blocks, nil)
	}
	for k := range blocks {
		blocks[k] = slices.Clone(blocks[k])
	}
	return blocks
}
