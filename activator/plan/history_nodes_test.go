package plan

import (
	"fmt"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// newNodes makes the backend one that places instances on nodes by itself, and says so late, wrongly or not at all.
func newNodes(h *history) *backend {
	s := emptyBackend(h)
	for k := range 1 + h.choose(3) {
		s.nodes = append(s.nodes, fleet.Node{ID: fmt.Sprint("n", k), GPUs: pick(h, []int{2, 4, 8}), Condition: fleet.PlaceHealthy})
	}
	return s
}

// place puts an engine on some node with room, as a scheduler does that knows nothing of what we had in mind.
func (s *backend) place(e *process) {
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
			e.Node, e.Addr, e.unplaced, e.phase = n.ID, fmt.Sprint(e.ID, "@", n.ID, "/", e.moved), "", fleet.PhasePlaced
			return
		}
	}
}

func (s *backend) shuffled() []int {
	var order []int
	for k := range s.nodes {
		order = slices.Insert(order, s.h.choose(len(order)+1), k)
	}
	return order
}

// free gives the GPUs of a node that nobody uses.
func (s *backend) free(n *fleet.Node) int {
	free := n.GPUs - n.Used
	for _, e := range s.engines {
		if !e.gone && e.Node == n.ID {
			free -= e.GPUs
		}
	}
	return free - s.inSlots(n.ID)
}

// tellProbe tells what the probe finds of some engines.
func (s *backend) tellProbe(complete bool, engines ...*process) {
	o := s.observation("probe", complete)
	for _, e := range engines {
		if !e.gone && e.Addr != "" {
			ph, refuses := fleet.PhaseLoading, false
			switch {
			case e.hangs && e.dedicated():
				h := e.Instance
				h.State = fleet.Failed
				o.Instances = append(o.Instances, fleet.Sighting{Instance: h, Phase: fleet.PhaseReady, Running: -1, Failure: "gives no sign of health"})
				continue
			case e.State != fleet.Starting:
				ph = fleet.PhaseReady
			case !e.dedicated():
				continue // its supervisor says how far it is
			default:
				refuses = !e.listens && s.h.choose(2) == 0
				e.listens = !refuses
			}
			o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: ph, Running: -1, Refuses: refuses})
		}
	}
	s.send(o)
}

func (h *history) stepProbe() { h.backend.tellProbe(true, h.backend.engines...) }

// stepConsul asks who is alive. An agent that was restarted has forgotten some.
func (h *history) stepConsul() {
	s := h.backend
	o := s.observation("consul", true)
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
	n := &h.backend.nodes[h.choose(len(h.backend.nodes))]
	switch h.choose(5) {
	case 0:
		n.Used = h.choose(n.Used + h.backend.free(n) + 1)
	case 1:
		n.Used = 0
	case 2:
		if n.Condition.TakesLaunches() {
			n.Condition = fleet.PlaceIneligible
		} else {
			n.Condition = fleet.PlaceHealthy
		}
	case 3:
		for _, e := range h.backend.engines {
			if !e.gone && e.Node == n.ID && e.State != fleet.Stopping && h.choose(2) == 0 { // the back end starts it anew elsewhere
				e.State, e.Node, e.Addr, e.phase = fleet.Starting, "", "", fleet.PhaseSubmitted
				e.moved++
				n.Condition = fleet.PlaceDraining
			}
		}
		if n.Condition == fleet.PlaceDraining {
			h.backend.closeSlotsOn(n.ID)
		}
	case 4:
		for _, e := range h.backend.engines {
			if !e.gone && e.Node == n.ID {
				e.gone, e.failure = true, "its node was lost"
			}
		}
		h.backend.loseSlotsOn(n.ID)
		if len(h.backend.nodes) > 1 && h.choose(3) == 0 {
			h.backend.nodes = slices.DeleteFunc(slices.Clone(h.backend.nodes), func(m fleet.Node) bool { return m.ID == n.ID })
		}
	}
	h.note("nodes %+v", h.backend.nodes)
}

// checkNodes holds that what was launched and may be on a node fits there, as far as the planner was told.
func (h *history) checkNodes(act *fleet.Act) {
	i := h.planner.instanceOf[act.Instance]
	if i == nil || i.at == nil || i.inSlot() {
		h.fail("%s is launched on %q, want the back end to choose", act.Instance, act.Slot)
		return
	}
	sum := 0
	for _, o := range h.planner.instances {
		if o.exists() && o.at == i.at {
			sum += o.GPUs
		}
	}
	if n := i.at.(*node); i.GPUs > 0 && sum > n.gpus-n.used {
		h.fail("%s is launched where %d GPUs would be in use on %s, which has %d for us", i.ID, sum, n.id, n.gpus-n.used)
	}
}

// checkSources holds who is believed.
func (h *history) checkSources(n *fleet.Notice) {
	e := h.backend.find(n.Instance)
	if e == nil || n.From != fleet.Ready || n.To != fleet.Draining || n.Reason == "stopped by the operator" {
		return
	}
	if source := h.backend.sourceOf(e); h.told.lost[source] && !e.hangs { // of a job that hangs the probe knows best
		h.fail("%s is taken away though its source, %s, is lost: %s", n.Instance, source, n.Reason)
	}
	if n.Reason == "no longer answers" && !e.gone && e.State == fleet.Ready && !e.hangs && !e.missed {
		h.fail("%s is taken for dead though it answers", n.Instance)
	}
}
