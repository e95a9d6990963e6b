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
