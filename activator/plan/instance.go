package plan

import (
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
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

// nextPark says what its next park is to those who learn what parks take.
func (i *instance) nextPark() fleet.Tier {
	if i.slept {
		return fleet.Hot
	}
	return fleet.FirstPark
}

// keepsCopy reports whether it takes host memory though it is awake: its engine has been parked, and those of its model keep their copy.
func (i *instance) keepsCopy() bool { return i.slept && i.m.keeps && i.stay == holdsGPU }

// goesOnKeepingCopy reports whether that is so, and it is not about to leave for good.
func (i *instance) goesOnKeepingCopy() bool {
	return i.keepsCopy() && i.State != fleet.Stopping && i.State != fleet.Failed
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
