package nomad

import (
	"cmp"
	"path"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// label names the group, the task and the port of an engine's job.
const label = "engine"

// restartedByHand is why an engine is given up whose process is not the one that was launched.
const restartedByHand = "its process was restarted by hand"

// sight says how an instance stands, and notes what is to be done with its job; false = it has been stopped and is gone.
func (w *watch) sight(j *job) (fleet.Sighting, bool) {
	s := fleet.Sighting{Running: fleet.Unasked, Phase: fleet.PhaseSubmitted}
	s.ID, s.Model, s.State, s.Spec = j.instance(), j.Meta[metaModel], fleet.Starting, j.spec
	if s.GPUs = j.demand().gpus; j.spec != nil {
		s.GPUs = j.spec.GPUs
	}
	if j.Stop {
		s.State = fleet.Stopping
	}
	a := w.state.allocation(j)
	switch {
	case j.Stop && (a == nil || a.ended()):
		return s, false
	case a == nil && scaledToNone(j):
		s.State, s.Failure = fleet.Stopping, "its job was scaled to none by hand"
		w.giveUp(j)
		return s, true
	case a == nil && w.n.fence.overrules(j):
		s.State, s.Failure = fleet.Stopping, overruled
		w.giveUp(j)
		return s, true
	case a == nil:
		w.unplaced(j, &s)
		return s, true
	}
	locate(a, &s)
	if !j.Stop {
		w.logChange(&s, starting(a))
		w.judge(j, a, &s)
	}
	return s, true
}

// overruled is why a job is undone that came too late.
const overruled = "it was launched by a server that another one had replaced"

// judge says what is wrong with an instance that nobody has asked to stop, and gives up what Nomad or somebody else has ended.
func (w *watch) judge(j *job, a *allocation, s *fleet.Sighting) {
	switch task := a.TaskStates[label]; {
	case a.ended():
		s.State, s.Gone = fleet.Failed, true
		s.Failure, s.Cause = whyEnded(a, label)
		w.giveUp(j)
	case !a.wanted():
		s.State, s.Failure = fleet.Stopping, "Nomad is stopping it: "+cmp.Or(a.DesiredDescription, "the node is being drained")
		w.giveUp(j) // or Nomad would start it elsewhere
	case task != nil && task.Restarts > 0:
		s.State, s.Failure = fleet.Stopping, restartedByHand
		w.giveUp(j)
	case w.n.fence.overrules(j):
		s.State, s.Failure = fleet.Stopping, overruled
		w.giveUp(j)
	default:
		w.keepToOne(j)
	}
}

// locate says where an allocation is and how far it has come.
func locate(a *allocation, s *fleet.Sighting) {
	s.Node, s.Phase, s.Addr = a.NodeID, fleet.PhasePlaced, a.addr(label)
	if held := a.gpus(); held > 0 {
		s.GPUs = held
	}
	task := a.TaskStates[label]
	switch {
	case task == nil || len(task.Events) == 0:
	case task.State == "running":
		s.Phase = fleet.PhaseLoading
	case task.Events[len(task.Events)-1].Type == api.TaskDriverMessage:
		s.Phase = fleet.PhasePulling
	case len(task.Events) > 1: // after "Received"
		s.Phase = fleet.PhaseStarting
	}
}

// seeNode says how a machine stands; false = it has no GPUs for us.
func (w *watch) seeNode(n *node) (fleet.Node, bool) {
	healthy, all := n.gpus()
	dedicated := w.n.mayUse(n, w.n.cfg.NodePool)
	if all == 0 || !dedicated && !w.n.mayHoldSlots(n) {
		return fleet.Node{}, false
	}
	return fleet.Node{
		ID: n.ID, Name: n.Name, GPUs: healthy, Used: w.state.otherGPUs(n.ID), Condition: n.condition(), Pool: n.NodePool, SlotsOnly: !dedicated,
	}, true
}

// mayHoldSlots reports whether slots of some pool may be placed on a node.
func (n *Nomad) mayHoldSlots(node *node) bool {
	for name := range n.serving.Load().pools {
		if n.mayUse(node, n.poolOf(name)) {
			return true
		}
	}
	return false
}

// mayUse reports whether jobs of a node pool may be placed on a node at all.
func (n *Nomad) mayUse(node *node, pool string) bool {
	return (pool == api.NodePoolAll || pool == node.NodePool) && slices.ContainsFunc(n.cfg.Datacenters, func(pattern string) bool {
		match, err := path.Match(pattern, node.Datacenter)
		return err == nil && match
	})
}

// complete is everything that is known.
func (w *watch) complete() fleet.Observation {
	o := fleet.Observation{Source: Source, At: w.asked, Complete: true, Slots: []fleet.Slot{}}
	o.Instances = make([]fleet.Sighting, 0, len(w.state.jobs))
	told := make(map[string]fleet.Sighting, len(w.state.jobs))
	for _, n := range w.state.nodes {
		if seen, ok := w.seeNode(n); ok {
			o.Nodes = append(o.Nodes, seen)
		}
	}
	for id, j := range w.state.jobs {
		if j.instance() == "" {
			continue
		}
		if s, ok := w.sight(j); ok {
			o.Instances = append(o.Instances, s)
			told[id] = s
		}
	}
	for id, s := range w.told {
		if _, stands := told[id]; !stands {
			delete(w.logged, s.ID)
		}
	}
	w.told, w.slotsTold = told, make(map[string]bool)
	o.Slots = w.seeSlots(w.state.jobs)
	w.forgetMissing()
	return o
}

// changed is what has changed; the observation is empty where nothing has that matters.
func (w *watch) changed() fleet.Observation {
	o := fleet.Observation{Source: Source, At: w.heard}
	for id := range w.changes.nodes {
		if n := w.state.nodes[id]; n != nil {
			if seen, ok := w.seeNode(n); ok {
				o.Nodes = append(o.Nodes, seen)
			}
		}
	}
	slots := make(map[string]*job)
	for id := range w.changes.jobs {
		j := w.state.jobs[id]
		if j != nil && j.slot() != "" {
			slots[id] = j
		} else if s, ok := w.news(id, j); ok {
			o.Instances = append(o.Instances, s)
		}
	}
	o.Slots = w.changedSlots(slots)
	return o
}

// news says what is new of an instance whose job has changed; false = nothing. A job that is no more is nil.
func (w *watch) news(id string, j *job) (fleet.Sighting, bool) {
	before, known := w.told[id]
	var s fleet.Sighting
	stands := false
	if j != nil {
		s, stands = w.sight(j)
	}
	if stands {
		w.told[id] = s
		return s, !known || s != before
	}
	delete(w.told, id)
	delete(w.logged, before.ID)
	known = known && !before.Gone
	before.Gone, before.State = true, fleet.Stopping
	return before, known
}
