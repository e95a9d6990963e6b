package slot

import (
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instance is one engine from the acceptance of its launch until its process and all that it started has ended.
//
//	starting: starting ──► loading ──► probing ──► ready: ready ──► stopping ──► gone
//	             └──────────────┴──────────┴───────► failed ────────────────────► gone
type instance struct {
	model *fleet.Model
	quit  chan struct{} // closed when it is to stop

	// Guarded by Slot.mu.
	fleet.Instance
	phase    fleet.Phase
	failure  string
	launched mark
	last     mark
	quitting bool
}

func newInstance(slot string, m *fleet.Model, act fleet.Act) *instance {
	return &instance{
		model: m,
		quit:  make(chan struct{}),
		Instance: fleet.Instance{
			ID: act.Instance, Model: m.ID, Slot: slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting,
		},
		phase:    fleet.PhaseStarting,
		launched: markOf(act),
		last:     markOf(act),
	}
}

func (i *instance) sighting() fleet.Sighting {
	return fleet.Sighting{
		Instance: i.Instance, Phase: i.phase, Act: i.last.seq, Running: -1, Failure: i.failure,
	}
}

// reach notes a phase of a start. An engine that is being stopped stays where it was.
func (s *Slot) reach(i *instance, phase fleet.Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.State != fleet.Starting || i.phase == phase {
		return
	}
	i.phase = phase
	s.publish()
}

// open makes an instance take requests at addr.
func (s *Slot) open(i *instance, addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.State != fleet.Starting {
		return
	}
	i.State, i.phase, i.Addr = fleet.Ready, fleet.PhaseReady, addr
	s.publish()
}

// fail notes why an engine is no use. Its GPUs are held until its process has ended.
func (s *Slot) fail(i *instance, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.State, i.failure = fleet.Failed, why
	s.publish()
}

// depart notes that an engine has ended: wanted ("") or not.
func (s *Slot) depart(i *instance, failure string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bury(i, failure)
}

// bury needs mu.
func (s *Slot) bury(i *instance, failure string) {
	if failure != "" && !i.quitting {
		i.State, i.failure = fleet.Failed, failure
	}
	for n, j := range s.instances {
		if i == j {
			s.instances = append(s.instances[:n:n], s.instances[n+1:]...)
			break
		}
	}
	s.graves.dig(i.ID, i.launched)
	gone := i.sighting()
	gone.Gone = true
	s.publish(gone)
}
