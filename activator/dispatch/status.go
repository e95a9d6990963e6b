package dispatch

import "github.com/pilotlight-io/pilotlight/internal/fleet"

// QueueStatus is the queue of one model at one moment.
type QueueStatus struct {
	Waiting int          // within the queue's bounds
	Retries int          // beside them
	OnlyHot int          // of both: those who do not wait for an instance to start
	Hot     bool         // some instance takes requests, though it may be full
	Answer  fleet.Answer // of the last table
}

// Queue gives the queue of a model; of an unknown one, an empty queue.
func (d *Dispatcher) Queue(model string) QueueStatus {
	q := d.byModel[model]
	if q == nil {
		return QueueStatus{}
	}
	return QueueStatus{Waiting: q.waiting, Retries: q.retries.n, OnlyHot: q.onlyHot, Hot: q.hot(), Answer: q.outlook.Answer}
}

// WaitingOf gives how many of an org wait for a model, retries not counted.
func (d *Dispatcher) WaitingOf(model, org string) int {
	if q := d.byModel[model]; q != nil {
		return q.waitingOf(org)
	}
	return 0
}

// InstanceStatus is what a dispatcher holds on one instance.
type InstanceStatus struct {
	ID            string
	Slots, Leases int
	Breaker       BreakerState
}

// Instance gives what is held on an instance; false = nothing.
func (d *Dispatcher) Instance(id string) (InstanceStatus, bool) {
	i := d.byID[id]
	if i == nil {
		return InstanceStatus{}, false
	}
	return statusOf(i), true
}

// Instances gives all instances on which something is held.
func (d *Dispatcher) Instances() []InstanceStatus {
	all := make([]InstanceStatus, len(d.instances))
	for k, i := range d.instances {
		all[k] = statusOf(i)
	}
	return all
}

func statusOf(i *instance) InstanceStatus {
	return InstanceStatus{ID: i.id, Slots: i.slots, Leases: i.leases, Breaker: i.breaker}
}
