package slot

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/engine"
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
	quit   chan struct{}      // closed when it is to stop
	orders chan fleet.ActKind // park or resume, for its process; holds one

	// Guarded by Slot.mu.
	fleet.Instance
	phase        fleet.Phase
	failure      string
	cause        fleet.Cause  // of the failure
	load         *engine.Load // once it is ready
	short        bool         // the failure is a want of GPU memory
	parks        bool
	generates    bool // it has generated a token since it was last started or resumed
	unresponsive bool // it did not answer its health path when last asked
	slept        bool // it has been parked once
	copy         fleet.Copy
	released     bool // it is parked, or was until it was told to stop: its GPUs are others'
	launched     actNumber
	last         actNumber
	quitting     bool
}

func newInstance(slot string, m *fleet.Model, act fleet.Act) *instance {
	return &instance{
		model:  m,
		quit:   make(chan struct{}),
		orders: make(chan fleet.ActKind, 1),
		Instance: fleet.Instance{
			ID: act.Instance, Model: m.ID, Slot: slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting, Spec: fleet.NewSpec(m, act.Parked),
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
		Instance: i.Instance, Phase: i.phase, Act: i.last.seq, Running: fleet.Unasked, Health: health, Failure: i.failure, Cause: i.cause, Short: i.short, Parks: i.parks,
		Slept: i.slept, Copy: i.copy, Unproven: i.State == fleet.Ready && !i.generates,
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
		i.load = engine.NewLoad(i.Spec.Kind, addr)
	}, fleet.Starting)
}

// markParked notes that an engine is parked: by order, or still, because there was no memory to resume it.
func (s *Slot) markParked(i *instance, end ending) {
	s.change(i, func() {
		i.State, i.phase, i.released, i.slept = fleet.Asleep, fleet.PhaseReady, true, true
		i.failure, i.cause, i.short = end.failure, end.cause, end.short
	}, fleet.Parking, fleet.Resuming)
}

// markCopy notes what becomes of its copy in host memory while it is awake.
func (s *Slot) markCopy(i *instance, is fleet.Copy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.copy != is {
		i.copy = is
		s.publish()
	}
}

// keepsCopy reports whether it takes host memory though it is awake; it needs Slot.mu.
func (i *instance) keepsCopy() bool { return i.slept && i.copy == fleet.CopyKept }

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

// isUnresponsive reports whether it did not answer its health path when last asked.
func (s *Slot) isUnresponsive(i *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return i.unresponsive
}

// markFailed notes why an engine is no use. What it holds of its GPUs it holds until its process has ended.
func (s *Slot) markFailed(i *instance, why ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.State, i.failure, i.cause, i.short = fleet.Failed, why.failure, why.cause, why.short
	s.publish()
}

// markEnded notes how an engine has ended.
func (s *Slot) markEnded(i *instance, end ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(i, end)
}

// remove takes an instance that has ended off the list; it needs mu.
func (s *Slot) remove(i *instance, end ending) {
	if end.failure != "" && !i.quitting {
		i.State, i.failure, i.cause, i.short = fleet.Failed, end.failure, end.cause, end.short
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
