package activator

import (
	"math"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// room is a block of GPUs for an instance, and what must happen before it is free. Blocks are those of a buddy layout: one of 2^n
// GPUs begins at a multiple of 2^n, so that two blocks are nested or apart.
type room struct {
	slot    *slot
	gpu     int
	victims []*instance   // idle ones that are stopped for it
	needs   effort        // what it takes
	value   float64       // what the victims are worth, in seconds of one request's waiting
	wait    time.Duration // estimate until it is free
	fit     int           // GPUs of the largest free block around it, or left over on the node: the smaller, the less is broken up
}

// effort says how far one must go for a room, from nothing to draining busy instances.
type effort int

const (
	isFree effort = iota
	stopsIdle
	awaitsDraining // somebody who is going away anyway still serves there
	drainsBusy
)

// align gives the size of the block that holds so many GPUs.
func align(gpus int) int {
	size := 1
	for size < gpus {
		size *= 2
	}
	return size
}

// findRoom gives the best block for one more instance of the model that takes no more than the given effort and displaces less than bid;
// false = there is none.
func (p *Planner) findRoom(now time.Duration, m *model, most effort, bid float64) (room, bool) {
	if m.dedicated() {
		return p.findNode(now, m, most, bid)
	}
	best, found := room{}, false
	for _, s := range p.slots {
		if s.lost || s.Pool != m.pool || s.GPUs < m.GPUs {
			continue
		}
		if m.GPUs == 0 {
			return room{slot: s}, true
		}
		for gpu := 0; gpu+m.GPUs <= s.GPUs; gpu += align(m.GPUs) {
			r := room{slot: s, gpu: gpu}
			if p.assess(now, m, &r, most) && (r.needs == isFree || r.value < bid) && (!found || r.better(&best)) {
				best, found = r, true
			}
		}
	}
	return best, found
}

// better orders rooms; the earlier one wins a tie.
func (r *room) better(than *room) bool {
	if (r.needs == isFree) != (than.needs == isFree) {
		return r.needs == isFree
	}
	if r.needs == isFree {
		return r.fit < than.fit
	}
	return r.value+r.wait.Seconds() < than.value+than.wait.Seconds()
}

// assess finds out what a block takes; false = more than it may.
func (p *Planner) assess(now time.Duration, m *model, r *room, most effort) bool {
	if r.slot.claimed(r.gpu, m.GPUs, nil) {
		if most < drainsBusy {
			return false
		}
		r.needs, r.wait = drainsBusy, p.cfg.Residence
	}
	var last *instance
	for g := r.gpu; g < r.gpu+m.GPUs; g++ {
		o := r.slot.awake[g]
		if o == nil || o == last {
			continue
		}
		last = o
		if !p.assessOccupant(now, m, r, o, most) {
			return false
		}
	}
	if r.needs == isFree {
		r.fit = r.slot.freeAround(r.gpu, align(m.GPUs))
	}
	return true
}

func (p *Planner) assessOccupant(now time.Duration, m *model, r *room, o *instance, most effort) bool {
	needs, wait := p.effortFor(now, o)
	if needs > most || o.m == m && !o.leaving() {
		return false
	}
	r.needs, r.wait = max(r.needs, needs), max(r.wait, wait)
	if o.leaving() {
		return true
	}
	if p.protected(now, o, r.victims) {
		return false
	}
	if needs == stopsIdle {
		r.victims = append(r.victims, o)
	}
	r.value += p.ask(now, o.m).HotValue
	return true
}

// leaving reports whether the instance goes away whatever happens.
func (i *instance) leaving() bool {
	return i.State == fleet.Stopping || i.State == fleet.Failed || i.State == fleet.Draining
}

// effortFor says what it takes to free what the instance holds, and estimates how long.
func (p *Planner) effortFor(now time.Duration, o *instance) (effort, time.Duration) {
	switch {
	case o.leaving() && p.hotView(o).Leases > 0:
		return awaitsDraining, stopTime + o.m.service
	case o.leaving():
		return stopsIdle, stopTime
	case p.idle(o):
		return stopsIdle, stopTime
	case o.State == fleet.Ready:
		return drainsBusy, stopTime + o.m.service + max(o.readyAt+p.cfg.Residence-now, 0)
	default:
		left, _ := o.m.past(o.from).remaining(now - o.launchedAt)
		return drainsBusy, stopTime + o.m.service + p.cfg.Residence + left
	}
}

const stopTime = 2 * time.Second // about what a stop takes

// idle reports whether the instance serves nobody and nobody waits for it, as far as every dispatcher has said since it has known
// of its share.
func (p *Planner) idle(o *instance) bool {
	if o.State != fleet.Ready || o.m.waiting > 0 || len(o.holds) == 0 || !p.visible(o) {
		return false
	}
	for n := range o.holds {
		h := &o.holds[n]
		if h.leases > 0 || h.foreign > 0 || !h.settled() || p.peers[n].lapsed && p.bound(o, n) > 0 {
			return false
		}
	}
	return true
}

// idleSince gives the moment since which an idle instance has been so.
func (o *instance) idleSince() time.Duration {
	at := o.readyAt
	for n := range o.holds {
		at = max(at, o.holds[n].idleAt)
	}
	return at
}

// protected reports whether the instance may not be taken away: it cannot be seen, or instances.min or an operator's hold keep it.
func (p *Planner) protected(now time.Duration, o *instance, taken []*instance) bool {
	if !p.visible(o) {
		return true
	}
	left := o.m.hot()
	for _, v := range taken {
		if v.m == o.m {
			left--
		}
	}
	keep := 0
	if !o.m.stopped && !o.m.unlisted {
		keep = o.m.Instances.Min
		if o.m.held(now) {
			keep = max(keep, 1)
		}
	}
	return left <= keep && keep > 0
}

// occupy marks the instance's GPUs as held.
func (p *Planner) occupy(i *instance) {
	if i.slot == nil {
		return
	}
	if i.slot.counted {
		i.slot.residents = append(i.slot.residents, i)
	}
	for g := i.GPU; g < i.GPU+i.GPUs && g < len(i.slot.awake); g++ {
		i.slot.awake[g] = i
	}
	p.pool(i.slot.Pool).awake += i.GPUs
}

// vacate marks them as free.
func (p *Planner) vacate(i *instance) {
	if i.slot == nil || !i.launched {
		return
	}
	i.slot.residents = slices.DeleteFunc(i.slot.residents, func(o *instance) bool { return o == i })
	for g, o := range i.slot.awake {
		if o == i {
			i.slot.awake[g] = nil
		}
	}
	p.pool(i.slot.Pool).awake -= i.GPUs
}

// claimed reports whether a reservation overlaps the block: any, or those before the given one.
func (s *slot) claimed(gpu, gpus int, before *instance) bool {
	for _, c := range s.claims {
		if c == before {
			return false
		}
		if c.GPU < gpu+gpus && gpu < c.GPU+c.GPUs {
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

func (s *slot) unclaim(i *instance) {
	s.claims = slices.DeleteFunc(s.claims, func(c *instance) bool { return c == i })
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

var anything = math.Inf(1) // the bid of one who must not be outbid
