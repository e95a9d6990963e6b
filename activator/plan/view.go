package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// View makes whole snapshots of the fleet from a planner's Changes, outside of it. Its zero value has seen nothing. It is not safe for concurrent use; the
// snapshots that it gives are never changed again.
type View struct {
	models      []modelSeen // by index
	numbers     []uint64    // of instances, in order
	instances   []fleet.InstanceStatus
	slots       map[uint64]fleet.SlotStatus
	pools       []PoolChange
	poolsNow    []fleet.PoolStatus
	nodes       []fleet.NodeStatus
	activations []fleet.Activation // newest first
}

// modelSeen is a model as it was when it changed last.
type modelSeen struct {
	ModelChange
	at time.Time
}

// Apply takes changes, which have to be all that the planner has given, in their order, and gives the fleet as it is with them.
func (v *View) Apply(c *Changes) *fleet.Snapshot {
	if c.All {
		*v = View{slots: map[uint64]fleet.SlotStatus{}}
	}
	v.applyModels(c)
	v.applyInstances(c)
	v.applySlots(c)
	v.applyActivations(c)
	if c.NewNodes {
		v.nodes = c.Nodes
	}
	s := &fleet.Snapshot{
		At: c.At, Instances: v.instances, Pools: v.poolsNow, Nodes: v.nodes, Activations: v.activations, Models: make([]fleet.ModelStatus, 0, len(v.models)),
	}
	for k := range v.models {
		if m := &v.models[k]; !m.Unlisted && m.Status.Model != nil {
			s.Models = append(s.Models, m.Status)
			if eta := &s.Models[len(s.Models)-1].Outlook.ETA; *eta > 0 {
				*eta = max(*eta-c.At.Sub(m.at), 0)
			}
		}
	}
	return s
}

func (v *View) applyModels(c *Changes) {
	for _, m := range c.Models {
		for len(v.models) <= m.Index {
			v.models = append(v.models, modelSeen{})
		}
		v.models[m.Index] = modelSeen{m, c.At}
	}
}

func (v *View) applyInstances(c *Changes) {
	if len(c.Instances)+len(c.Gone) == 0 {
		return
	}
	instances := make([]fleet.InstanceStatus, len(v.instances), len(v.instances)+len(c.Instances))
	copy(instances, v.instances)
	if c.All {
		slices.SortFunc(c.Instances, func(a, b InstanceChange) int { return int(int64(a.Number - b.Number)) })
	}
	for k := range c.Instances {
		i := &c.Instances[k]
		at, there := slices.BinarySearch(v.numbers, i.Number)
		if there {
			instances[at] = i.Status
			continue
		}
		v.numbers, instances = slices.Insert(v.numbers, at, i.Number), slices.Insert(instances, at, i.Status)
	}
	for _, number := range c.Gone {
		if at, there := slices.BinarySearch(v.numbers, number); there {
			v.numbers, instances = slices.Delete(v.numbers, at, at+1), slices.Delete(instances, at, at+1)
		}
	}
	v.instances = instances
}

func (v *View) applySlots(c *Changes) {
	if c.Pools == nil && len(c.Slots) == 0 {
		return
	}
	for _, s := range c.Slots {
		v.slots[s.Number] = s.Status
	}
	if c.Pools != nil {
		v.pools = c.Pools
		there := map[uint64]fleet.SlotStatus{}
		for _, q := range v.pools {
			for _, number := range q.Slots {
				there[number] = v.slots[number]
			}
		}
		v.slots = there
	}
	v.poolsNow = nil
	for _, q := range v.pools {
		if len(q.Slots) == 0 && q.Pool.GPUsPerSlot == 0 {
			continue
		}
		st := fleet.PoolStatus{Pool: q.Pool}
		for _, number := range q.Slots {
			st.Slots = append(st.Slots, v.slots[number])
		}
		v.poolsNow = append(v.poolsNow, st)
	}
}

func (v *View) applyActivations(c *Changes) {
	if len(c.Activations) == 0 {
		return
	}
	all := slices.Clone(v.activations)
	for _, a := range c.Activations {
		if at := slices.IndexFunc(all, func(o fleet.Activation) bool { return o.ID == a.ID }); at >= 0 {
			all[at] = a
		} else {
			all = slices.Insert(all, 0, a)
		}
	}
	v.activations = all[:min(len(all), activationsKept)]
}
