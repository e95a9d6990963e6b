package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Tune replaces the limits of a pool. Parked instances that are over a new one are stopped, the cheapest to lose first; nobody awake is moved.
func (p *Planner) Tune(now time.Duration, name string, limits fleet.Pool) error {
	for _, q := range p.pools {
		if q.Name == name && name != dedicatedPool {
			limits.Name = name
			q.Pool = limits
			p.tuned(now, q)
			return nil
		}
	}
	return ErrUnknownPool
}

// tuned acts on new limits, and has the policy asked about everyone whom they concern.
func (p *Planner) tuned(now time.Duration, q *pool) {
	for _, m := range p.models {
		m.stale = m.stale || m.pool == q.Name
	}
	for _, s := range p.slots {
		if s.Pool != q.Name || s.counted {
			continue
		}
		for x := p.overLimit(now, s); x != nil; x = p.overLimit(now, s) {
			p.stop(now, x, "more are parked than its pool is tuned to hold")
		}
	}
}

// overLimit gives the parked instance that is cheapest to lose of those that are more than the slot's GPUs or host memory may hold; nil =
// all may stay.
func (p *Planner) overLimit(now time.Duration, s *slot) *instance {
	var asleep []*instance
	var inHost fleet.Bytes
	on := make([]int, s.GPUs)
	for _, i := range s.homes {
		if i.State != fleet.Asleep || i.claiming {
			continue // who is about to be awake leaves its bed
		}
		asleep = append(asleep, i)
		inHost += i.m.ParkedMemory
		for g := i.GPU; g < i.GPU+i.GPUs; g++ {
			on[g]++
		}
	}
	most := p.hostMemory(s)
	overHost := most > 0 && inHost > most
	var best *instance
	least := 0.0
	for _, i := range asleep {
		if !overHost && !crowds(i, on, p.pool(s.Pool).MaxParkedPerGPU) || !p.visible(i) {
			continue
		}
		if v := p.parkedValue(now, i); best == nil || v < least {
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
