package nomad

import (
	"net"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// slotLabel names the group and the task of a slot's job, apiPort its port.
const (
	slotLabel = "slot"
	apiPort   = "api"
)

// seeSlots notes how the slots stand that Nomad has jobs of, and which jobs are to be stopped.
func (w *watch) seeSlots() {
	s := w.n.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	listed := make(map[string]bool)
	for _, j := range w.slotJobs {
		listed[j.Meta[metaSlot]] = true
		w.seeSlot(j)
	}
	for id, e := range s.known {
		if e.listed && !listed[id] {
			e.end() // Nomad has forgotten its job
		}
	}
	s.change()
	select {
	case <-s.read:
	default:
		close(s.read)
	}
}

func (w *watch) seeSlot(j *api.JobListStub) {
	id, a := j.Meta[metaSlot], w.allocation(j)
	dead := a == nil && j.Stop || a != nil && terminal(a)
	if dead && !j.Stop || a != nil && a.DesiredStatus != api.AllocDesiredStatusRun && !j.Stop {
		w.ended = append(w.ended, j.ID) // or Nomad would start it elsewhere
	}
	s := w.n.slots
	if dead && s.known[id] == nil {
		return // of an earlier time
	}
	pool, ours := w.n.pool(j.Meta[metaPool])
	if !ours && s.known[id] == nil {
		w.n.log.Warn("a slot is of a pool that is not in the config; it holds its GPUs until its job is stopped", "slot", id, "pool", j.Meta[metaPool], "job", j.ID)
	}
	e := s.enter(fleet.Slot{ID: id, Pool: j.Meta[metaPool], GPUs: pool.GPUsPerSlot, Host: pool.HostMemory})
	e.listed = true
	switch {
	case dead:
		if a != nil && !j.Stop && !e.gone {
			w.n.log.Warn("a slot has ended", "slot", id, "pool", e.Pool, "reason", whyOf(a, slotLabel))
		}
		e.end()
	case a == nil:
		w.slotUnplaced(j, e)
	default:
		e.place(a)
	}
}

// end notes that the slot is no more.
func (e *entry) end() {
	e.gone = true
	if e.client != nil {
		e.client.Close()
	}
}

// place notes where the slot is, once its task runs.
func (e *entry) place(a *api.AllocationListStub) {
	e.Unplaced, e.Node = "", a.NodeID
	if held := gpus(a); held > 0 {
		e.GPUs = held
	}
	task := a.TaskStates[slotLabel]
	if a.AllocatedResources == nil || task == nil || task.State != "running" || e.addr != "" {
		return
	}
	for _, p := range a.AllocatedResources.Shared.Ports {
		if p.Label == apiPort {
			e.addr = net.JoinHostPort(p.HostIP, strconv.Itoa(p.Value))
		}
	}
}

// slotUnplaced says why Nomad has found no node for the slot.
func (w *watch) slotUnplaced(j *api.JobListStub, e *entry) {
	m := w.lastFailure(j, slotLabel)
	if m == nil {
		return
	}
	before, pool := e.Unplaced, w.n.poolOf(e.Pool)
	config, _ := w.n.pool(e.Pool)
	memory, cpu := w.n.wants(config)
	message, reason := "no node can hold the slot", w.tooLarge(memory, cpu, pool)
	switch {
	case reason != "":
		e.Unplaced = fleet.UnplacedImpossible
	case w.mayComeFree(m, pool):
		e.Unplaced, message, reason = fleet.UnplacedExhausted, "the slot waits for room", exhausted(m)
	default:
		e.Unplaced, reason = fleet.UnplacedImpossible, w.lacks(m, pool)
	}
	if e.Unplaced != before {
		w.n.log.Warn(message, "slot", e.ID, "pool", e.Pool, "reason", reason)
	}
}
