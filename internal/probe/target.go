package probe

import (
	"context"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// state is where the probe of one instance stands.
//
//	waiting ──► answered ◄──► missed ◄──► silent
//	    │           │    (asked again)      ▲
//	    └──► failed └───── hangs ───────────┘
//
// One that is supervised begins as answered, for its supervisor says that it is ready, and its health is not looked after here.
type state int

const (
	waiting  state = iota // for its first token
	answered              // it has generated one
	missed                // it had, and now a source of liveness misses it
	silent                // it was asked again and did not answer, or it hangs; further bad news makes it be asked once more
	failed                // it never generated a token and refuses to: nothing more to find out
)

// target is one instance whose address is known.
type target struct {
	instance   fleet.Instance
	model      *fleet.Model
	supervised bool
	load       *engine.Load
	state      state
	askedAt    time.Time // when the asking began that found it ready
	source     string    // of its address
	watched    []string  // sources of liveness that have listed it

	// Of the Watch that goes on.
	ctx      context.Context // of all that is asked of it; nil = nothing was asked yet
	stop     context.CancelFunc
	asking   bool // it is asked for a token, or whether it answers
	watching bool // its health is looked after
}

// seen is what is said of the target.
func (t *target) seen(phase fleet.Phase) fleet.Sighting {
	i := t.instance
	i.State = fleet.Starting
	if phase == fleet.PhaseReady {
		i.State = fleet.Ready
	}
	return fleet.Sighting{Instance: i, Phase: phase, Running: fleet.Unasked}
}

// observation is what is said of one target.
func observation(asked time.Time, s fleet.Sighting) fleet.Observation {
	return fleet.Observation{Source: Source, At: asked, Instances: []fleet.Sighting{s}}
}

// Observe takes addresses, ends and suspicions from what another source says. It never blocks on an engine.
func (p *Prober) Observe(o fleet.Observation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range o.Instances {
		if s := &o.Instances[k]; s.Health != "" && s.State == "" { // it tells of liveness, and of nothing else
			p.hearHealth(o.Source, s)
		} else {
			p.learn(o.Source, o.At, s)
		}
	}
	if o.Complete {
		p.hearAbsence(&o)
	}
}

// learn takes what a back end or a supervisor says of an instance.
func (p *Prober) learn(source string, at time.Time, s *fleet.Sighting) {
	t := p.targets[s.ID]
	supervised := s.Slot != "" || s.Phase == fleet.PhaseReady
	ended := s.Gone || s.Failure != "" || s.State == fleet.Stopping || s.State == fleet.Failed
	if ended || supervised && s.State != fleet.Ready { // one that is parked, or on its way, cannot be expected to answer
		p.forget(t)
		return
	}
	m := p.modelOf(s, supervised)
	if s.Addr == "" || m == nil {
		return // there is nobody to ask
	}
	if t != nil && t.instance.Addr != s.Addr {
		p.forget(t)
		t = nil
	}
	if t == nil {
		t = &target{instance: s.Instance, model: m, supervised: supervised, load: engine.NewLoad(m.Engine.Kind, s.Addr)}
		if supervised {
			t.state, t.askedAt = answered, at
		}
		p.targets[s.ID] = t
		p.want(t)
	}
	t.source = source
}

// modelOf gives the model of an instance, with the kind of engine that it was launched with. To ask whether an engine still answers takes no more
// than its kind.
func (p *Prober) modelOf(s *fleet.Sighting, supervised bool) *fleet.Model {
	m := p.models[s.Model]
	switch {
	case s.Spec == nil || m != nil && m.Engine.Kind == s.Spec.Kind:
		return m
	case m == nil && !supervised:
		return nil
	case m == nil:
		m = &fleet.Model{ID: s.Model}
	}
	launched := *m
	launched.Engine.Kind = s.Spec.Kind
	return &launched
}

// hearHealth takes what a source of liveness says of an instance.
func (p *Prober) hearHealth(source string, s *fleet.Sighting) {
	t := p.targets[s.ID]
	if t == nil {
		return
	}
	if !slices.Contains(t.watched, source) {
		t.watched = append(t.watched, source)
	}
	if s.Health == fleet.Critical {
		p.markMissed(t)
	}
}

// hearAbsence takes from a complete list that an instance is no longer in it.
func (p *Prober) hearAbsence(o *fleet.Observation) {
	listed := make(map[string]bool, len(o.Instances))
	for k := range o.Instances {
		listed[o.Instances[k].ID] = true
	}
	for id, t := range p.targets {
		switch {
		case listed[id]:
		case t.source == o.Source:
			p.forget(t)
		case slices.Contains(t.watched, o.Source):
			p.markMissed(t)
		}
	}
}

// markMissed makes a ready instance be asked again. Each word of bad news does, but never two at a time.
func (p *Prober) markMissed(t *target) {
	if t.state == answered || t.state == silent {
		t.state = missed
		p.want(t)
	}
}

// want has it looked at what is to be asked of the target.
func (p *Prober) want(t *target) {
	p.due[t.instance.ID] = t
	p.nudge()
}

// forget drops an instance, and what is being asked of it.
func (p *Prober) forget(t *target) {
	if t == nil {
		return
	}
	if t.stop != nil {
		t.stop()
	}
	delete(p.targets, t.instance.ID)
	delete(p.due, t.instance.ID)
}
