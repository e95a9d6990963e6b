package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Parking keeps an engine whose GPUs are wanted: its weights go to host memory, and it is resumed on the same GPUs. Three limits hold:
// beside an awake engine at most max_parked_per_gpu parked ones on each of its GPUs, for each still holds some of their memory; the
// host memory of the slot; and what the policy wishes parked of the model. Where one of the first two is reached, the parked
// instance that is cheapest to lose is stopped, and the park waits until it is gone.

const furtherCopy = 0.3 // what a parked copy is worth for each other of its model

// mayHold gives what parked engines may come to hold on each GPU of the pool.
func (q *pool) mayHold() fleet.Bytes {
	return fleet.Bytes(q.MaxParkedPerGPU) * q.ParkedGPUMemory
}

// hostMemory gives what parked engines may take of the slot's host memory; 0 = no limit.
func (p *Planner) hostMemory(s *slot) fleet.Bytes {
	if s.Host > 0 {
		return s.Host
	}
	return p.pool(s.Pool).HostMemory
}

// parkable reports whether the instance could be parked, if there is a bed for it.
func (p *Planner) parkable(i *instance) bool {
	if !i.canPark || i.slot == nil || i.slot.counted || i.slot.lost || i.slot.dropping || i.m.unlisted || p.pool(i.slot.Pool).MaxParkedPerGPU == 0 {
		return false
	}
	most := p.hostMemory(i.slot)
	return most == 0 || i.m.ParkedMemory <= most
}

// wantsParked reports whether an instance that must go should be parked: the policy, asked now, wishes one more parked.
func (p *Planner) wantsParked(now time.Duration, i *instance) bool {
	if !p.parkable(i) {
		return false
	}
	kept := 0
	for _, o := range i.m.instances {
		if o != i && !o.claiming && (o.State == fleet.Asleep || o.State == fleet.Parking || o.State == fleet.Draining && o.parks) {
			kept++
		}
	}
	return p.ask(now, i.m).Parked > kept
}

// finishDrains parks or stops the draining instances on which nobody has a lease any more.
func (p *Planner) finishDrains(now time.Duration) {
	for _, i := range p.instances {
		if i.State != fleet.Draining {
			continue
		}
		for n := range i.holds {
			p.give(i, n, 0)
		}
		if !p.revoked(i) && !(i.parks && p.unsound.parksEarly) {
			continue
		}
		switch {
		case !i.parks || !p.parkable(i):
			p.stop(now, i, i.reason)
		case p.bed(i, (*instance).hasBed):
			p.park(now, i)
		case p.bed(i, (*instance).keepsBed): // who makes room for it is on its way out
			i.awaitsBed = true
		case !p.evictFor(now, i):
			p.stop(now, i, i.reason+"; parked ones are worth more")
		}
	}
}

// hasBed reports whether the instance takes a bed, or one is kept for it.
func (i *instance) hasBed() bool { return i.inHost || i.awaitsBed }

// keepsBed reports whether it is not about to leave it for good.
func (i *instance) keepsBed() bool {
	return i.hasBed() && i.State != fleet.Stopping && i.State != fleet.Failed
}

// bed reports whether there is room to park the instance beside those who count.
func (p *Planner) bed(i *instance, counts func(*instance) bool) bool {
	if most := p.hostMemory(i.slot); most > 0 && !p.unsound.hostBlind {
		used := i.m.ParkedMemory
		for _, o := range i.slot.homes {
			if o != i && counts(o) {
				used += o.m.ParkedMemory
			}
		}
		if used > most {
			return false
		}
	}
	return p.crowded(i, counts) < 0
}

// crowded gives the first GPU of the instance's block on which more of those who count are parked than may be once the instance is parked
// as well, or awake with them; -1 = none. One that is about to be resumed there does not count for one that parks: it leaves its bed
// before anyone is awake beside it.
func (p *Planner) crowded(i *instance, counts func(*instance) bool) int {
	q := p.pool(i.slot.Pool)
	most := q.MaxParkedPerGPU
	switch {
	case i.State == fleet.Draining:
		most--
	case i.launched && q.ParkedGPUMemory > 0: // the pool may have been tuned since
		most = int(min(fleet.Bytes(most), i.room/q.ParkedGPUMemory))
	}
	if p.unsound.sleeperBlind {
		return -1
	}
	for g := i.GPU; g < i.GPU+i.GPUs; g++ {
		n := 0
		for _, o := range i.slot.homes {
			leaves := o.claiming && i.State == fleet.Draining || o.State == fleet.Resuming
			if o != i && counts(o) && !leaves && o.covers(g) {
				n++
			}
		}
		if n > most {
			return g
		}
	}
	return -1
}

func (i *instance) covers(gpu int) bool { return i.GPU <= gpu && gpu < i.GPU+i.GPUs }

// park orders the parking of an instance on which nobody has a lease.
func (p *Planner) park(now time.Duration, i *instance) {
	from := i.State
	i.State, i.inHost, i.awaitsBed, i.drainedAt = fleet.Parking, true, false, now
	i.m.stale = true
	p.order(now, i, fleet.ActPark)
	p.note(now, i, from, i.reason)
}

// parked notes that the GPUs of an instance are free.
func (p *Planner) parked(now time.Duration, i *instance) {
	from := i.State
	took := now - i.drainedAt
	if now-i.readyAt >= settled {
		i.m.failures = 0
	}
	i.m.parks.add(took)
	p.learned = append(p.learned, fleet.Learned{Model: i.Model, From: fleet.Hot, Durations: i.m.parks.copy()})
	i.State, i.adopted = fleet.Asleep, false // nobody can have a lease on it, whoever gave one
	i.m.stale = true
	p.note(now, i, from, i.reason)
	p.vacate(now, i)
	p.tell(now, fleet.Event{Kind: fleet.EventParked, Model: i.Model, N: 1, Took: took})
}

// evictFor stops parked instances until there will be a bed for one that is to be parked; false = it is itself the cheapest to lose, or no
// room can be made, and nobody is stopped.
func (p *Planner) evictFor(now time.Duration, i *instance) bool {
	worth := p.parkedValue(now, i)
	var out []*instance
	stays := func(o *instance) bool { return o.keepsBed() && !slices.Contains(out, o) }
	for !p.bed(i, stays) {
		x := p.cheapestAsleep(now, i, p.crowded(i, stays), out)
		if x == nil || p.parkedValue(now, x) > worth {
			return false
		}
		out = append(out, x)
	}
	for _, x := range out {
		p.stop(now, x, "its bed is wanted for "+i.Model)
	}
	i.awaitsBed = true
	return true
}

// cheapestAsleep gives the parked instance in the slot, on a GPU of it or on any (-1), that is cheapest to lose; nil = none can be stopped.
func (p *Planner) cheapestAsleep(now time.Duration, i *instance, gpu int, but []*instance) *instance {
	var best *instance
	least := 0.0
	for _, o := range i.slot.homes {
		if o == i || o.State != fleet.Asleep || o.claiming || gpu >= 0 && !o.covers(gpu) || slices.Contains(but, o) || !p.visible(o) {
			continue
		}
		if v := p.parkedValue(now, o); best == nil || v < least {
			best, least = o, v
		}
	}
	return best
}

// parkedValue gives what losing the instance would cost if it is or were parked, per GB of host memory.
func (p *Planner) parkedValue(now time.Duration, i *instance) float64 {
	v := p.ask(now, i.m).ParkedValue
	for _, o := range i.m.instances {
		if o != i && !o.leaving() {
			v *= furtherCopy
		}
	}
	return v
}

// makeWay stops the cheapest of those who are parked beside an instance that is about to be awake, while there are too many; false =
// somebody must still go.
func (p *Planner) makeWay(now time.Duration, i *instance) bool {
	if i.slot.counted || p.crowded(i, (*instance).hasBed) < 0 {
		return true
	}
	for g := p.crowded(i, (*instance).keepsBed); g >= 0; g = p.crowded(i, (*instance).keepsBed) {
		x := p.cheapestAsleep(now, i, g, nil)
		if x == nil {
			x = i.slot.lastClaimAsleep(i, g) // it is started anew, or elsewhere
		}
		if x == nil {
			return false
		}
		p.stop(now, x, "too many are parked beside "+i.Model)
	}
	return false
}

// lastClaimAsleep gives the parked instance on the GPU whose reservation is the youngest; nil = there is none.
func (s *slot) lastClaimAsleep(but *instance, gpu int) *instance {
	for _, c := range slices.Backward(s.claims) {
		if c != but && c.State == fleet.Asleep && c.covers(gpu) {
			return c
		}
	}
	return nil
}

// seeAsleep takes the word of a slot that an instance is parked, or is being parked. One that served is no use to those who have leases on it.
func (p *Planner) seeAsleep(now time.Duration, i *instance, seen fleet.State) {
	switch {
	case i.State == fleet.Parking && seen == fleet.Asleep && i.due == "":
		p.parked(now, i)
	case i.State == fleet.Ready:
		p.dismiss(now, i, "was parked without being asked")
	}
}

// relapse takes the news that an instance could not be resumed, and is parked as before. One that cannot be resumed twice in a row is
// started anew.
func (p *Planner) relapse(now time.Duration, i *instance, s *fleet.Sighting) {
	if i.State != fleet.Resuming || s.Act != i.lastAct {
		return // news of an attempt before
	}
	i.relapses++
	if i.relapses >= relapsesMost {
		p.makeMemory(now, i, s)
		p.fail(now, i, s.Failure)
		return
	}
	from := i.State
	i.State, i.reason, i.due = fleet.Asleep, s.Failure, ""
	p.note(now, i, from, s.Failure)
	p.endActivation(now, i, s.Failure)
	p.countFailure(now, i)
	p.vacate(now, i)
	p.makeMemory(now, i, s)
}

const relapsesMost = 2

// makeMemory stops the cheapest of those who are parked on the GPUs of an instance that found too little memory there: they hold more than
// was planned.
func (p *Planner) makeMemory(now time.Duration, i *instance, s *fleet.Sighting) {
	if starts := i.State == fleet.Starting || i.State == fleet.Resuming || i.State == fleet.Asleep; !s.Short || !starts || i.slot == nil || i.slot.counted {
		return
	}
	for g := i.GPU; g < i.GPU+i.GPUs; g++ {
		if x := p.cheapestAsleep(now, i, g, nil); x != nil {
			p.stop(now, x, "holds GPU memory that "+i.Model+" lacks")
			return
		}
	}
}
