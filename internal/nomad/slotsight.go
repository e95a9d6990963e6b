package nomad

import (
	"cmp"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// slotLabel names the group and the task of a slot's job, apiPort its port.
const (
	slotLabel = "slot"
	apiPort   = "api"
)

// seeSlots says how the slots stand that Nomad has jobs for, and has the observer of slots know it.
func (w *watch) seeSlots(jobs map[string]*job) []fleet.Slot {
	s := w.n.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	listed := make(map[string]bool)
	seen := []fleet.Slot{}
	for _, j := range jobs {
		if j.slot() == "" {
			continue
		}
		listed[j.slot()] = true
		if slot, ok := w.seeSlot(j); ok {
			seen = append(seen, slot)
		}
	}
	for id, e := range s.known {
		if e.listed && !listed[id] {
			e.end("", "") // Nomad has forgotten its job
		}
	}
	s.notify()
	select {
	case <-s.read:
	default:
		close(s.read)
	}
	slices.SortFunc(seen, func(a, b fleet.Slot) int { return cmp.Compare(a.ID, b.ID) })
	return seen
}

// changedSlots says how slots stand whose jobs have changed. That one is no more, only a complete list says, which is asked for then.
func (w *watch) changedSlots(jobs map[string]*job) []fleet.Slot {
	if len(jobs) == 0 {
		return nil
	}
	s := w.n.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	var seen []fleet.Slot
	for _, j := range jobs {
		if slot, ok := w.seeSlot(j); ok {
			seen = append(seen, slot)
		} else if w.slotsTold[j.slot()] {
			w.changes.unclear = true
		}
	}
	s.notify()
	return seen
}

// seeSlot says how a slot stands, and notes what is to be done with its job; false = it is no more. It needs the slots' lock.
func (w *watch) seeSlot(j *job) (fleet.Slot, bool) {
	id, a := j.slot(), w.state.allocation(j)
	s := w.n.slots
	if ended := a == nil && j.Stop || a != nil && a.ended(); ended {
		w.endSlot(j, a)
		return fleet.Slot{}, false
	}
	pool, ours := w.n.pool(j.Meta[metaPool])
	if !ours && s.known[id] == nil {
		w.n.log.Warn("a slot is of a pool that is not in the config; it holds its GPUs until its job is stopped", "slot", id, "pool", j.Meta[metaPool], "job", j.ID)
	}
	gpus := cmp.Or(j.demand().gpus, pool.GPUsPerSlot)
	e := s.add(fleet.Slot{ID: id, Pool: j.Meta[metaPool], GPUs: gpus, Host: pool.HostMemory})
	e.listed, e.Supervisor, e.spec, e.plain = true, slotSource+id, parseSlotSpec(j.Meta), j.Meta[metaAPI] != apiTLS
	before := e.Outdated
	if e.Outdated = w.n.outdated(e.Pool, e.spec); e.Outdated != before && e.Outdated != "" {
		w.n.log.Info("a slot was launched with another config: nothing new is started there, and it is given back when nothing there is awake", "slot", id, "pool", e.Pool, "differs", e.Outdated)
	}
	if a == nil {
		w.slotUnplaced(j, e)
	} else {
		e.locate(a)
		e.Condition = w.slotCondition(j, a)
	}
	w.judgeSlot(j, a)
	w.slotsTold[id] = true
	return e.Slot, true
}

// judgeSlot gives up a slot that Nomad or somebody else has ended.
func (w *watch) judgeSlot(j *job, a *allocation) {
	switch {
	case j.Stop:
	case a != nil && !a.wanted(), a == nil && scaledToNone(j), w.n.fence.overrules(j):
		w.giveUp(j)
	default:
		w.keepToOne(j)
	}
}

// endSlot notes that a slot is no more.
func (w *watch) endSlot(j *job, a *allocation) {
	id := j.slot()
	e := w.n.slots.known[id]
	var reason string
	var cause fleet.Cause
	if a != nil && !j.Stop {
		reason, cause = whyEnded(a, slotLabel)
		w.giveUp(j) // or Nomad would start it elsewhere
	}
	if e == nil {
		return // of an earlier time
	}
	if reason != "" && !e.gone {
		w.n.log.Warn("a slot has ended", "slot", id, "pool", e.Pool, "reason", reason, "cause", cause)
	}
	e.listed = true
	e.end(reason, cause)
}

// slotCondition says what a slot is fit for: its node's condition, or that it is being stopped.
func (w *watch) slotCondition(j *job, a *allocation) fleet.Condition {
	condition := fleet.PlaceHealthy
	if n := w.state.nodes[a.NodeID]; n != nil {
		condition = n.condition()
	}
	switch {
	case condition == fleet.PlaceUnreachable || a.ClientStatus == "unknown":
		return fleet.PlaceUnreachable
	case j.Stop || !a.wanted() || w.n.fence.overrules(j):
		return fleet.PlaceClosing
	}
	return condition
}

// end notes that the slot is no more, and why, where nobody asked for it.
func (e *entry) end(reason string, cause fleet.Cause) {
	if !e.gone {
		e.reason, e.cause = reason, cause
	}
	e.gone = true
	if e.client != nil {
		e.client.Close()
	}
}

// locate notes where the slot is, and where its supervisor answers, once its task runs.
func (e *entry) locate(a *allocation) {
	e.Unplaced, e.Node = "", a.NodeID
	if held := a.gpus(); held > 0 {
		e.GPUs = held
	}
	if task := a.TaskStates[slotLabel]; task != nil && task.State == "running" && e.addr == "" {
		e.addr = a.addr(apiPort)
	}
	e.Pending = e.addr == ""
}

// slotUnplaced says why Nomad has found no node for the slot.
func (w *watch) slotUnplaced(j *job, e *entry) {
	p := w.lastFailure(j)
	if p == nil {
		return
	}
	before, message := e.Unplaced, "no node can hold the slot"
	reason := w.impossible(p, j.demand(), w.n.poolOf(e.Pool))
	if e.Unplaced = fleet.UnplacedImpossible; reason == "" {
		e.Unplaced, message, reason = fleet.UnplacedExhausted, "the slot waits for room", exhausted(p)
	}
	if e.Unplaced != before {
		w.n.log.Warn(message, "slot", e.ID, "pool", e.Pool, "reason", reason)
	}
}
