package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// parking keeps engines whose GPUs are wanted: their weights go to host memory, and they are resumed on the same GPUs. Three limits hold:
// beside an awake engine at most max_parked_per_gpu parked ones on each of its GPUs, for each still holds some of their memory; the
// host memory of the slot; and what the policy wishes parked of the model. Where one of the first two is reached, the parked
// instance that is cheapest to lose is stopped, and the park waits until it is gone.
type parking struct {
	*state
	demand  *demand
	life    *lifecycle
	sharing *sharing
}

// finishDrains parks or stops the draining instances on which nobody has a lease any more, of those where something has changed.
func (p *parking) finishDrains(now time.Duration) {
	var still []*instance
	for _, i := range slices.Clone(p.draining) {
		if i.State != fleet.Draining {
			continue
		}
		if !i.sharesDirty && !p.touched(i) {
			still = append(still, i)
			continue
		}
		for n := range i.holds {
			p.sharing.give(i, n, 0)
		}
		if p.sharing.revoked(now, i) {
			p.finishDrain(now, i)
		}
		if i.State == fleet.Draining {
			still = append(still, i)
		}
	}
	p.draining = still
}

func (p *parking) finishDrain(now time.Duration, i *instance) {
	switch {
	case i.next != fleet.Parking || !i.parkable():
		p.life.stop(now, i, i.reason)
	case p.fits(i, there):
		p.life.park(now, i)
	case p.fits(i, stays): // who makes room for it is on its way out
		i.host = promised
	case !p.evictFor(now, i):
		p.life.stop(now, i, i.reason+"; parked ones are worth more")
	}
}

// counting says who takes room among the parked ones: those who are, and, of host memory, those who are awake and keep their copy there.
type counting struct{ parked, copies func(*instance) bool }

// Those who are there, and those of them who are not about to leave for good.
var (
	there = counting{(*instance).countsAsParked, (*instance).keepsCopy}
	stays = counting{(*instance).staysParked, (*instance).goesOnKeepingCopy}
)

// countsAsParked reports whether the instance takes room among the parked ones.
func (i *instance) countsAsParked() bool { return i.host != outOfHost }

// staysParked reports whether it is not about to leave it for good.
func (i *instance) staysParked() bool {
	return i.countsAsParked() && i.State != fleet.Stopping && i.State != fleet.Failed
}

// fits reports whether there is room to park the instance beside those who count.
func (p *parking) fits(i *instance, counts counting) bool {
	s := i.at.(*slot)
	if most := s.hostMemory(); most > 0 {
		used := i.parkedMemory()
		for _, o := range s.residents {
			if o != i && (counts.parked(o) || counts.copies(o)) {
				used += o.parkedMemory()
			}
		}
		if used > most {
			return false
		}
	}
	return p.crowdedGPU(i, counts.parked) < 0
}

// crowdedGPU gives the first GPU of the instance's block on which more of those who count are parked than may be once the instance is parked
// as well, or awake with them; -1 = none. One that is about to be resumed there does not count for one that parks: it leaves its room
// before anyone is awake beside it.
func (p *parking) crowdedGPU(i *instance, counts func(*instance) bool) int {
	s := i.at.(*slot)
	most := s.pool.MaxParkedPerGPU
	switch {
	case i.State == fleet.Draining:
		most--
	case i.exists() && s.pool.ParkedGPUMemory > 0: // the pool may have been tuned since
		most = int(min(fleet.Bytes(most), i.parkedRoom()/s.pool.ParkedGPUMemory))
	}
	for g := i.GPU; g < i.GPU+i.GPUs; g++ {
		n := 0
		for _, o := range s.residents {
			leaves := o.reserved != nil && i.State == fleet.Draining || o.State == fleet.Resuming
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

// evictFor stops parked instances until there will be room for one that is to be parked; false = it is itself the cheapest to lose, or no
// room can be made, and nobody is stopped.
func (p *parking) evictFor(now time.Duration, i *instance) bool {
	worth := p.demand.parkedValue(now, i)
	var out []*instance
	left := counting{func(o *instance) bool { return o.staysParked() && !slices.Contains(out, o) }, (*instance).goesOnKeepingCopy}
	for !p.fits(i, left) {
		x := p.cheapestAsleep(now, i, p.crowdedGPU(i, left.parked), out)
		if x == nil || p.demand.parkedValue(now, x) > worth {
			return false
		}
		out = append(out, x)
	}
	for _, x := range out {
		p.life.stop(now, x, "its room is wanted for "+i.Model)
	}
	i.host = promised
	return true
}

// cheapestAsleep gives the parked instance in the slot, on a GPU of it or on any (-1), that is cheapest to lose; nil = none can be stopped.
func (p *parking) cheapestAsleep(now time.Duration, i *instance, gpu int, but []*instance) *instance {
	var best *instance
	least := 0.0
	for _, o := range i.at.common().residents {
		if o == i || o.State != fleet.Asleep || o.reserved != nil || gpu >= 0 && !o.covers(gpu) || slices.Contains(but, o) || !o.visible() {
			continue
		}
		if v := p.demand.parkedValue(now, o); best == nil || v < least {
			best, least = o, v
		}
	}
	return best
}

// crowded reports whether too many are parked beside an instance that is about to be awake, on their way out or not.
func (p *parking) crowded(i *instance) bool {
	return i.inSlot() && p.crowdedGPU(i, (*instance).countsAsParked) >= 0
}

// makeWay stops the cheapest of those who are parked beside an instance that is about to be awake, until those who stay are not too many.
func (p *parking) makeWay(now time.Duration, i *instance) {
	for g := p.crowdedGPU(i, (*instance).staysParked); g >= 0; g = p.crowdedGPU(i, (*instance).staysParked) {
		x := p.cheapestAsleep(now, i, g, nil)
		if x == nil {
			x = i.at.(*slot).youngestReservedAsleep(i, g) // it is started anew, or elsewhere
		}
		if x == nil {
			return
		}
		p.life.stop(now, x, "too many are parked beside "+i.Model)
	}
}

// youngestReservedAsleep gives the parked instance on the GPU whose reservation is the youngest; nil = there is none.
func (s *slot) youngestReservedAsleep(but *instance, gpu int) *instance {
	for _, o := range slices.Backward(s.reserved) {
		if o != but && o.State == fleet.Asleep && o.covers(gpu) {
			return o
		}
	}
	return nil
}

// freeMemory stops the cheapest of those who are parked on the GPUs of an instance that found too little memory there: they hold more than
// was planned.
func (p *parking) freeMemory(now time.Duration, i *instance) {
	if starts := i.activates() || i.State == fleet.Asleep; !starts || !i.inSlot() || i.seen == nil || i.seen.Seen == nil || !i.seen.Seen.Short {
		return
	}
	for g := i.GPU; g < i.GPU+i.GPUs; g++ {
		if x := p.cheapestAsleep(now, i, g, nil); x != nil {
			p.life.stop(now, x, "holds GPU memory that "+i.Model+" lacks")
			return
		}
	}
}

// learnCopy notes what engines of the model do with their copy in host memory while they are awake, as one of them shows. Where it turns out to be kept, fewer
// may stay parked beside it.
func (p *parking) learnCopy(now time.Duration, i *instance) {
	if i.seen.Seen == nil || i.seen.Seen.Copy == "" || i.m.keeps == (i.seen.Seen.Copy == fleet.CopyKept) {
		return
	}
	i.m.keeps = i.seen.Seen.Copy == fleet.CopyKept
	for _, o := range slices.Clone(i.m.instances) {
		if s, in := o.at.(*slot); in && i.m.keeps {
			p.trimSlot(now, s)
		}
	}
}

// trim stops the parked instances that are over the limits to which the pool is tuned, the cheapest to lose first.
func (p *parking) trim(now time.Duration, q *pool) {
	for _, s := range q.slots {
		p.trimSlot(now, s)
	}
}

func (p *parking) trimSlot(now time.Duration, s *slot) {
	for x := p.overLimit(now, s); x != nil; x = p.overLimit(now, s) {
		p.life.stop(now, x, "more are parked than there is room for")
	}
}

// overLimit gives the parked instance that is cheapest to lose of those that are more than the slot's GPUs or host memory may hold; nil =
// all may stay.
func (p *parking) overLimit(now time.Duration, s *slot) *instance {
	var asleep []*instance
	var inHost fleet.Bytes
	on := make([]int, s.GPUs)
	for _, i := range s.residents {
		if i.goesOnKeepingCopy() {
			inHost += i.parkedMemory()
		}
		if i.State != fleet.Asleep || i.reserved != nil {
			continue // who is about to be awake leaves its room
		}
		asleep = append(asleep, i)
		inHost += i.parkedMemory()
		for g := i.GPU; g < i.GPU+i.GPUs; g++ {
			on[g]++
		}
	}
	most := s.hostMemory()
	overHost := most > 0 && inHost > most
	var best *instance
	least := 0.0
	for _, i := range asleep {
		if !overHost && !crowds(i, on, s.pool.MaxParkedPerGPU) || !i.visible() {
			continue
		}
		if v := p.demand.parkedValue(now, i); best == nil || v < least {
			best, least = i, v
		}
	}
	return best
}

// crowds reports whether the instance lies on a GPU on which there are more than so many.
func crowds(i *instance, on []int, most int) bool {
	for g := i.GPU; g < i.GPU+i.GPUs; g++ {
		if on[g] > most {
			return true
		}
	}
	return false
}
