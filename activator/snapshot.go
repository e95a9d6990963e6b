package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Snapshot gives the whole fleet at this moment.
func (a *Activator) Snapshot() *fleet.Snapshot {
	a.planning.Lock()
	a.exchange()
	s := a.planner.snapshot(a.now())
	a.finishPlanning()
	tripped := a.trippedBreakers()
	for k := range s.Instances {
		s.Instances[k].Breaker = tripped[s.Instances[k].ID].String()
	}
	return s
}

func (p *Planner) snapshot(now time.Duration) *fleet.Snapshot {
	s := &fleet.Snapshot{At: p.at(now)}
	for _, m := range p.models {
		if !m.unlisted {
			s.Models = append(s.Models, p.modelStatus(now, m))
		}
	}
	for _, i := range p.instances {
		if i.launched {
			s.Instances = append(s.Instances, p.instanceStatus(i))
		}
	}
	for _, q := range p.pools {
		if st := p.poolStatus(q); len(st.Slots) > 0 || q.GPUsPerSlot > 0 {
			s.Pools = append(s.Pools, st)
		}
	}
	for _, act := range slices.Backward(p.activations) {
		c := act.Activation
		if c.Ended.IsZero() {
			c.Waited = act.waited(now)
		}
		c.Phases = slices.Clone(c.Phases)
		s.Activations = append(s.Activations, c)
	}
	return s
}

func (p *Planner) modelStatus(now time.Duration, m *model) fleet.ModelStatus {
	o := p.prospect(now, m).Outlook
	return fleet.ModelStatus{
		Model: m.Model, State: m.state(), Waiting: m.waiting, Inflight: m.inflight, Hot: m.hot(), Pending: m.pending(),
		Parked: m.asleep(), Desired: m.desired, Outlook: o,
	}
}

func (p *Planner) instanceStatus(i *instance) fleet.InstanceStatus {
	h := p.hotView(i)
	s := fleet.InstanceStatus{
		Instance: i.Instance, Phase: i.phase, Leases: h.Leases, LaunchedAt: p.at(i.launchedAt), Failure: i.failure,
	}
	if i.wasReady {
		s.ReadyAt = h.ReadyAt
	}
	if i.State == fleet.Ready {
		s.IdleSince = h.IdleSince
	}
	return s
}

func (p *Planner) poolStatus(q *pool) fleet.PoolStatus {
	st := fleet.PoolStatus{Pool: q.Pool}
	for _, s := range p.slots {
		if s.Pool != q.Name {
			continue
		}
		o := fleet.SlotStatus{Slot: s.Slot, Occupants: make([]string, s.GPUs)}
		for _, i := range s.homes {
			if i.State == fleet.Asleep {
				o.Sleepers = append(o.Sleepers, i.ID)
			}
		}
		for _, c := range s.claims {
			o.Reserved = append(o.Reserved, fleet.Reservation{Instance: c.ID, Model: c.Model, GPU: c.GPU, GPUs: c.GPUs})
		}
		for g := range o.Occupants {
			if i := s.awake[g]; i != nil {
				o.Occupants[g] = i.ID
			}
		}
		st.Slots = append(st.Slots, o)
	}
	return st
}
