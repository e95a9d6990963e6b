package plan

import (
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instance is one engine as the planner knows it, from the reservation of its GPUs until it is gone. It is three small states, each with its own
// transitions:
//
//	reservation   none ◄──► waits for its GPUs
//	engine        none ──► starting ──► ready ──► draining ──► stopping ──► gone
//	                          │          ▲          │            ▲
//	                          └─► failed │          └─► parking ─┤
//	                                │    │                 ▼     │
//	                              gone   └─ resuming ◄─ parked ──┘
//	act           none ──► due ──► on its way ──► none (accepted) or due (refused)
//
// A parked instance keeps its block of GPUs as its home: it holds them only while it is awake, and can be resumed nowhere else. It may have a
// reservation too: it is then parked, or being parked, and waits for its own GPUs.
type instance struct {
	fleet.Instance // State: of the engine; "" = there is none yet
	m              *model
	seen           *roster.Instance // what the roster knows of it; nil until its launch is ordered
	reserved       *reservation     // nil = none
	order          order

	at    place // where it is or will be; nil = not known yet
	stay  stay
	host  hostStay
	next  fleet.State // draining: what follows, parking or stopping
	trust trust

	from       fleet.Tier // of its last activation
	phase      fleet.Phase
	reason     string
	failure    string
	activation *activation
	waited     time.Duration // in its last activation, by the model's requests

	began        time.Duration // reserved
	launchedAt   time.Duration // or resumed
	readyAt      time.Duration
	leavingAt    time.Duration // draining, parking, stopping: since when
	served       bool          // it was ready once
	failedWakes  int           // resumes that failed in a row
	outdated     bool          // the config has changed since it was launched: another is to take its place
	drainsOthers bool          // launched, and not placed: busy ones may be drained for it

	holds []hold // by dispatcher
	spare bool

	effort      knownEffort
	sharesDirty bool // listed in state.sharesDirty
}

// reservation is a block of GPUs that is kept for an instance until it can be launched or resumed there.
type reservation struct {
	drains bool // busy instances there may be drained for it
}

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

// exists reports whether there is an engine, or may be.
func (i *instance) exists() bool { return i.State != "" }

// activates reports whether the engine is on its way to ready.
func (i *instance) activates() bool { return i.State == fleet.Starting || i.State == fleet.Resuming }

// leaving reports whether the instance gives its GPUs back whatever happens.
func (i *instance) leaving() bool {
	return i.State == fleet.Stopping || i.State == fleet.Failed || i.State == fleet.Draining || i.State == fleet.Parking
}

// parks reports whether the instance is draining, and is parked then.
func (i *instance) parks() bool { return i.State == fleet.Draining && i.next == fleet.Parking }

// capacity gives the leases that it may have.
func (i *instance) capacity() int {
	if i.Spec != nil && i.Spec.MaxConcurrency > 0 {
		return i.Spec.MaxConcurrency
	}
	return i.m.capacity
}

// parkedMemory gives the host memory that it takes while it is parked.
func (i *instance) parkedMemory() fleet.Bytes {
	if i.Spec != nil {
		return i.Spec.ParkedMemory
	}
	return i.m.ParkedMemory
}

// parkedRoom gives what it leaves on each of its GPUs for parked ones; an earlier life may not have said.
func (i *instance) parkedRoom() fleet.Bytes {
	if i.Spec == nil {
		return math.MaxInt64
	}
	return i.Spec.ParkedRoom
}

// canPark reports whether its slot has said that it can be parked.
func (i *instance) canPark() bool { return i.seen != nil && i.seen.CanPark }

// visible reports whether whoever is believed for its existence can be reached.
func (i *instance) visible() bool { return i.seen == nil || i.seen.Visible() }

// unplaced says why the back end has not placed an instance that was launched; "" = it has, or nothing is known to hinder it.
func (i *instance) unplaced() fleet.Unplaced {
	if i.State != fleet.Starting || i.seen == nil || i.seen.Seen == nil || i.seen.Seen.Node != "" {
		return ""
	}
	return i.seen.Seen.Unplaced
}

// waitsForNode reports whether the instance was launched, and the back end has found no node for it yet.
func (i *instance) waitsForNode() bool { return i.unplaced() != "" }

// inSlot reports whether it is on numbered GPUs.
func (i *instance) inSlot() bool {
	_, is := i.at.(*slot)
	return is
}

func (i *instance) covers(gpu int) bool { return i.GPU <= gpu && gpu < i.GPU+i.GPUs }

func (i *instance) overlaps(gpu, gpus int) bool { return i.GPU < gpu+gpus && gpu < i.GPU+i.GPUs }

// resumable reports whether the instance is parked, or will be, and has no reservation yet.
func (i *instance) resumable() bool {
	will := i.State == fleet.Asleep || i.State == fleet.Parking || i.parks()
	return will && i.reserved == nil && !i.outdated && i.at != nil && i.at.common().takesLaunches()
}

// leases gives the leases that the dispatchers have reported.
func (i *instance) leases() int {
	n := 0
	for k := range i.holds {
		n += i.holds[k].leases
	}
	return n
}

// idleSince gives the moment since which an idle instance has been so.
func (i *instance) idleSince() time.Duration {
	at := i.readyAt
	for k := range i.holds {
		at = max(at, i.holds[k].idleAt)
	}
	return at
}

// took gives how long the move has taken that began then; 0 = not known: an earlier life has ordered it.
func (i *instance) took(now, began time.Duration) time.Duration {
	if i.order.last == 0 {
		return 0
	}
	return now - began
}
