package nomad

import (
	"cmp"
	"net"
	"path"
	"slices"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// label names the group, the task and the port of an engine's job.
const label = "engine"

// observation says what was read, and notes which jobs are to be stopped.
func (w *watch) observation() fleet.Observation {
	w.ended, w.saying = nil, make(map[string]news)
	o := fleet.Observation{Source: Source, At: w.asked, Complete: true, Nodes: w.observeNodes()}
	for _, j := range w.jobs {
		if s, ok := w.sight(j); ok {
			o.Instances = append(o.Instances, s)
		}
	}
	w.heard = w.saying
	return o
}

// sight says how an instance stands; false = it has been stopped and is gone.
func (w *watch) sight(j *api.JobListStub) (fleet.Sighting, bool) {
	s := fleet.Sighting{Running: -1, Phase: fleet.PhaseSubmitted}
	s.ID, s.Model, s.State = j.Meta[metaInstance], j.Meta[metaModel], fleet.Starting
	if m := w.n.model(s.Model); m != nil {
		s.GPUs = m.GPUs
	}
	if j.Stop {
		s.State = fleet.Stopping
	}
	a := w.allocation(j)
	switch {
	case a == nil && j.Stop:
		return s, false
	case a == nil:
		w.unplaced(j, &s)
		return s, true
	case terminal(a) && j.Stop:
		return s, false
	}
	place(a, &s)
	if !j.Stop {
		w.say(&s, starting(a))
	}
	switch {
	case terminal(a):
		s.State, s.Gone, s.Failure = fleet.Failed, true, why(a)
		w.ended = append(w.ended, j.ID)
	case a.DesiredStatus != api.AllocDesiredStatusRun && !j.Stop:
		s.State, s.Failure = fleet.Stopping, "Nomad is stopping it: "+cmp.Or(a.DesiredDescription, "the node is being drained")
		w.ended = append(w.ended, j.ID) // or Nomad would start it elsewhere
	}
	return s, true
}

// allocation is the job's first one: an instance lives in no other.
func (w *watch) allocation(j *api.JobListStub) *api.AllocationListStub {
	var first *api.AllocationListStub
	for _, a := range w.allocations {
		if a.JobID == j.ID && a.Namespace == w.n.cfg.Namespace && a.CreateIndex >= j.CreateIndex && (first == nil || a.CreateIndex < first.CreateIndex) {
			first = a
		}
	}
	return first
}

// terminal reports whether the allocation holds nothing any more.
func terminal(a *api.AllocationListStub) bool {
	switch a.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

// place says where an allocation is and how far it has come.
func place(a *api.AllocationListStub, s *fleet.Sighting) {
	s.Node, s.Phase = a.NodeID, fleet.PhasePlaced
	if a.AllocatedResources != nil {
		for _, p := range a.AllocatedResources.Shared.Ports {
			if p.Label == label {
				s.Addr = net.JoinHostPort(p.HostIP, strconv.Itoa(p.Value))
			}
		}
	}
	if held := gpus(a); held > 0 {
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

// gpus counts the GPUs of an allocation.
func gpus(a *api.AllocationListStub) int {
	count := 0
	if a.AllocatedResources == nil {
		return 0
	}
	for _, task := range a.AllocatedResources.Tasks {
		for _, d := range task.Devices {
			if d.Vendor == "nvidia" && d.Type == "gpu" {
				count += len(d.DeviceIDs)
			}
		}
	}
	return count
}

// why says why an allocation has ended that nobody stopped.
func why(a *api.AllocationListStub) string { return whyOf(a, label) }

func whyOf(a *api.AllocationListStub, label string) string {
	text := "the allocation is " + a.ClientStatus
	if a.ClientStatus == api.AllocClientStatusComplete {
		text = "the engine has ended"
	}
	if a.ClientDescription != "" {
		text += ": " + a.ClientDescription
	}
	task := a.TaskStates[label]
	if task == nil {
		return text
	}
	for _, e := range slices.Backward(task.Events) {
		if e.DisplayMessage != "" && (e.FailsTask || e.Type == api.TaskTerminated || e.Type == api.TaskDriverFailure) {
			return text + ": " + e.DisplayMessage
		}
	}
	return text
}

// observeNodes says which machines have GPUs for us.
func (w *watch) observeNodes() []fleet.Node {
	used := w.others()
	var nodes []fleet.Node
	for _, n := range w.nodes {
		count := devices(n)
		if count == 0 || !w.n.mayUse(n, w.n.cfg.NodePool) {
			continue
		}
		nodes = append(nodes, fleet.Node{
			ID: n.ID, Name: n.Name, GPUs: count, Used: used[n.ID], Condition: conditionOf(n),
		})
	}
	return nodes
}

// conditionOf says what a node is fit for.
func conditionOf(n *api.NodeListStub) fleet.Condition {
	switch {
	case n.Status != api.NodeStatusReady:
		return fleet.PlaceUnreachable
	case n.Drain:
		return fleet.PlaceDraining
	case n.SchedulingEligibility != api.NodeSchedulingEligible:
		return fleet.PlaceIneligible
	default:
		return fleet.PlaceHealthy
	}
}

// others counts, by node, the GPUs of allocations that are not ours.
func (w *watch) others() map[string]int {
	ours := make(map[string]bool, len(w.jobs))
	for _, j := range w.jobs {
		ours[j.ID] = true
	}
	used := make(map[string]int)
	for _, a := range w.allocations {
		if !terminal(a) && (a.Namespace != w.n.cfg.Namespace || !ours[a.JobID]) {
			used[a.NodeID] += gpus(a)
		}
	}
	return used
}

// devices counts the GPUs of a node that are in order.
func devices(n *api.NodeListStub) int {
	count := 0
	if n.NodeResources == nil {
		return 0
	}
	for _, d := range n.NodeResources.Devices {
		for _, i := range d.Instances {
			if d.Vendor == "nvidia" && d.Type == "gpu" && i.Healthy {
				count++
			}
		}
	}
	return count
}

// mayUse reports whether jobs of a node pool may be placed on a node at all.
func (n *Nomad) mayUse(node *api.NodeListStub, pool string) bool {
	return (pool == api.NodePoolAll || pool == node.NodePool) && slices.ContainsFunc(n.cfg.Datacenters, func(pattern string) bool {
		match, err := path.Match(pattern, node.Datacenter)
		return err == nil && match
	})
}
