// Package rounds has callers wait for what a round brings, which asks the store once for all who wait then. It makes no round, holds no lock and keeps no
// goroutine: its owner does.
package rounds

import (
	"slices"
	"time"
)

// Waiting are those who wait for one thing; the zero value is nobody. Its owner's lock guards it.
//
//	Join ──► waits ──► Look: a round has begun after it has joined ──► Answer ──► Wait gives the answer
//	           └─ its moment has passed ──► Leave, and Wait gives false
type Waiting struct{ all []*Waiter }

// Waiter is one who waits.
type Waiter struct {
	got   chan bool
	until time.Time
	seen  bool // by a round: its outcome is the waiter's
}

// Join adds one, who is to Wait without the lock, until a moment at the latest.
func (w *Waiting) Join(until time.Time) *Waiter {
	one := &Waiter{got: make(chan bool, 1), until: until}
	w.all = append(w.all, one)
	return one
}

// Len is how many wait.
func (w *Waiting) Len() int { return len(w.all) }

// First is the moment at which the first of them waits no longer; zero = nobody waits.
func (w *Waiting) First() (first time.Time) {
	for _, one := range w.all {
		if first.IsZero() || one.until.Before(first) {
			first = one.until
		}
	}
	return first
}

// Look begins a round: its outcome is of all who wait now. It gives how many they are.
func (w *Waiting) Look() int {
	for _, one := range w.all {
		one.seen = true
	}
	return len(w.all)
}

// Answer tells whom a round has seen what it has brought, and gives how many they are. The others wait for the next one.
func (w *Waiting) Answer(more bool) int {
	before := len(w.all)
	w.all = slices.DeleteFunc(w.all, func(one *Waiter) bool {
		if one.seen {
			one.got <- more
		}
		return one.seen
	})
	return before - len(w.all)
}

// Release has nobody wait: all get false, whether a round has seen them or not.
func (w *Waiting) Release() {
	w.Look()
	w.Answer(false)
}

// Leave undoes the waiting of one, who may be gone already.
func (w *Waiting) Leave(one *Waiter) {
	w.all = slices.DeleteFunc(w.all, func(other *Waiter) bool { return other == one })
}

// Wait gives the answer, or false once its moment has passed. Then it calls leave, which has it Leave under the owner's lock. It is called once.
func (w *Waiter) Wait(leave func()) bool {
	late := time.NewTimer(time.Until(w.until))
	defer late.Stop()
	select {
	case more := <-w.got:
		return more
	case <-late.C:
		leave()
		return false
	}
}

// Nudge has whoever makes the rounds look, unless it is about to: c holds one.
func Nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Nudged takes what Nudge has left, and reports whether there was anything.
func Nudged(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
