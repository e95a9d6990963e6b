package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ModelState gives the state of one model: cold, starting, parked or hot; "" for an unknown one.
func (p *Planner) ModelState(id string) string {
	if m := p.modelOf[id]; m != nil {
		return m.state()
	}
	return ""
}

// InstanceState gives the state of one instance; "" where there is none of that ID.
func (p *Planner) InstanceState(id string) fleet.State {
	if i := p.instanceOf[id]; i != nil {
		return i.State
	}
	return ""
}

// Snapshot gives the whole fleet at this moment. It costs as much as the fleet is large; see TakeChanges.
func (p *Planner) Snapshot(now time.Duration) *fleet.Snapshot {
	s := &fleet.Snapshot{At: p.at(now)}
	for _, m := range p.models {
		if !m.unlisted {
			s.Models = append(s.Models, p.modelStatus(now, m))
		}
	}
	for _, i := range slices.SortedFunc(slices.Values(p.instances), func(a, b *instance) int { return cmp.Compare(a.number, b.number) }) {
		if i.exists() {
			s.Instances = append(s.Instances, p.instanceStatus(i))
		}
	}
	for _, q := range p.pools {
		if st := poolStatus(q); len(st.Slots) > 0 || q.GPUsPerSlot > 0 {
			s.Pools = append(s.Pools, st)
		}
	}
	for _, n := range p.nodes {
		s.Nodes = append(s.Nodes, p.nodeStatus(n))
	}
	for _, act := range slices.Backward(p.activations) {
		s.Activations = append(s.Activations, act.status(now))
	}
	return s
}

// status gives the activation as it stands, for whoever may keep it.
func (a *activation) status(now time.Duration) fleet.Activation {
	c := a.Activation
	if c.Ended.IsZero() {
		c.Waited = a.waited(now)
	}
	c.Phases = slices.Clone(c.Phases)
	return c
}

// LastActivation gives the last one of an instance that is remembered; false = there is none.
func (p *Planner) LastActivation(now time.Duration, instance string) (fleet.Activation, bool) {
	for _, act := range slices.Backward(p.activations) {
		if act.Instance == instance {
			return act.status(now), true
		}
	}
	return fleet.Activation{}, false
}

func (p *Planner) modelStatus(now time.Duration, m *model) fleet.ModelStatus {
	return fleet.ModelStatus{
		Model: m.Model, State: m.state(), Waiting: m.waiting, Inflight: m.inflight, Hot: m.hot(), Pending: m.pending(),
		Parked: m.asleep(), Desired: m.desired, Outlook: p.forecast.outlook(now, m).Outlook,
	}
}

func (p *Planner) instanceStatus(i *instance) fleet.InstanceStatus {
	h := p.demand.hotView(i)
	s := fleet.InstanceStatus{
		Instance: i.Instance, Phase: i.phase, Leases: h.Leases, LaunchedAt: p.at(i.launchedAt), Failure: i.failure,
	}
	if i.served {
		s.ReadyAt = h.ReadyAt
	}
	if i.State == fleet.Ready {
		s.IdleSince = h.IdleSince
	}
	return s
}

func poolStatus(q *pool) fleet.PoolStatus {
	st := fleet.PoolStatus{Pool: q.Pool}
	for _, s := range q.slots {
		st.Slots = append(st.Slots, slotStatus(s))
	}
	return st
}

func slotStatus(s *slot) fleet.SlotStatus {
	o := fleet.SlotStatus{Slot: s.Slot, Occupants: make([]string, s.GPUs)}
	for _, i := range s.residents {
		if i.State == fleet.Asleep {
			o.Sleepers = append(o.Sleepers, i.ID)
		}
	}
	for _, i := range s.reserved {
		o.Reserved = append(o.Reserved, fleet.Reservation{Instance: i.ID, Model: i.Model, GPU: i.GPU, GPUs: i.GPUs})
	}
	for g := range o.Occupants {
		if i := s.awake[g]; i != nil {
			o.Occupants[g] = i.ID
		}
	}
	return o
}

func (p *Planner) nodeStatus(n *node) fleet.NodeStatus {
	st := fleet.NodeStatus{Gone: n.gone, Held: n.lived, AvoidWhy: n.trouble.why}
	if n.seen != nil {
		st.Node = n.seen.Node
	}
	if n.trouble.avoidUntil > 0 {
		st.AvoidUntil = p.at(n.trouble.avoidUntil)
	}
	return st
}

// Levels is what gauges show at one moment.
type Levels struct {
	Models []ModelLevel
	Pools  []PoolLevel
	Serves []string // IDs of the instances that may have leases
	Places []string // IDs of slots and nodes that are there
}

// ModelLevel is one model of Levels.
type ModelLevel struct {
	ID      string
	Waiting int
	States  map[fleet.State]int
	Failed  map[fleet.Cause]int // starts that have failed in this life; "" = the cause is not known
}

// PoolLevel is one pool of Levels.
type PoolLevel struct {
	Name string
	GPUs map[string]int // by what they are used for: free, starting, busy, idle, stopping
	Held float64        // GPU-seconds held in this life
}

// Levels gives what gauges show.
func (p *Planner) Levels(now time.Duration) Levels {
	var l Levels
	for _, m := range p.models {
		ml := ModelLevel{ID: m.ID, Waiting: m.waiting, States: make(map[fleet.State]int), Failed: maps.Clone(m.causes)}
		for _, i := range m.instances {
			if i.exists() {
				ml.States[i.State]++
			}
			if i.State == fleet.Ready || i.State == fleet.Draining {
				l.Serves = append(l.Serves, i.ID)
			}
		}
		l.Models = append(l.Models, ml)
	}
	for _, q := range p.pools {
		q.accrue(now)
		pl := PoolLevel{Name: q.Name, GPUs: make(map[string]int), Held: q.held}
		for _, s := range q.slots {
			countGPUs(s, pl.GPUs)
			if !s.Pending {
				l.Places = append(l.Places, s.ID)
			}
		}
		if q.Name == dedicatedPool {
			p.countNodes(pl.GPUs)
		}
		l.Pools = append(l.Pools, pl)
	}
	for _, node := range p.nodes {
		if !node.gone {
			l.Places = append(l.Places, node.common().id)
		}
	}
	return l
}

func countGPUs(s *slot, n map[string]int) {
	for _, i := range s.awake[:s.GPUs] {
		switch {
		case i != nil:
			n[use(i)]++
		case !s.Pending:
			n["free"]++
		}
	}
}

// countNodes counts the GPUs of nodes that dedicated instances may use and others do not. What was launched and is not placed yet counts where it is expected.
func (p *Planner) countNodes(n map[string]int) {
	for _, node := range p.nodes {
		free := node.gpus - node.used
		for _, i := range node.residents {
			n[use(i)] += i.GPUs
			free -= i.GPUs
		}
		if !node.gone && !node.seen.SlotsOnly {
			n["free"] += max(free, 0)
		}
	}
}

// use says what the instance does with its GPUs.
func use(i *instance) string {
	switch {
	case i.activates():
		return "starting"
	case i.State == fleet.Stopping || i.State == fleet.Failed || i.State == fleet.Parking:
		return "stopping"
	case i.leases() > 0:
		return "busy"
	default:
		return "idle"
	}
}
