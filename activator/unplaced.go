package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// waitsForNode reports whether the instance was launched, and the back end has found no node for it yet.
func (i *instance) waitsForNode() bool { return i.unplaced != "" && i.State == fleet.Starting }

// follow takes what a back end that lists nodes says about where an instance is.
func (p *Planner) follow(now time.Duration, i *instance, s *fleet.Sighting) {
	switch {
	case s.Node != "":
		p.settleOn(now, i, s.Node)
	case s.Unplaced != "":
		p.unplace(now, i, s.Unplaced)
	}
}

// settleOn enters an instance on the node where it is. One that was ready on another has lost what ran there.
func (p *Planner) settleOn(now time.Duration, i *instance, node string) {
	if i.unplaced != "" {
		i.unplaced, i.launchedAt = "", now // its engine begins now
	}
	if i.Node == node && i.slot != nil && i.slot.ID == node {
		return
	}
	if i.State == fleet.Ready && i.Node != "" && i.Node != node {
		p.dismiss(now, i, "was moved to another machine")
	}
	i.Node = node
	if s := p.node(node); s != nil {
		p.rehouse(now, i, s)
	}
}

// rehouse counts an instance on another node.
func (p *Planner) rehouse(now time.Duration, i *instance, s *slot) {
	p.vacate(now, i)
	i.slot = s
	p.occupy(now, i)
}

// unplace takes the news that the back end has found no node for an instance that it has accepted.
func (p *Planner) unplace(now time.Duration, i *instance, why fleet.Unplaced) {
	switch i.State {
	case fleet.Starting:
		if why == fleet.UnplacedImpossible {
			i.m.impossibleUntil = now + backoffLongest
			p.endActivation(now, i, unplacedImpossible)
			p.stop(now, i, unplacedImpossible)
			return
		}
		i.unplaced = why
	case fleet.Ready:
		p.dismiss(now, i, "its machine was taken away")
	}
}

// expect counts an adopted instance of which no node is known on the one with the most room.
func (p *Planner) expect(now time.Duration, i *instance) {
	best := p.anywhere
	for _, s := range p.nodes {
		if i.GPUs > 0 && s.usable(i.GPUs) && (best == p.anywhere || s.left(nil) > best.left(nil)) {
			best = s
		}
	}
	i.slot = best
	p.occupy(now, i)
}

// replan finds room for launches that the back end has not placed, because the node in mind for them turned out to be full.
func (p *Planner) replan(now time.Duration) {
	for _, i := range p.instances {
		if !i.waitsForNode() || i.GPUs == 0 || p.closing {
			continue
		}
		if i.slot.usable(i.GPUs) && i.slot.left(nil) >= 0 {
			continue // nothing that we know of is in its way
		}
		old := i.slot
		p.vacate(now, i)
		r, ok := p.findRoom(now, i.m, awaitsDraining, p.bid(now, i.m))
		if !ok && i.m.waiting > 0 && now >= i.m.oldest+p.cfg.Patience {
			r, ok = p.findRoom(now, i.m, drainsBusy, anything)
		}
		if !ok {
			r.slot = old
		}
		i.slot, i.drains = r.slot, ok && r.needs == drainsBusy
		p.occupy(now, i)
		if ok {
			for _, v := range r.victims {
				p.drain(now, v, "makes room for "+i.Model)
			}
		}
	}
}
