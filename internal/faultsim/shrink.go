package faultsim

import (
	"slices"
	"strings"
	"time"
)

// shrinker looks for a shorter history that breaks the same promise.
type shrinker struct {
	play     func(*Tape) error
	promise  string
	blocks   [][]int // of the shortest that was found
	deadline time.Time
	tries    int
}

const (
	triesMost  = 4000
	shrinkMost = 30 * time.Second // a bound on what is tried; within it the outcome is the same each time
)

// shrink gives the blocks of the shortest history that was found.
func shrink(play func(*Tape) error, blocks [][]int, err error) [][]int {
	s := &shrinker{play: play, promise: promiseOf(err), blocks: blocks, deadline: time.Now().Add(shrinkMost)}
	for before := -1; before != s.size(); {
		before = s.size()
		s.dropBlocks()
		s.simplifyBlocks()
	}
	return s.blocks
}

// promiseOf gives what an error says without what differs from one history to another: the words without a digit.
func promiseOf(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n") // of a panic, what it says
	words := slices.DeleteFunc(strings.Fields(first), func(w string) bool { return strings.ContainsAny(w, "0123456789") })
	return strings.Join(words, " ")
}

func (s *shrinker) size() (sum int) {
	for _, b := range s.blocks {
		sum += 1 + len(b)
	}
	return sum
}

// try takes the blocks if they break a promise.
func (s *shrinker) try(blocks [][]int) bool {
	if s.tries++; s.tries > triesMost || time.Now().After(s.deadline) {
		return false
	}
	if err := s.play(replay(blocks, false)); err == nil || promiseOf(err) != s.promise {
		return false
	}
	s.blocks = blocks
	return true
}

// dropBlocks takes out what happens, many at once first. Setup and calm stay.
func (s *shrinker) dropBlocks() {
	for size := len(s.blocks) / 2; size > 0; size /= 2 {
		for at := len(s.blocks) - 1 - size; at >= 1; at -= size {
			if at+size < len(s.blocks) {
				s.try(slices.Delete(slices.Clone(s.blocks), at, at+size))
			}
		}
	}
}

// simplifyBlocks has each block's choices be none, or the half.
func (s *shrinker) simplifyBlocks() {
	for at := len(s.blocks) - 1; at >= 1; at-- {
		for most := 0; most < len(s.blocks[at]); most = max(2*most, 1) {
			shorter := slices.Clone(s.blocks)
			shorter[at] = shorter[at][:most]
			if s.try(shorter) {
				break
			}
		}
	}
}
