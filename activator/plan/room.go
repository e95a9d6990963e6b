package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// room is GPUs for an instance, and what must happen before they are free.
type room struct {
	at      place
	gpu     int
	resumes *instance     // the parked instance that is resumed there; nil = a new one is started
	victims []*instance   // idle ones that are parked or stopped for it, and starts that nobody wants any more
	slots   []*slot       // on a node: slots that nobody needs and that are given back for it
	needs   effort        // what it takes
	value   float64       // what the victims are worth, in seconds of one request's waiting
	wait    time.Duration // estimate until it is free
	hold    time.Duration // until all who are busy there have had their residence
	loss    float64       // what draining those costs who use them, in seconds of one request's waiting
	start   time.Duration // and then until the instance is ready
	cost    float64       // all of it, in seconds of one request's waiting
	fit     int           // GPUs of the largest free block around it, or left over on the node: the smaller, the less is broken up
}

// better orders rooms. Of equal ones the one where it can be resumed wins, then the earlier place.
func (r *room) better(than *room) bool {
	switch {
	case r.cost != than.cost:
		return r.cost < than.cost
	case r.fit != than.fit:
		return r.fit < than.fit
	default:
		return r.resumes == nil && than.resumes == nil && r.at.common().number < than.at.common().number
	}
}

// What places cost that are otherwise equal, in seconds of one request's waiting.
const (
	togetherCost = 3.0
	strangeNode  = 1.0   // the weights may not be there
	crowdCost    = 0.5   // for each instance that lives on the same GPU
	sharedCost   = 100.0 // for each of those if it were always awake
	fullCost     = 60.0  // when it is parked, another must go
)

// What it costs to take a busy instance from those who use it, in seconds of one request's waiting: so much beyond its HotValue, which counts for at most so
// much where rooms are compared. More would have models started cold all over the cluster to spare others one drain.
const (
	drainCost     = 5.0
	drainCostMost = 30.0
)

// rooms finds out what it takes to have GPUs, and looks for the best. It changes nothing but what it remembers of its own.
type rooms struct {
	*state
	demand *demand
	losing []loss // for losses, to be used again
	chosen []loss // likewise for choose
	taken  []*instance
}

// forEach calls f with the slots of the model's pool among those places, and with the one that was best before.
func forEach(m *model, among []place, f func(*slot)) {
	for _, at := range among {
		if s, is := at.(*slot); is && s.pool == m.pool && !s.gone {
			f(s)
		}
	}
	if s, is := m.best.(*slot); is && !s.freed && s.pool == m.pool && !s.gone {
		f(s)
	}
}

// anySlot gives the first slot that takes launches: for a model that needs no GPU.
func (f *rooms) anySlot(now time.Duration, m need, among []place) (room, bool) {
	for _, s := range m.pool.slots {
		if s.fits(0) && !m.avoids(now, &s.site) && (among == nil || s.freed || m.best == place(s)) {
			return room{at: s}, true
		}
	}
	return room{}, false
}

// assess finds out what a block takes; false = more than it may, or than the dearest that is of use.
func (f *rooms) assess(now time.Duration, m need, r *room, most effort, dearest float64) bool {
	s := r.at.(*slot)
	for _, c := range s.reserved {
		if !c.overlaps(r.gpu, m.GPUs) {
			continue
		}
		if most < drainsBusy || c.m == m.model {
			return false
		}
		r.needs, r.hold = drainsBusy, max(r.hold, c.m.takes(c.from)+f.cfg.Residence)
		r.wait = max(r.wait, r.hold+c.m.service+f.leaves(c))
	}
	r.wait = max(r.wait, f.pendingFor(now, s))
	var last *instance
	for g := r.gpu; g < r.gpu+m.GPUs; g++ {
		o := s.awake[g]
		if o == nil || o == last {
			continue
		}
		last = o
		if !f.assessOccupant(now, m, r, o, most) || r.price(m) > dearest {
			return false
		}
	}
	if r.needs == isFree {
		r.fit = s.freeAround(r.gpu, align(m.GPUs))
	}
	if r.cost = r.price(m); r.resumes == nil && r.cost <= dearest {
		r.cost += f.settlingCost(now, m.model, r)
	}
	return true
}

func (f *rooms) assessOccupant(now time.Duration, m need, r *room, o *instance, most effort) bool {
	needs, wait, hold := f.effortFor(now, o, m.waiting > 0)
	if needs > most || o.m == m.model && !o.leaving() {
		return false
	}
	if needs == drainsBusy && m.waiting > 0 {
		wait += max(hold, m.oldest+f.cfg.Patience-now)
	}
	r.needs, r.wait, r.hold = max(r.needs, needs), max(r.wait, wait), max(r.hold, hold)
	if o.leaving() {
		return true
	}
	if f.protected(now, o, r.victims) {
		return false
	}
	switch {
	case needs == evictsIdle:
		r.victims = append(r.victims, o)
	case needs == drainsBusy:
		loss := f.demand.wish(now, o.m).HotValue
		r.loss += loss
		r.value += drainCost + min(loss, drainCostMost)
		return true
	}
	r.value += f.demand.wish(now, o.m).HotValue
	return true
}

// price adds up what the room costs: the waiting of those who wait, and what the victims are worth.
func (r *room) price(m need) float64 {
	return (r.wait+r.start).Seconds()*float64(max(m.waiting, 1)) + r.value
}

// settlingCost prefers for a new instance a node that has its weights, a slot without another copy of the model, for a large model would
// displace both, and GPUs on which few others live and those are seldom awake: whoever lives there too can never be hot at the same time.
func (f *rooms) settlingCost(now time.Duration, m *model, r *room) float64 {
	s, cost := r.at.(*slot), 0.0
	if len(m.nodes) > 0 && !slices.Contains(m.nodes, s.node) {
		cost += strangeNode
	}
	if slices.ContainsFunc(s.residents, func(o *instance) bool { return o.m == m }) {
		cost += togetherCost
	}
	most := s.pool.MaxParkedPerGPU
	if most == 0 {
		return cost
	}
	homes := 0
	for g := r.gpu; g < r.gpu+m.GPUs; g++ {
		homes = max(homes, s.livingOn(g))
	}
	cost += crowdCost*float64(homes) + sharedCost*sharedWith(now, m, s, r.gpu)
	if homes >= most {
		cost += fullCost
	}
	if limit := s.hostMemory(); limit > 0 && s.living()+m.ParkedMemory > limit {
		cost += fullCost
	}
	return cost
}

// sharedWith gives how many instances of other models that live on the block are awake on average.
func sharedWith(now time.Duration, m *model, s *slot, gpu int) float64 {
	sum := 0.0
	for _, o := range s.residents {
		if o.m != m && o.overlaps(gpu, m.GPUs) {
			sum += o.m.awake.value(now) / float64(o.m.homes())
		}
	}
	return sum
}

// leaves estimates how long an instance takes to give its GPUs back.
func (f *rooms) leaves(o *instance) time.Duration {
	if o.State == fleet.Parking || o.parkable() {
		return o.m.takes(o.nextPark())
	}
	return stopTime
}

// effortFor says what it takes to free what the instance holds, and estimates how long: once it may be drained, and until then. A stream that has outlived its estimate is expected
// to run as long again. For demand a start goes that nobody waits for any more.
func (f *rooms) effortFor(now time.Duration, o *instance, demand bool) (needs effort, wait, hold time.Duration) {
	if o.activates() { // whether a start is wanted depends on others of its model
		return f.estimateEffort(now, o, demand)
	}
	e := &o.effort
	if e.round != f.rounds || e.at != now {
		e.needs, e.wait, e.hold = f.estimateEffort(now, o, demand)
		e.round, e.at = f.rounds, now
	}
	return e.needs, e.wait, e.hold
}

func (f *rooms) estimateEffort(now time.Duration, o *instance, demand bool) (needs effort, wait, hold time.Duration) {
	leaves := f.leaves(o)
	switch {
	case o.leaving() && o.leases() > 0:
		return awaitsDraining, leaves + max(o.m.service, now-o.leavingAt), 0
	case o.State == fleet.Parking:
		return evictsIdle, max(o.leavingAt+leaves-now, 0), 0
	case o.leaving() || f.idle(o):
		return evictsIdle, leaves, 0
	case demand && f.demand.abandoned(now, o):
		return evictsIdle, stopTime, 0
	case o.State == fleet.Ready:
		return drainsBusy, leaves + o.m.service, max(o.readyAt+f.cfg.Residence-now, 0)
	default:
		left := max(o.launchedAt+o.m.takes(o.from)-now, 0)
		return drainsBusy, leaves + o.m.service, f.cfg.Residence + left
	}
}

// demanded reports whether requests or the operator's word need the room; else a mere wish does.
func (f *rooms) demanded(now time.Duration, m need) bool {
	return m.waiting > 0 || f.demand.demanded(now, m.model)
}

// loss is an instance that could go, or a slot that could be given back, and what that takes and costs.
type loss struct {
	*instance       // nil = a slot
	slot      *slot // nil = an instance
	gpus      int
	needs     effort
	wait      time.Duration
	value     float64
}

func (l *loss) cost() float64 { return l.value + l.wait.Seconds() }

// goesAnyway reports whether it gives its GPUs back whatever happens.
func (l *loss) goesAnyway() bool {
	if l.slot != nil {
		return l.slot.givenBack
	}
	return l.leaving()
}
