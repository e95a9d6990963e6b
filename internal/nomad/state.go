package nomad

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// state is what is known of Nomad's objects: read whole now and then, and kept up to date by events between. Allocations are indexed by job and by node, so that
// an event costs what it changes.
type state struct {
	cluster, namespace string
	prefix             string // of our jobs' names

	jobs     map[string]*job // job ID -> ours
	byID     map[string]*allocation
	byJob    map[string][]*allocation          // job ID -> of that name in our namespace, the oldest first
	byNode   map[string]map[string]*allocation // node ID -> allocation ID -> those that hold something there
	nodes    map[string]*node
	failures map[string]*evaluation // job ID -> the last try to place it that failed

	read map[api.Topic]uint64 // up to which index the lists have everything; events are not to repeat it
}

func newState(cluster, namespace, prefix string) *state {
	s := &state{cluster: cluster, namespace: namespace, prefix: prefix, read: make(map[api.Topic]uint64)}
	s.setNodes(nil)
	s.setAllocations(nil)
	s.setJobs(nil)
	s.setEvaluations(nil)
	return s
}

// setNodes takes a list of nodes, and reports whether one has come back since the last.
func (s *state) setNodes(list []*node) (came bool) {
	before := s.nodes
	s.nodes = make(map[string]*node, len(list))
	for _, n := range list {
		s.nodes[n.ID] = n
		came = came || len(before) > 0 && returned(before[n.ID], n)
	}
	return came
}

func (s *state) setAllocations(list []*allocation) {
	s.byID = make(map[string]*allocation, len(list))
	s.byJob = make(map[string][]*allocation)
	s.byNode = make(map[string]map[string]*allocation)
	for _, a := range list {
		s.putAllocation(a)
	}
}

// setJobs takes a list of jobs, and keeps what it does not say of those that have not changed.
func (s *state) setJobs(list []*job) {
	before := s.jobs
	s.jobs = make(map[string]*job, len(list))
	for _, j := range list {
		switch old := before[j.ID]; {
		case old != nil && old.CreateIndex == j.CreateIndex && old.ModifyIndex >= j.ModifyIndex:
			s.jobs[j.ID] = old
		case old != nil && old.CreateIndex == j.CreateIndex && old.JobModifyIndex == j.JobModifyIndex:
			j.TaskGroups = old.TaskGroups
			s.putJob(j)
		default:
			s.putJob(j)
		}
	}
}

func (s *state) setEvaluations(list []*evaluation) {
	s.failures = make(map[string]*evaluation)
	for _, e := range list {
		s.putEvaluation(e)
	}
}

// ours reports whether a job is of this Pilotlight; others' names may begin as ours do.
func (s *state) ours(j *job) bool {
	return j.Namespace == s.namespace && j.Meta[metaCluster] == s.cluster && (j.instance() != "" || j.slot() != "")
}

func (s *state) putJob(j *job) {
	if !s.ours(j) {
		delete(s.jobs, j.ID)
		return
	}
	if j.instance() != "" {
		j.spec = parseSpec(j.Meta)
	}
	s.jobs[j.ID] = j
}

// putAllocation takes an allocation as it is now. What is not ours and holds no GPUs does not matter.
func (s *state) putAllocation(a *allocation) {
	s.removeAllocation(a.ID)
	if !strings.HasPrefix(a.JobID, s.prefix) && a.gpus() == 0 {
		return
	}
	s.byID[a.ID] = a
	if a.Namespace == s.namespace {
		list := append(s.byJob[a.JobID], a)
		slices.SortFunc(list, func(a, b *allocation) int { return int(int64(a.CreateIndex) - int64(b.CreateIndex)) })
		s.byJob[a.JobID] = list
	}
	if !a.ended() {
		if s.byNode[a.NodeID] == nil {
			s.byNode[a.NodeID] = make(map[string]*allocation)
		}
		s.byNode[a.NodeID][a.ID] = a
	}
}

func (s *state) removeAllocation(id string) {
	a := s.byID[id]
	if a == nil {
		return
	}
	delete(s.byID, id)
	delete(s.byNode[a.NodeID], id)
	if list := slices.DeleteFunc(s.byJob[a.JobID], func(b *allocation) bool { return b.ID == id }); len(list) > 0 {
		s.byJob[a.JobID] = list
	} else {
		delete(s.byJob, a.JobID)
	}
}

func (s *state) putEvaluation(e *evaluation) {
	if e.Namespace != s.namespace || len(e.FailedTGAllocs) == 0 {
		return
	}
	if last := s.failures[e.JobID]; last == nil || last.ModifyIndex <= e.ModifyIndex {
		s.failures[e.JobID] = e
	}
}

// allocation is the job's first one: an instance, or a slot, lives in no other.
func (s *state) allocation(j *job) *allocation {
	for _, a := range s.byJob[j.ID] {
		if a.CreateIndex >= j.CreateIndex {
			return a
		}
	}
	return nil
}

// surplus counts the job's allocations beside the first that are wanted to run.
func (s *state) surplus(j *job) int {
	first, count := s.allocation(j), 0
	for _, a := range s.byJob[j.ID] {
		if a != first && a.wanted() && !a.ended() {
			count++
		}
	}
	return count
}

// jobOf gives the job of ours that an allocation is of; nil = it is somebody else's.
func (s *state) jobOf(a *allocation) *job {
	if a.Namespace != s.namespace {
		return nil
	}
	return s.jobs[a.JobID]
}

// otherGPUs counts the GPUs of a node that are held by no dedicated instance: by other programs, and by slots.
func (s *state) otherGPUs(nodeID string) int {
	used := 0
	for _, a := range s.byNode[nodeID] {
		if j := s.jobOf(a); j == nil || j.instance() == "" || s.allocation(j) != a {
			used += a.gpus()
		}
	}
	return used
}
