package activator

import (
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// published is the fleet as readers have it. It is made outside of the planner, of what the planner says has changed.
type published struct {
	mu   sync.Mutex // guards what follows, and is taken before planning
	view plan.View
}

// Snapshot gives the whole fleet at this moment; where the planner is another server's, its models alone. It costs the planner as much as has changed since the last one, whatever the size of the fleet.
func (a *Activator) Snapshot() *fleet.Snapshot {
	a.published.mu.Lock()
	defer a.published.mu.Unlock()
	a.planning.Lock()
	if a.planner == nil {
		defer a.planning.Unlock()
		return glimpse(a)
	}
	a.exchange()
	changes := a.planner.TakeChanges(a.now())
	a.finishPlanning()
	s := a.published.view.Apply(changes)
	showBreakers(s, a.trippedBreakers())
	return s
}

// showBreakers fills in how the instances' breakers stand. What the view keeps is not changed.
func showBreakers(s *fleet.Snapshot, tripped map[string]trip) {
	s.Instances = slices.Clone(s.Instances)
	for k := range s.Instances {
		t := tripped[s.Instances[k].ID]
		s.Instances[k].Breaker, s.Instances[k].BreakerWhy = t.state.String(), t.why
	}
}

// LastActivation gives the last activation of an instance that is remembered; false = there is none. It is cheap: it looks, and decides nothing.
func LastActivation(a *Activator, instance string) (fleet.Activation, bool) {
	a.planning.Lock()
	defer a.planning.Unlock()
	if a.planner == nil {
		return fleet.Activation{}, false
	}
	return a.planner.LastActivation(a.now(), instance)
}

// glimpse is what a server that follows knows of the fleet.
func glimpse(a *Activator) *fleet.Snapshot {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	s := &fleet.Snapshot{At: time.Now()}
	for _, m := range a.models {
		s.Models = append(s.Models, fleet.ModelStatus{Model: m, State: dispatch.State(a.dispatcher, m.ID), Outlook: a.dispatcher.Outlook(a.now(), m.ID)})
	}
	return s
}
