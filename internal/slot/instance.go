package slot

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instance is one engine from the acceptance of its launch until its process and all that it started has ended.
//
//	starting ──► ready ──► parking ──► parked ──► resuming ──► ready
//	   │           │          │          │  ▲         │ │
//	   │           │          │          │  └─────────┘ │ no GPU memory, but it lives
//	   └───────────┴──────────┴──────────┴──────────────┴──► failed or stopping ──► gone
type instance struct {
	model  *fleet.Model
	parked fleet.Bytes        // what parked engines may come to hold beside it, on each of its GPUs
	quit   chan struct{}      // closed when it is to stop
	orders chan fleet.ActKind // park or resume, for its process; holds one

	// Guarded by Slot.mu.
	fleet.Instance
	phase        fleet.Phase
	failure      string
	short        bool // the failure is a want of GPU memory
	parks        bool
	generates    bool // it has generated a token since it was last started or resumed
	unresponsive bool // it did not answer its health path when last asked
	released     bool // it is parked, or was until it was told to stop: its GPUs are others'
	launched     actNumber
	last         actNumber
	quitting     bool
}

func newInstance(slot string, m *fleet.Model, act fleet.Act) *instance {
	return &instance{
		model:  m,
		parked: act.Parked,
		quit:   make(chan struct{}),
		orders: make(chan fleet.ActKind, 1),
		Instance: fleet.Instance{
			ID: act.Instance, Model: m.ID, Slot: slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting,
		},
		phase:    fleet.PhaseStarting,
		launched: numberOf(act),
		last:     numberOf(act),
	}
}

func (i *instance) sighting() fleet.Sighting {
	health := fleet.Critical
	if i.State == fleet.Ready && i.generates && !i.unresponsive {
		health = fleet.Passing
	}
	return fleet.Sighting{
		Instance: i.Instance, Phase: i.phase, Act: i.last.seq, Running: -1, Health: health, Failure: i.failure, Short: i.short, Parks: i.parks,
	}
}

// overlaps reports whether it holds one of these GPUs.
func (i *instance) overlaps(gpu, gpus int) bool {
	return !i.released && i.GPUs > 0 && gpus > 0 && i.GPU < gpu+gpus && gpu < i.GPU+i.GPUs
}

// change makes a change to an instance where it stands in one of the states, and tells the watchers. Elsewhere, as where it is being stopped,
// nothing changes, and it answers false.
func (s *Slot) change(i *instance, to func(), from ...fleet.State) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(from, i.State) {
		return false
	}
	to()
	s.publish()
	return true
}

// markPhase notes a phase on the way to ready.
func (s *Slot) markPhase(i *instance, phase fleet.Phase) {
	s.change(i, func() { i.phase = phase }, fleet.Starting, fleet.Resuming)
}

// markReady makes an instance that was just started take requests at addr.
func (s *Slot) markReady(i *instance, addr string, parks bool) {
	s.change(i, func() {
		i.State, i.phase, i.Addr, i.parks, i.generates = fleet.Ready, fleet.PhaseReady, addr, parks, true
	}, fleet.Starting)
}

// markParked notes that an engine is parked: by order, or still, because there was no memory to resume it.
func (s *Slot) markParked(i *instance, failure string) {
	s.change(i, func() {
		i.State, i.phase, i.released = fleet.Asleep, fleet.PhaseReady, true
		i.failure, i.short = failure, failure != ""
	}, fleet.Parking, fleet.Resuming)
}

// isParked reports whether it is parked, or was until it was told to stop.
func (s *Slot) isParked(i *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return i.released
}

// markResumed makes an engine that has been resumed take requests.
func (s *Slot) markResumed(i *instance) {
	s.change(i, func() { i.State, i.phase = fleet.Ready, fleet.PhaseReady }, fleet.Resuming)
}

// markGenerated notes that an engine that has been resumed has generated a token; it takes requests now, if it did not before.
func (s *Slot) markGenerated(i *instance) {
	s.change(i, func() { i.State, i.phase, i.generates = fleet.Ready, fleet.PhaseReady, true }, fleet.Resuming, fleet.Ready)
}

// markAnswering notes whether an engine has answered its health path.
func (s *Slot) markAnswering(i *instance, answers bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.unresponsive == answers {
		i.unresponsive = !answers
		s.publish()
	}
}

// markFailed notes why an engine is no use; short = for want of GPU memory. What it holds of its GPUs it holds until its process has ended.
func (s *Slot) markFailed(i *instance, why string, short bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.State, i.failure, i.short = fleet.Failed, why, short
	s.publish()
}

// markEnded notes that an engine has ended: wanted ("") or not; short = for want of GPU memory.
func (s *Slot) markEnded(i *instance, failure string, short bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.short = failure != "" && short
	s.remove(i, failure)
}

// remove takes an instance that has ended off the list; it needs mu.
func (s *Slot) remove(i *instance, failure string) {
	if failure != "" && !i.quitting {
		i.State, i.failure = fleet.Failed, failure
	}
	for n, j := range s.instances {
		if i == j {
			s.instances = append(s.instances[:n:n], s.instances[n+1:]...)
			break
		}
	}
	s.ended.add(i.ID, i.launched)
	gone := i.sighting()
	gone.Gone = true
	s.publish(gone)
}
