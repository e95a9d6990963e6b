package activator

import (
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const activationsKept = 256

func formatID(n uint64) string { return strconv.FormatUint(n, 36) }

// activation is one under way, or one that is remembered.
type activation struct {
	fleet.Activation
	m      *model
	before float64 // seconds that the model's requests had waited when it began
}

// waited gives what the model's requests have waited since the activation began.
func (a *activation) waited(now time.Duration) time.Duration {
	a.m.addWaiting(now)
	return time.Duration((a.m.waited - a.before) * float64(time.Second))
}

// addWaiting adds up what requests have waited since the last call.
func (m *model) addWaiting(now time.Duration) {
	m.waited += float64(m.waiting) * (now - m.waitedAt).Seconds()
	m.waitedAt = now
}

// activate opens the record of an activation.
func (p *Planner) activate(now time.Duration, i *instance) {
	p.activated++
	i.m.addWaiting(now)
	i.activation = &activation{m: i.m, before: i.m.waited, Activation: fleet.Activation{
		ID: p.activated, Model: i.Model, Instance: i.ID, From: i.from, Reason: i.reason, Began: p.at(now),
		Phases: []fleet.PhaseTime{{Phase: fleet.PhaseQueued, At: p.at(now)}},
	}}
	p.activations = append(p.activations, i.activation)
	if len(p.activations) > activationsKept {
		p.activations = p.activations[1:]
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
func (p *Planner) advance(now time.Duration, i *instance, ph fleet.Phase) {
	if i.activation == nil || phaseRank(ph) <= phaseRank(i.phase) {
		return
	}
	i.phase = ph
	i.activation.Phases = append(i.activation.Phases, fleet.PhaseTime{Phase: ph, At: p.at(now)})
	if ph != fleet.PhaseReady {
		p.note(now, i, i.State, "phase "+string(ph))
	}
}

// succeed closes the record of an activation, and learns from it.
func (p *Planner) succeed(now time.Duration, i *instance) {
	if i.activation == nil {
		return
	}
	p.advance(now, i, fleet.PhaseReady)
	past := i.m.past(i.from)
	past.add(now - i.launchedAt)
	p.learned = append(p.learned, fleet.Learned{Model: i.Model, From: i.from, Durations: past.copy()})
	p.endActivation(now, i, "")
}

// endActivation closes the record, with a failure or without.
func (p *Planner) endActivation(now time.Duration, i *instance, failure string) {
	if i.activation == nil {
		return
	}
	a := i.activation
	a.Ended, a.Failure, a.Waited = p.at(now), failure, a.waited(now)
	if i.housed {
		a.GPUSeconds = (now - i.launchedAt).Seconds() * float64(i.GPUs)
	}
	i.waited = a.Waited
	p.ended = append(p.ended, a.Activation)
	i.activation = nil
}
