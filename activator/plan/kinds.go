package plan

import "time"

// stay says what an instance takes of its place.
type stay int

const (
	nowhere  stay = iota
	homed         // it lives there, and holds no GPU
	holdsGPU      // it holds its GPUs
)

// hostStay says what an instance takes of its slot's host memory.
type hostStay int

const (
	outOfHost hostStay = iota
	promised           // draining: nobody has a lease on it, and it is parked as soon as there is room
	inHost             // its weights are there, or may be
)

// trust says who may have leases on an instance.
type trust int

const (
	ownLaunch trust = iota // those that this planner gave
	adopted                // from an earlier life of the planner: perhaps somebody who is not known
	proven                 // adopted, and nobody unknown has one any more
)

// ease says what the cheapest GPU of a slot may take. Each pool keeps its slots apart by it, so that a search begins where rooms are cheap, and need not look
// at all others to know that none there is better.
type ease int

const (
	somethingLeaves ease = iota // a GPU is free, is about to be, or is held by a start, which may be given up
	somethingIdles              // or an idle instance can be evicted
	allBusy                     // or busy ones must be drained
	eases
)

const stopTime = 2 * time.Second // about what a stop takes

// effort says how far one must go for a room, from nothing to draining busy instances.
type effort int

const (
	isFree effort = iota
	evictsIdle
	awaitsDraining // somebody who is going away anyway still serves there
	drainsBusy
)
