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
	resumes *instance     // the parked instance that is resumed there; nil = a new one is started
	victims []*instance   // idle ones that are parked or stopped for it
	needs   effort        // what it takes
	value   float64       // what the victims are worth, in seconds of one request's waiting
	wait    time.Duration // estimate until it is free
	hold    time.Duration // until all who are busy there have had their residence
	loss    float64       // what draining those costs who use them, in seconds of one request's waiting
	start   time.Duration // and then until the instance is ready
	cost    float64       // all of it, in seconds of one request's waiting
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

// findRoom gives the best room for one more instance of the model that takes no more than the given effort and displaces less than bid;
// false = there is none. A wish without demand starts nothing while an instance could be resumed.
func (p *Planner) findRoom(now time.Duration, m *model, most effort, bid float64) (room, bool) {
	if m.dedicated() {
		return p.findNode(now, m, most, bid)
	}
	best, found := room{}, false
	consider := func(r *room) {
		if p.assess(now, m, r, most) && (r.needs == isFree || r.value < bid) && (!found || r.better(&best)) {
			best, found = *r, true
		}
	}
	resumable := false
	for _, i := range m.instances {
		if i.resumable() {
			resumable = true
			consider(&room{slot: i.slot, gpu: i.GPU, resumes: i, start: p.takes(m, fleet.Parked)})
		}
	}
	if resumable && !p.demanded(now, m) {
		return best, found
	}
	cold := p.takes(m, fleet.Cold)
	for _, s := range p.slots {
		if !s.open() || s.Pool != m.pool || s.GPUs < m.GPUs {
			continue
		}
		if m.GPUs == 0 {
			return room{slot: s}, true
		}
		for gpu := 0; gpu+m.GPUs <= s.GPUs; gpu += align(m.GPUs) {
			consider(&room{slot: s, gpu: gpu, start: cold})
		}
	}
	return best, found
}

// resumable reports whether the instance is parked, or will be, and has no reservation yet.
func (i *instance) resumable() bool {
	will := i.State == fleet.Asleep || i.State == fleet.Parking || i.State == fleet.Draining && i.parks
	return will && !i.claiming && i.slot != nil && i.slot.open()
}

// better orders rooms; the earlier one wins a tie.
func (r *room) better(than *room) bool {
	if r.cost != than.cost {
		return r.cost < than.cost
	}
	return r.fit < than.fit
}

// price adds up what the room costs: the waiting of those who wait, and what the victims are worth.
func (p *Planner) price(now time.Duration, m *model, r *room) {
	r.cost = (r.wait+r.start).Seconds()*float64(max(m.waiting, 1)) + r.value
	if r.resumes == nil {
		r.cost += p.settlingCost(now, m, r)
	}
}

// settlingCost prefers for a new instance a node that has its weights, a slot without another copy of the model, for a large model would
// displace both, and GPUs on which few others live and those are seldom awake: whoever lives there too can never be hot at the same time.
func (p *Planner) settlingCost(now time.Duration, m *model, r *room) float64 {
	cost := 0.0
	if len(m.nodes) > 0 && !slices.Contains(m.nodes, r.slot.Node) {
		cost += strangeNode
	}
	if slices.ContainsFunc(r.slot.homes, func(o *instance) bool { return o.m == m }) {
		cost += togetherCost
	}
	most := p.pool(r.slot.Pool).MaxParkedPerGPU
	if most == 0 {
		return cost
	}
	homes := 0
	for g := r.gpu; g < r.gpu+m.GPUs; g++ {
		homes = max(homes, r.slot.livingOn(g))
	}
	cost += crowdCost*float64(homes) + sharedCost*p.sharedWith(now, m, r.slot, r.gpu)
	if homes >= most {
		cost += fullCost
	}
	if limit := p.hostMemory(r.slot); limit > 0 && r.slot.living()+m.ParkedMemory > limit {
		cost += fullCost
	}
	return cost
}

// What places cost that are otherwise equal, in seconds of one request's waiting.
const (
	togetherCost = 3.0
	strangeNode  = 1.0   // the weights may not be there
	crowdCost    = 0.5   // for each instance that lives on the same GPU
	sharedCost   = 100.0 // for each of those if it were always awake
	fullCost     = 60.0  // when it is parked, another must go
)

// assess finds out what a block takes; false = more than it may.
func (p *Planner) assess(now time.Duration, m *model, r *room, most effort) bool {
	for _, c := range r.slot.claims {
		if !c.overlaps(r.gpu, m.GPUs) {
			continue
		}
		if most < drainsBusy || c.m == m {
			return false
		}
		r.needs, r.hold = drainsBusy, max(r.hold, p.takes(c.m, c.from)+p.cfg.Residence)
		r.wait = max(r.wait, r.hold+c.m.service+p.leaves(c))
	}
	r.wait = max(r.wait, p.pendingFor(now, r.slot))
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
	p.price(now, m, r)
	return true
}

func (p *Planner) assessOccupant(now time.Duration, m *model, r *room, o *instance, most effort) bool {
	needs, wait, hold := p.effortFor(now, o)
	if needs > most || o.m == m && !o.leaving() {
		return false
	}
	if needs == drainsBusy && m.waiting > 0 {
		wait += max(hold, m.oldest+p.cfg.Patience-now)
	}
	r.needs, r.wait, r.hold = max(r.needs, needs), max(r.wait, wait), max(r.hold, hold)
	if o.leaving() {
		return true
	}
	if p.protected(now, o, r.victims) {
		return false
	}
	switch needs {
	case stopsIdle:
		r.victims = append(r.victims, o)
	case drainsBusy:
		loss := p.ask(now, o.m).HotValue
		r.loss += loss
		r.value += drainCost + min(loss, drainCostMost)
		return true
	}
	r.value += p.ask(now, o.m).HotValue
	return true
}

// What it costs to take a busy instance from those who use it, in seconds of one request's waiting: so much beyond its HotValue, which counts for at most so
// much where rooms are compared. More would have models started cold all over the cluster to spare others one drain.
const (
	drainCost     = 5.0
	drainCostMost = 30.0
)

// leaving reports whether the instance gives its GPUs back whatever happens.
func (i *instance) leaving() bool {
	return i.State == fleet.Stopping || i.State == fleet.Failed || i.State == fleet.Draining || i.State == fleet.Parking
}

// leaves estimates how long an instance takes to give its GPUs back.
func (p *Planner) leaves(o *instance) time.Duration {
	if o.State == fleet.Parking || p.parkable(o) {
		return p.takes(o.m, fleet.Hot)
	}
	return stopTime
}

// effortFor says what it takes to free what the instance holds, and estimates how long: once it may be drained, and until then. A stream that has outlived its estimate is expected
// to run as long again.
func (p *Planner) effortFor(now time.Duration, o *instance) (needs effort, wait, hold time.Duration) {
	leaves := p.leaves(o)
	switch {
	case o.leaving() && p.hotView(o).Leases > 0:
		return awaitsDraining, leaves + max(o.m.service, now-o.drainedAt), 0
	case o.State == fleet.Parking:
		return stopsIdle, max(o.drainedAt+leaves-now, 0), 0
	case o.leaving() || p.idle(o):
		return stopsIdle, leaves, 0
	case o.State == fleet.Ready:
		return drainsBusy, leaves + o.m.service, max(o.readyAt+p.cfg.Residence-now, 0)
	default:
		left := max(o.launchedAt+p.takes(o.m, o.from)-now, 0)
		return drainsBusy, leaves + o.m.service, p.cfg.Residence + left
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

var anything = math.Inf(1) // the bid of one who must not be outbid
