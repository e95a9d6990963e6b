package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Changes is what of the fleet has changed since they were taken last. A look at the fleet costs the planner so much, however large the fleet is; a View
// makes the whole of it elsewhere.
type Changes struct {
	At          time.Time
	All         bool // what follows is everything
	Models      []ModelChange
	Instances   []InstanceChange
	Gone        []uint64 // numbers of instances
	Slots       []SlotChange
	Pools       []PoolChange // nil = the pools, and which slots they have, are as they were
	Nodes       []fleet.NodeStatus
	NewNodes    bool               // Nodes is how they all stand now
	Activations []fleet.Activation // oldest first; those under way too
}

// ModelChange is a model as it is now.
type ModelChange struct {
	Index    int
	Unlisted bool // it is no longer in the config
	Status   fleet.ModelStatus
}

// InstanceChange is an instance as it is now. Older ones have smaller numbers.
type InstanceChange struct {
	Number uint64
	Status fleet.InstanceStatus
}

// SlotChange is a slot as it is now.
type SlotChange struct {
	Number uint64
	Status fleet.SlotStatus
}

// PoolChange is a pool as it is now, with the numbers of its slots.
type PoolChange struct {
	Pool  fleet.Pool
	Slots []uint64
}

// TakeChanges gives what has changed since it was called last: the first time, everything.
func (p *Planner) TakeChanges(now time.Duration) *Changes {
	u := &p.unshown
	c := &Changes{At: p.at(now), All: u.all, Gone: u.gone, Activations: p.newsOfActivations(now, u.all)}
	models := u.models
	if u.all {
		models = p.models
	}
	for _, m := range models {
		c.Models = append(c.Models, ModelChange{m.index, m.unlisted, p.modelStatus(now, m)})
		for _, i := range m.instances {
			if i.exists() {
				c.Instances = append(c.Instances, InstanceChange{i.number, p.instanceStatus(i)})
			}
		}
	}
	for _, s := range u.slots {
		c.Slots = append(c.Slots, SlotChange{s.number, slotStatus(s)})
	}
	if u.all || u.pools {
		c.Pools = make([]PoolChange, 0, len(p.pools))
		for _, q := range p.pools {
			c.Pools = append(c.Pools, PoolChange{q.Pool, numbersOf(q.slots)})
			for _, s := range q.slots {
				if u.all {
					c.Slots = append(c.Slots, SlotChange{s.number, slotStatus(s)})
				}
			}
		}
	}
	if u.all || u.nodes {
		c.NewNodes = true
		for _, n := range p.nodes {
			c.Nodes = append(c.Nodes, p.nodeStatus(n))
		}
	}
	u.shown()
	return c
}

func numbersOf(slots []*slot) []uint64 {
	numbers := make([]uint64, len(slots))
	for k, s := range slots {
		numbers[k] = s.number
	}
	return numbers
}

// newsOfActivations gives those that have not been shown as they have ended.
func (p *Planner) newsOfActivations(now time.Duration, all bool) (news []fleet.Activation) {
	for _, act := range p.activations {
		if act.shown && !all {
			continue
		}
		c := act.Activation
		if act.shown = !c.Ended.IsZero(); !act.shown {
			c.Waited = act.waited(now)
		}
		c.Phases = slices.Clone(c.Phases)
		news = append(news, c)
	}
	return news
}
