package activator

import (
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Snapshot gives the whole fleet at this moment.
func (a *Activator) Snapshot() *fleet.Snapshot {
	a.planning.Lock()
	a.exchange()
	s := a.planner.Snapshot(a.now())
	a.finishPlanning()
	tripped := a.trippedBreakers()
	for k := range s.Instances {
		s.Instances[k].Breaker = tripped[s.Instances[k].ID].String()
	}
	return s
}

// LastActivation gives the last activation of an instance that is remembered; false = there is none. It is cheap: it looks, and decides nothing.
func LastActivation(a *Activator, instance string) (fleet.Activation, bool) {
	a.planning.Lock()
	defer a.planning.Unlock()
	return a.planner.LastActivation(a.now(), instance)
}
