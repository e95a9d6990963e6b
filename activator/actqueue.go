package activator

import (
	"sync"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// actsAtOnce bounds the calls of the back end: Nomad takes 100 connections from one client, and some are for watching.
const actsAtOnce = 64

// actQueue holds the acts that wait for a worker, in their order. The planner has at most one act of an instance under way, so no two of one
// instance are ever carried out at once.
type actQueue struct {
	mu      sync.Mutex // guards what follows
	waiting []fleet.Act
	workers int
}

func (q *actQueue) add(acts []fleet.Act) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, acts...)
}

// drop forgets the acts that nobody has taken.
func (q *actQueue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = nil
}

// hire gives the number of workers to start now. Each takes acts until there are none.
func (q *actQueue) hire() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), actsAtOnce-q.workers)
	q.workers += n
	return n
}

// next gives a worker its next act; false = there is none, and the worker ends.
func (q *actQueue) next() (fleet.Act, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.workers--
		return fleet.Act{}, false
	}
	act := q.waiting[0]
	q.waiting = q.waiting[1:]
	return act, true
}
