package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// model is one model as the planner knows it.
type model struct {
	*fleet.Model
	index     int
	capacity  int    // leases that one instance may have
	pool      string // where it is placed
	unlisted  bool   // not in the config: adopted only to be stopped
	instances []*instance
	nodes     []string // where it has run: its weights may be there
	awake     average  // instances that held GPUs of late
	spared    fleet.Spared

	waiting, inflight int           // over all dispatchers, as last reported
	oldest            time.Duration // since when the first waits; valid while waiting > 0
	waited            float64       // seconds that its requests have waited, all together, until waitedAt
	waitedAt          time.Duration
	seen              bool          // it has had a request
	idleSince         time.Duration // valid once seen and nothing waits or is in flight
	lastDemand        time.Duration // when something was last reported waiting
	service           time.Duration

	desired   fleet.Desired
	stale     bool // the policy must be asked again
	reviewAt  time.Duration
	heldUntil time.Duration // 0 = not held
	stopped   bool          // by the operator: until the next request nothing but demand starts it
	short     int           // instances wanted for which there is no room
	shortFrom time.Duration
	rank      int // its place among those who wait for room; 0 = none

	impossibleUntil time.Duration // the back end has said that no node can hold it; 0 = it has not

	failures int // starts that failed in a row
	retryAt  time.Duration

	outlook   protocol.Outlook
	outlookAt time.Duration
	cold      past
	parked    past
	parks     past // what parking took
}

func (p *Planner) addModel(fm *fleet.Model) *model {
	m := &model{Model: fm, index: len(p.models), capacity: fm.MaxConcurrency, pool: fm.Pool, stale: true}
	if m.capacity < 1 {
		m.capacity = defaultCapacity
	}
	if m.pool == "" && p.anywhere == nil {
		m.pool = fleet.LocalPool
	}
	p.models = append(p.models, m)
	p.byModel[m.ID] = m
	p.pool(m.pool)
	for _, d := range p.peers {
		d.demands = append(d.demands, protocol.Demand{})
		d.since = append(d.since, 0)
	}
	return m
}

// count gives the number of its instances in a state.
func (m *model) count(s fleet.State) int {
	n := 0
	for _, i := range m.instances {
		if i.State == s {
			n++
		}
	}
	return n
}

// hot gives the number of its ready instances.
func (m *model) hot() int { return m.count(fleet.Ready) }

// pending gives the number of its instances that become ready, reserved ones included.
func (m *model) pending() int {
	n := 0
	for _, i := range m.instances {
		if i.claiming || i.State == fleet.Starting || i.State == fleet.Resuming {
			n++
		}
	}
	return n
}

// asleep gives the number of those that are parked, or being parked, and not about to be resumed.
func (m *model) asleep() int {
	n := 0
	for _, i := range m.instances {
		if !i.claiming && (i.State == fleet.Asleep || i.State == fleet.Parking) {
			n++
		}
	}
	return n
}

// homes gives the number of its instances that have a home.
func (m *model) homes() int {
	n := 0
	for _, i := range m.instances {
		if i.slot != nil {
			n++
		}
	}
	return n
}

// anyResumable reports whether one of its instances could be resumed.
func (m *model) anyResumable() bool { return slices.ContainsFunc(m.instances, (*instance).resumable) }

// going gives the number of those that hold GPUs and are about to give them back for good.
func (m *model) going() int {
	n := 0
	for _, i := range m.instances {
		if i.leaving() && i.State != fleet.Parking && (i.housed || i.slot == nil) {
			n++
		}
	}
	return n
}

// state gives the state of the whole model.
func (m *model) state() string {
	switch {
	case m.hot() > 0:
		return "hot"
	case m.pending() > 0:
		return "starting"
	case m.asleep() > 0:
		return "parked"
	default:
		return "cold"
	}
}

// held reports whether an operator holds it hot.
func (m *model) held(now time.Duration) bool { return m.heldUntil > now }
