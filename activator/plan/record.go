package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const activationsKept = 256

// openActivation opens the record of an activation.
func (s *state) openActivation(now time.Duration, i *instance) {
	s.activated++
	i.m.addWaiting(now)
	i.activation = &activation{m: i.m, before: i.m.waited, Activation: fleet.Activation{
		ID: s.activated, Model: i.Model, Instance: i.ID, From: i.from, Reason: i.reason, Began: s.at(now),
		Phases: []fleet.PhaseTime{{Phase: fleet.PhaseQueued, At: s.at(now)}},
	}}
	s.activations = append(s.activations, i.activation)
	if len(s.activations) > activationsKept {
		s.activations = s.activations[1:]
	}
}

// phaseRank orders the phases.
func phaseRank(ph fleet.Phase) int {
	switch ph {
	case fleet.PhaseQueued:
		return 1
	case fleet.PhaseSubmitted:
		return 2
	case fleet.PhasePlaced:
		return 3
	case fleet.PhasePulling:
		return 4
	case fleet.PhaseStarting:
		return 5
	case fleet.PhaseLoading:
		return 6
	case fleet.PhaseProbing:
		return 7
	case fleet.PhaseReady:
		return 8
	default:
		return 0
	}
}

// advance notes a phase of an activation; phases never go back.
func (s *state) advance(now time.Duration, i *instance, ph fleet.Phase) {
	if i.activation == nil || phaseRank(ph) <= phaseRank(i.phase) {
		return
	}
	i.phase = ph
	i.activation.Phases = append(i.activation.Phases, fleet.PhaseTime{Phase: ph, At: s.at(now)})
	s.mark(i.m)
	if ph != fleet.PhaseReady {
		s.note(now, i, i.State, "phase "+string(ph))
	}
}

// completeActivation closes the record of an activation that has reached ready, and learns from it.
func (s *state) completeActivation(now time.Duration, i *instance) {
	if i.activation == nil {
		return
	}
	s.advance(now, i, fleet.PhaseReady)
	past := i.m.past(i.from)
	s.learn(i.m, i.from, now-i.launchedAt)
	s.learned = append(s.learned, fleet.Learned{Model: i.Model, From: i.from, Durations: past.copy()})
	s.endActivation(now, i, "")
}

// endActivation closes the record, with a failure or without.
func (s *state) endActivation(now time.Duration, i *instance, failure string) {
	if i.activation == nil {
		return
	}
	a := i.activation
	a.Ended, a.Failure, a.Waited = s.at(now), failure, a.waited(now)
	if i.stay == holdsGPU {
		a.GPUSeconds = (now - i.launchedAt).Seconds() * float64(i.GPUs)
	}
	i.waited = a.Waited
	s.ended = append(s.ended, a.Activation)
	i.activation = nil
}

// note records a transition from a state to the present one.
func (s *state) note(now time.Duration, i *instance, from fleet.State, why string) {
	s.notices = append(s.notices, fleet.Notice{
		At: s.at(now), Model: i.Model, Instance: i.ID, From: from, To: i.State, Reason: why,
		GPUSeconds: gpuTime(now, i, from).Seconds() * float64(i.GPUs), Waited: waitFor(now, i, from), Lost: i.lost(),
	})
}

// lost reports whether whoever has no answer from the instance yet had better ask another.
func (i *instance) lost() bool {
	switch i.State {
	case "", fleet.Failed:
		return true
	case fleet.Draining, fleet.Stopping:
		return i.failure != ""
	default:
		return false
	}
}

// waitFor gives what requests will wait for a move that begins, as far as they wait already, or have waited for one that has ended.
func waitFor(now time.Duration, i *instance, from fleet.State) time.Duration {
	switch {
	case from == i.State:
		return 0
	case i.activates() && i.trust == ownLaunch:
		return i.m.takes(i.from) * time.Duration(i.m.waiting)
	case from != fleet.Starting && from != fleet.Resuming:
		return 0
	case i.activation != nil:
		return i.activation.waited(now)
	default:
		return i.waited
	}
}

// gpuTime gives how long the instance holds its GPUs for a move that begins, or has held them for one that has ended.
func gpuTime(now time.Duration, i *instance, from fleet.State) time.Duration {
	switch {
	case from == i.State || i.stay != holdsGPU:
		return 0
	case i.State == fleet.Starting && i.trust == ownLaunch, i.State == fleet.Resuming:
		return i.m.takes(i.from)
	case i.State == fleet.Parking:
		return i.m.takes(i.nextPark())
	case i.State == fleet.Stopping:
		return stopTime
	case from == fleet.Starting || from == fleet.Resuming:
		return now - i.launchedAt
	case from == fleet.Parking || from == fleet.Stopping || from == fleet.Failed:
		return now - i.leavingAt
	default:
		return 0
	}
}

// waited gives what the model's requests have waited since the activation began.
func (a *activation) waited(now time.Duration) time.Duration {
	a.m.addWaiting(now)
	return time.Duration((a.m.waited - a.before) * float64(time.Second))
}

// learn notes what a move of the model took.
func (s *state) learn(m *model, from fleet.Tier, took time.Duration) {
	m.past(from).add(took)
	s.leavesLeast = min(s.leavesLeast, m.takes(fleet.Hot), m.takes(fleet.FirstPark))
}
