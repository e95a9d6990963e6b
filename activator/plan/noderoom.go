package plan

import (
	"cmp"
	"slices"
	"time"
)

// findNode gives the best node for one more instance of the model, as find does among slots.
func (f *rooms) findNode(now time.Duration, m need, most effort, bid float64, among []place) (room, bool) {
	if m.GPUs == 0 {
		return room{at: f.anywhere}, true
	}
	best, found := room{}, false
	in := func(n *node) {
		r := room{at: n}
		if !m.avoids(now, &n.site) && f.assessNode(now, m, &r, most) && (r.needs == isFree || r.value < bid) && (!found || r.better(&best)) {
			best, found = r, true
		}
	}
	if among != nil {
		forEachNode(m.model, among, in)
		return best, found
	}
	for _, n := range f.nodes {
		if m.left(n) >= m.GPUs {
			in(n)
		}
	}
	if found {
		return best, true // what is free costs nothing
	}
	for _, n := range f.nodes {
		if m.left(n) < m.GPUs {
			in(n)
		}
	}
	return best, found
}

// findForSlot gives the node of those where a slot that could not be placed can have its GPUs at the least cost for others, and whether one has enough that
// is free already. The model is one that waits for the slot.
func (f *rooms) findForSlot(now time.Duration, m need, s *slot, among []*node) (best room, enough, found bool) {
	for _, n := range among {
		if n.gone || !n.takesLaunches() || now < n.trouble.avoidUntil || !s.pool.MayLieOn(&n.seen.Node) {
			continue
		}
		lacking := s.GPUs - n.left(nil)
		if lacking <= 0 {
			enough = true
			continue
		}
		if n.gpus-n.used+n.reclaimable() < s.GPUs {
			continue
		}
		if r := (room{at: n}); f.assessLosses(now, m, &r, lacking, awaitsDraining) && (!found || r.better(&best)) {
			best, found = r, true
		}
	}
	return best, enough, found
}

// forEachNode calls f with the nodes among those places, and with the one that was best before.
func forEachNode(m *model, among []place, f func(*node)) {
	for _, at := range among {
		if n, is := at.(*node); is && n.id != "" && !n.gone {
			f(n)
		}
	}
	if n, is := m.best.(*node); is && !n.freed && n.id != "" && !n.gone {
		f(n)
	}
}

// assessNode finds out what a node takes; false = more than it may.
func (f *rooms) assessNode(now time.Duration, m need, r *room, most effort) bool {
	n := r.at.(*node)
	if !n.fits(m.GPUs) {
		return false
	}
	lacking := m.GPUs - m.left(n)
	if lacking <= 0 {
		r.fit = -lacking
		return true // at no cost
	}
	return f.assessLosses(now, m, r, lacking, most)
}

// left gives the GPUs of a node that nobody holds or has claimed.
func (m need) left(n *node) int {
	left := n.left(nil)
	if m.instead != nil && m.instead.at == place(n) && m.instead.stay == holdsGPU {
		left += m.instead.GPUs
	}
	return left
}

// assessLosses finds out what it takes to have so many more GPUs free on a node for the model; false = more than it may.
func (f *rooms) assessLosses(now time.Duration, m need, r *room, lacking int, most effort) bool {
	chosen, ok := f.choose(now, m, r.at.(*node), lacking, most)
	for _, c := range chosen {
		r.needs, r.wait = max(r.needs, c.needs), max(r.wait, c.wait)
		r.value += c.value
		switch {
		case c.slot != nil && !c.slot.givenBack:
			r.slots = append(r.slots, c.slot)
		case c.slot == nil && !c.leaving() && c.needs == evictsIdle:
			r.victims = append(r.victims, c.instance)
		}
	}
	r.cost = r.value + r.wait.Seconds()
	return ok
}

// choose picks what of a node frees so many GPUs: those that go anyway, then the cheapest to lose; busy ones last, and no
// more than are needed. false = there are not enough. The list is good until the next call.
func (f *rooms) choose(now time.Duration, m need, n *node, lacking int, most effort) ([]loss, bool) {
	chosen, taken := f.chosen[:0], f.taken[:0]
	defer func() { f.chosen, f.taken = chosen[:0], taken[:0] }()
	for _, l := range f.losses(now, m, n, most) {
		if lacking <= 0 {
			break
		}
		if !l.goesAnyway() {
			if l.slot != nil && keepsSlot(l.slot, chosen) || l.slot == nil && f.protected(now, l.instance, taken) {
				continue
			}
			if l.slot == nil {
				taken = append(taken, l.instance)
			}
		}
		chosen = append(chosen, l)
		lacking -= l.gpus
	}
	for k := len(chosen) - 1; k >= 0; k-- { // what a larger one that came later has made needless
		if l := &chosen[k]; !l.goesAnyway() && l.gpus <= -lacking {
			lacking += l.gpus
			chosen = slices.Delete(chosen, k, k+1)
		}
	}
	return chosen, lacking <= 0
}

// keepsSlot reports whether slots.min keeps a slot, beside those that were chosen to be given back.
func keepsSlot(s *slot, chosen []loss) bool {
	left := s.pool.open()
	for k := range chosen {
		if t := chosen[k].slot; t != nil && t.pool == s.pool && !t.givenBack {
			left--
		}
	}
	return left <= s.pool.Slots.Min
}

// losses gives what of a node could go for the model with no more than the given effort, the cheapest first. The list is good until the next call.
func (f *rooms) losses(now time.Duration, m need, n *node, most effort) []loss {
	ls := f.losing[:0]
	for _, o := range n.residents {
		needs, wait, hold := f.effortFor(now, o, m.waiting > 0)
		if needs > most || o.GPUs == 0 || o.m == m.model && !o.leaving() {
			continue
		}
		l := loss{instance: o, gpus: o.GPUs, needs: needs, wait: wait + hold}
		if !o.leaving() {
			l.value = f.demand.wish(now, o.m).HotValue
		}
		ls = append(ls, l)
	}
	for _, s := range n.slots {
		l := loss{slot: s, gpus: s.GPUs, needs: evictsIdle, wait: slotEnds}
		switch {
		case s.givenBack:
			ls = append(ls, l)
		case s.spare() && s.pool != m.pool && most >= evictsIdle && f.demanded(now, m):
			l.value = f.slotValue(now, s)
			ls = append(ls, l)
		}
	}
	slices.SortStableFunc(ls, func(a, b loss) int {
		if busy := b2i(a.needs == drainsBusy) - b2i(b.needs == drainsBusy); busy != 0 {
			return busy
		}
		return cmp.Compare(a.cost(), b.cost())
	})
	f.losing = ls
	return ls
}

const slotEnds = 5 * time.Second // about what giving a slot back takes

// slotValue gives what giving back a slot costs: what is parked there must be started cold when it is wanted again.
func (f *rooms) slotValue(now time.Duration, s *slot) float64 {
	sum := 0.0
	for _, o := range s.residents {
		sum += f.demand.parkedValue(now, o) * float64(o.parkedMemory()) / 1e9
	}
	return sum
}

// inTheWay gives who must go from the node before the instance, which waits for it, has its GPUs.
func (f *rooms) inTheWay(now time.Duration, i *instance, drains bool) ([]loss, bool) {
	n := i.at.(*node)
	lacking := -n.left(i) // one that was launched is counted among those who live there
	if i.reserved != nil {
		lacking += i.GPUs
	}
	most := awaitsDraining
	if drains {
		most = drainsBusy
	}
	return f.choose(now, i.m.need(), n, lacking, most)
}

// hopeless reports whether a reservation can never have its GPUs: the place takes no new work any more, or what holds them stays.
func (f *rooms) hopeless(now time.Duration, i *instance) bool {
	n, is := i.at.(*node)
	switch {
	case !is:
		return !i.at.common().takesLaunches()
	case i.GPUs == 0:
		return false
	case !n.fits(i.GPUs):
		return true
	case n.left(i) >= i.GPUs:
		return false
	}
	_, ok := f.choose(now, i.m.need(), n, i.GPUs-n.left(i), drainsBusy)
	return !ok
}
