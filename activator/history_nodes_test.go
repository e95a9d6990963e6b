package activator

import (
	"fmt"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// newNodes makes the site one that places instances on nodes by itself, and says so late, wrongly or not at all.
func newNodes(h *history) *site {
	s := &site{h: h, stopped: make(map[string]bool), done: make(map[uint64]map[uint64]bool), out: make(map[string]bool)}
	for k := range 1 + h.choose(3) {
		s.nodes = append(s.nodes, fleet.Node{ID: fmt.Sprint("n", k), GPUs: pick(h, []int{2, 4, 8}), Condition: fleet.PlaceHealthy})
	}
	return s
}

// place puts an engine on some node with room, as a scheduler does that knows nothing of what we had in mind.
func (s *site) place(e *process) {
	if e.Node != "" || e.gone || e.State != fleet.Starting {
		return
	}
	e.unplaced = fleet.UnplacedImpossible
	for _, k := range s.shuffled() {
		n := &s.nodes[k]
		if n.GPUs >= e.GPUs {
			e.unplaced = fleet.UnplacedExhausted
		}
		if n.Condition.TakesLaunches() && s.free(n) >= e.GPUs {
			e.Node, e.Addr, e.unplaced, e.phase = n.ID, e.ID+"@"+n.ID, "", fleet.PhasePlaced
			return
		}
	}
}

func (s *site) shuffled() []int {
	var order []int
	for k := range s.nodes {
		order = slices.Insert(order, s.h.choose(len(order)+1), k)
	}
	return order
}

// free gives the GPUs of a node that nobody uses.
func (s *site) free(n *fleet.Node) int {
	free := n.GPUs - n.Used
	for _, e := range s.engines {
		if !e.gone && e.Node == n.ID {
			free -= e.GPUs
		}
	}
	return free
}

// tellProbe tells what the probe finds of some engines.
func (s *site) tellProbe(complete bool, engines ...*process) {
	s.live++
	o := fleet.Observation{Source: "probe", Seq: s.live, Term: s.term, At: s.h.epoch.Add(s.h.now), Complete: complete}
	for _, e := range engines {
		if !e.gone && e.Addr != "" {
			ph := fleet.PhaseLoading
			if e.State != fleet.Starting {
				ph = fleet.PhaseReady
			}
			o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: ph, Running: -1})
		}
	}
	s.send(o)
}

func (h *history) stepProbe() { h.site.tellProbe(true, h.site.engines...) }

// stepConsul asks who is alive. An agent that was restarted has forgotten some.
func (h *history) stepConsul() {
	s := h.site
	s.consul++
	o := fleet.Observation{Source: "consul", Seq: s.consul, Term: s.term, At: h.epoch.Add(h.now), Complete: true}
	for _, e := range s.engines {
		if !e.gone && e.State == fleet.Ready && (s.healthy || h.choose(3) > 0) {
			health := pick(h, []fleet.Health{fleet.Passing, fleet.Passing, fleet.Critical})
			if s.healthy {
				health = fleet.Passing
			}
			o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Health: health, Running: -1})
		}
	}
	s.send(o)
}

// stepNode changes a node: others come and go, it is drained or comes back, its engines die with it, or it is gone for good.
func (h *history) stepNode() {
	n := &h.site.nodes[h.choose(len(h.site.nodes))]
	switch h.choose(5) {
	case 0:
		n.Used = h.choose(n.Used + h.site.free(n) + 1)
	case 1:
		n.Used = 0
	case 2:
		if n.Condition.TakesLaunches() {
			n.Condition = fleet.PlaceIneligible
		} else {
			n.Condition = fleet.PlaceHealthy
		}
	case 3:
		for _, e := range h.site.engines {
			if !e.gone && e.Node == n.ID && e.State != fleet.Stopping && h.choose(2) == 0 { // the back end starts it anew elsewhere
				e.State, e.Node, e.Addr, e.phase = fleet.Starting, "", "", fleet.PhaseSubmitted
				e.moved = true
				n.Condition = fleet.PlaceDraining
			}
		}
	case 4:
		for _, e := range h.site.engines {
			if !e.gone && e.Node == n.ID {
				e.gone, e.failure = true, "its node was lost"
			}
		}
		if len(h.site.nodes) > 1 && h.choose(3) == 0 {
			h.site.nodes = slices.DeleteFunc(slices.Clone(h.site.nodes), func(m fleet.Node) bool { return m.ID == n.ID })
		}
	}
	h.note("nodes %+v", h.site.nodes)
}

// stepOutage makes a source unreachable, or reachable again.
func (h *history) stepOutage() {
	name := pick(h, []string{"nodes", "nodes", "probe", "consul"})
	h.site.out[name] = !h.site.out[name]
	h.note("outage %s %v", name, h.site.out[name])
	if h.site.out[name] {
		h.planner.Lost(name)
	} else if name == "nodes" {
		h.stepObserve()
	}
}

// recover ends all outages.
func (s *site) recover() {
	clear(s.out)
	for k := range s.nodes {
		s.nodes[k].Used, s.nodes[k].Condition = 0, fleet.PlaceHealthy
	}
}

// checkNodes holds that what was launched and may be on a node fits there, as far as the planner was told.
func (h *history) checkNodes(act *fleet.Act) {
	i := h.planner.byID[act.Instance]
	if act.Slot != "" || i == nil || i.slot == nil || !i.slot.counted {
		h.fail("%s is launched on %q, want the back end to choose", act.Instance, act.Slot)
		return
	}
	sum := 0
	for _, o := range h.planner.instances {
		if o.launched && o.slot == i.slot {
			sum += o.GPUs
		}
	}
	if i.GPUs > 0 && sum > i.slot.GPUs-i.slot.others {
		h.fail("%s is launched where %d GPUs would be in use on %s, which has %d for us", i.ID, sum, i.slot.ID, i.slot.GPUs-i.slot.others)
	}
}

// checkSources holds who is believed.
func (h *history) checkSources(n *fleet.Notice) {
	if !h.dedicated || n.From != fleet.Ready || n.To != fleet.Draining || n.Reason == "stopped by the operator" {
		return
	}
	if h.site.out["nodes"] {
		h.fail("%s is taken away though its source is lost: %s", n.Instance, n.Reason)
	}
	if e := h.site.find(n.Instance); n.Reason == "no longer answers" && e != nil && !e.gone && e.State == fleet.Ready {
		h.fail("%s is taken for dead though it answers", n.Instance)
	}
}
