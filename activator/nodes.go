package activator

import (
	"cmp"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A node of a back end that places instances by itself is a slot whose GPUs are counted, not numbered: which of them an instance
// gets is not for us to say, so there is no layout to break up. The planner expects a launch on the node that it had in mind, where
// it is counted from the launch on, and follows the back end when that says otherwise.
//
// A launch waits until its GPUs are free as far as is known, instead of queueing at the back end behind what must still go: what
// is queued there could land on GPUs that are being freed for somebody else.

// dedicatedPool is where models without a pool are placed once a back end has told of nodes.
const dedicatedPool = ""

const (
	unplacedUnneeded   = "not placed, and no longer needed"
	unplacedImpossible = "no machine can hold it"
)

// seeNodes learns of nodes, and of those that are no longer there.
func (p *Planner) seeNodes(src *source, o *fleet.Observation) {
	if len(o.Nodes) > 0 || o.Nodes != nil && o.Complete {
		p.dedicate(src)
	}
	for k := range o.Nodes {
		p.seeNode(src, &o.Nodes[k])
	}
	if !o.Complete || !src.nodes {
		return
	}
	for _, s := range p.nodes {
		listed := slices.ContainsFunc(o.Nodes, func(n fleet.Node) bool { return n.ID == s.ID })
		if s.source == src && !listed {
			s.lost = true
		}
	}
}

// dedicate takes the source's nodes as the place of models without a pool.
func (p *Planner) dedicate(src *source) {
	src.nodes = true
	if p.anywhere != nil {
		return
	}
	p.anywhere = &slot{Slot: fleet.Slot{Pool: dedicatedPool}, source: src, counted: true, eligible: true}
	p.pool(dedicatedPool)
	for _, m := range p.models {
		if m.Pool == "" {
			m.pool, m.stale = dedicatedPool, true
		}
	}
	p.pools = slices.DeleteFunc(p.pools, func(q *pool) bool {
		used := slices.ContainsFunc(p.models, func(m *model) bool { return m.pool == q.Name })
		return !used && q.GPUsPerSlot == 0 && q.Name == fleet.LocalPool
	})
}

func (p *Planner) seeNode(src *source, n *fleet.Node) {
	s := p.node(n.ID)
	if s == nil {
		s = &slot{Slot: fleet.Slot{ID: n.ID, Pool: dedicatedPool, Node: n.ID}, counted: true}
		p.nodes = append(p.nodes, s)
	}
	if s.GPUs != n.GPUs || s.eligible != n.Condition.TakesLaunches() || s.lost {
		for _, m := range p.models {
			m.impossibleUntil = 0 // what no machine could hold may fit now
		}
	}
	s.GPUs, s.others, s.eligible, s.source, s.lost = n.GPUs, n.Used, n.Condition.TakesLaunches(), src, false
}

// node gives the node of that ID; nil = not known.
func (p *Planner) node(id string) *slot {
	if k := slices.IndexFunc(p.nodes, func(s *slot) bool { return s.ID == id }); k >= 0 {
		return p.nodes[k]
	}
	return nil
}

// dedicated reports whether the model's instances are placed on nodes by the back end.
func (m *model) dedicated() bool { return m.pool == dedicatedPool }

// largestNode gives the GPUs of the largest node that is there, in use or not, taking work or not; -1 = there is none.
func (p *Planner) largestNode() int {
	most := -1
	for _, s := range p.nodes {
		if !s.lost {
			most = max(most, s.GPUs)
		}
	}
	return most
}

// left gives the GPUs of a node that neither others nor ours hold, less the reservations before the given one (nil = all).
func (s *slot) left(before *instance) int {
	n := s.GPUs - s.others
	for _, o := range s.homes {
		n -= o.GPUs
	}
	for _, c := range s.claims {
		if c == before {
			break
		}
		n -= c.GPUs
	}
	return n
}

// usable reports whether so many GPUs of the node could ever be had by making ours go.
func (s *slot) usable(gpus int) bool {
	return gpus == 0 || !s.lost && s.eligible && s.GPUs-s.others >= gpus
}

// findNode gives the best node for one more instance of the model, as findRoom does among slots.
func (p *Planner) findNode(now time.Duration, m *model, most effort, bid float64) (room, bool) {
	if m.GPUs == 0 {
		return room{slot: p.anywhere}, true
	}
	best, found := room{}, false
	for _, s := range p.nodes {
		r := room{slot: s}
		if p.assessNode(now, m, &r, most) && (r.needs == isFree || r.value < bid) && (!found || r.better(&best)) {
			best, found = r, true
		}
	}
	return best, found
}

// assessNode finds out what a node takes; false = more than it may.
func (p *Planner) assessNode(now time.Duration, m *model, r *room, most effort) bool {
	if !r.slot.usable(m.GPUs) {
		return false
	}
	lacking := m.GPUs - r.slot.left(nil)
	if lacking <= 0 {
		r.fit = -lacking
		return true // at no cost
	}
	chosen, ok := p.choose(now, m, r.slot, lacking, most)
	for _, c := range chosen {
		r.needs, r.wait = max(r.needs, c.needs), max(r.wait, c.wait)
		r.value += c.value
		if !c.leaving() && c.needs == stopsIdle {
			r.victims = append(r.victims, c.instance)
		}
	}
	r.cost = r.value + r.wait.Seconds()
	return ok
}

// loss is an instance that could go, and what that takes and costs.
type loss struct {
	*instance
	needs effort
	wait  time.Duration
	value float64
}

func (l *loss) cost() float64 { return l.value + l.wait.Seconds() }

// choose picks instances of a node that free so many GPUs: those that go anyway, then the cheapest to lose; busy ones last, and no
// more than are needed. false = there are not enough.
func (p *Planner) choose(now time.Duration, m *model, s *slot, lacking int, most effort) ([]loss, bool) {
	var chosen []loss
	var taken []*instance
	for _, l := range p.losses(now, m, s, most) {
		if lacking <= 0 {
			break
		}
		if !l.leaving() && p.protected(now, l.instance, taken) {
			continue
		}
		if !l.leaving() {
			taken = append(taken, l.instance)
		}
		chosen = append(chosen, l)
		lacking -= l.GPUs
	}
	for k := len(chosen) - 1; k >= 0; k-- { // whom a larger one that came later has made needless
		if l := &chosen[k]; !l.leaving() && l.GPUs <= -lacking {
			lacking += l.GPUs
			chosen = slices.Delete(chosen, k, k+1)
		}
	}
	return chosen, lacking <= 0
}

// losses gives the instances of a node that could go for the model with no more than the given effort, the cheapest first.
func (p *Planner) losses(now time.Duration, m *model, s *slot, most effort) []loss {
	var ls []loss
	for _, o := range s.homes {
		needs, wait, hold := p.effortFor(now, o)
		if needs > most || o.GPUs == 0 || o.m == m && !o.leaving() {
			continue
		}
		l := loss{instance: o, needs: needs, wait: wait + hold}
		if !o.leaving() {
			l.value = p.ask(now, o.m).HotValue
		}
		ls = append(ls, l)
	}
	slices.SortStableFunc(ls, func(a, b loss) int {
		if busy := b2i(a.needs == drainsBusy) - b2i(b.needs == drainsBusy); busy != 0 {
			return int(busy)
		}
		return cmp.Compare(a.cost(), b.cost())
	})
	return ls
}

// inTheWay gives who must go from the node before the instance, which waits for it, has its GPUs.
func (p *Planner) inTheWay(now time.Duration, i *instance) ([]loss, bool) {
	lacking := -i.slot.left(nil) // one that was launched is counted among those who live there
	if i.claiming {
		lacking = i.GPUs - i.slot.left(i)
	}
	most := awaitsDraining
	if i.drains {
		most = drainsBusy
	}
	return p.choose(now, i.m, i.slot, lacking, most)
}

// servedOnNode reports whether somebody must go who is not about to, before the reservation has its GPUs.
func (p *Planner) servedOnNode(i *instance) bool {
	n := i.slot.left(i)
	for _, o := range i.slot.homes {
		if o.leaving() && p.hotView(o).Leases == 0 {
			n += o.GPUs
		}
	}
	return n < i.GPUs
}

// hopeless reports whether a reservation can never have its node: that takes no new work any more, or what holds it stays.
func (p *Planner) hopeless(now time.Duration, i *instance) bool {
	if !i.slot.counted || i.GPUs == 0 {
		return false
	}
	if !i.slot.usable(i.GPUs) {
		return true
	}
	if i.slot.left(i) >= i.GPUs {
		return false
	}
	_, ok := p.choose(now, i.m, i.slot, i.GPUs-i.slot.left(i), drainsBusy)
	return !ok
}
