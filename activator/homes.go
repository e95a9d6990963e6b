package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Who is where: an instance holds its GPUs while it is awake, and lives in its slot from its launch until it is gone.

// occupy marks the instance's GPUs as held.
func (p *Planner) occupy(now time.Duration, i *instance) {
	if i.slot == nil || i.housed {
		return
	}
	p.settleIn(i)
	i.housed = true
	for g := i.GPU; g < i.GPU+i.GPUs && g < len(i.slot.awake); g++ {
		i.slot.awake[g] = i
	}
	p.pool(i.slot.Pool).awake += i.GPUs
	i.m.awake.step(now, 1)
}

// settleIn enters the instance among those who live in its slot, awake or not.
func (p *Planner) settleIn(i *instance) {
	if slices.Contains(i.slot.homes, i) {
		return
	}
	i.slot.homes = append(i.slot.homes, i)
	if m := i.m; !i.slot.counted && !slices.Contains(m.nodes, i.slot.Node) {
		m.nodes = append(m.nodes, i.slot.Node)
	}
}

// vacate marks them as free. A parked instance goes on living there.
func (p *Planner) vacate(now time.Duration, i *instance) {
	if i.slot == nil {
		return
	}
	if i.State != fleet.Asleep {
		i.slot.homes = slices.DeleteFunc(i.slot.homes, func(o *instance) bool { return o == i })
	}
	if !i.housed {
		return
	}
	i.housed = false
	i.m.awake.step(now, -1)
	i.slot.quietAt = now
	for g, o := range i.slot.awake {
		if o == i {
			i.slot.awake[g] = i.slot.holder(g)
		}
	}
	p.pool(i.slot.Pool).awake -= i.GPUs
}

// holder gives who holds a GPU; nil = nobody. There may be two where an adopted one that is being stopped may have been parked.
func (s *slot) holder(gpu int) *instance {
	for _, o := range s.homes {
		if o.housed && o.covers(gpu) {
			return o
		}
	}
	return nil
}

// claimed reports whether a reservation overlaps the block: any, or those before the given one.
func (s *slot) claimed(gpu, gpus int, before *instance) bool {
	for _, c := range s.claims {
		if c == before {
			return false
		}
		if c.overlaps(gpu, gpus) {
			return true
		}
	}
	return false
}

// taken reports whether somebody holds a GPU of the block.
func (s *slot) taken(gpu, gpus int) bool {
	for g := gpu; g < gpu+gpus; g++ {
		if s.awake[g] != nil {
			return true
		}
	}
	return false
}

// unclaim ends the instance's reservation.
func (i *instance) unclaim() {
	i.claiming = false
	i.slot.claims = slices.DeleteFunc(i.slot.claims, func(c *instance) bool { return c == i })
}

// freeAround gives the size of the largest free aligned block that contains this one.
func (s *slot) freeAround(gpu, size int) int {
	for bigger := size * 2; bigger <= s.GPUs; bigger *= 2 {
		from := gpu / bigger * bigger
		if from+bigger > s.GPUs || s.taken(from, bigger) || s.claimed(from, bigger, nil) {
			return bigger / 2
		}
		size = bigger
	}
	return size
}

// livingOn gives the number of instances whose home is on the GPU.
func (s *slot) livingOn(gpu int) int {
	n := 0
	for _, o := range s.homes {
		if o.covers(gpu) {
			n++
		}
	}
	return n
}

// living gives the host memory that all who live in the slot would take if they were parked.
func (s *slot) living() fleet.Bytes {
	var sum fleet.Bytes
	for _, o := range s.homes {
		sum += o.m.ParkedMemory
	}
	return sum
}

func (i *instance) overlaps(gpu, gpus int) bool { return i.GPU < gpu+gpus && gpu < i.GPU+i.GPUs }

// sharedWith gives how many instances of other models that live on the block are awake on average.
func (p *Planner) sharedWith(now time.Duration, m *model, s *slot, gpu int) float64 {
	sum := 0.0
	for _, o := range s.homes {
		if o.m != m && o.overlaps(gpu, m.GPUs) {
			sum += o.m.awake.value(now) / float64(o.m.homes())
		}
	}
	return sum
}
