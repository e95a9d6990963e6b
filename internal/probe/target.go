package probe

import (
	"context"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// state is where the probe of one instance stands.
//
//	waiting ──► answered ◄──► missed ◄──► silent
//	    │                 (asked again)
//	    └──► failed
type state int

const (
	waiting  state = iota // for its first token
	answered              // it has generated one
	missed                // it had, and now a source of liveness misses it
	silent                // it was asked again and did not answer; further bad news makes it be asked once more
	failed                // it never generated a token and refuses to: nothing more to find out
)

// target is one instance whose address is known.
type target struct {
	instance fleet.Instance
	model    *fleet.Model
	state    state
	askedAt  time.Time          // when the asking began that found it ready
	source   string             // of its address
	watched  []string           // sources of liveness that have listed it
	stop     context.CancelFunc // of the asking under way; nil = none is
}

// found is what is said of the target.
func (t *target) found(asked time.Time, phase fleet.Phase, failure string) fleet.Observation {
	i := t.instance
	i.State = fleet.Starting
	if phase == fleet.PhaseReady {
		i.State = fleet.Ready
	}
	return fleet.Observation{
		Source: Source, At: asked,
		Instances: []fleet.Sighting{{Instance: i, Phase: phase, Failure: failure, Running: -1}},
	}
}

// Observe takes addresses, ends and suspicions from what another source says. It never blocks on an engine.
func (p *Prober) Observe(o fleet.Observation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range o.Instances {
		if s := &o.Instances[k]; s.Health != "" {
			p.suspect(o.Source, s)
		} else {
			p.meet(o.Source, s)
		}
	}
	if o.Complete {
		p.absent(&o)
	}
}

// meet takes what a back end says of an instance.
func (p *Prober) meet(source string, s *fleet.Sighting) {
	t := p.targets[s.ID]
	if s.Gone || s.Failure != "" || s.State == fleet.Stopping || s.State == fleet.Failed {
		p.drop(t)
		return
	}
	m := p.models[s.Model]
	if s.Slot != "" || s.Addr == "" || m == nil || s.Phase == fleet.PhaseReady {
		return // its slot knows better, or there is nobody to ask
	}
	if t != nil && t.instance.Addr != s.Addr {
		p.drop(t)
		t = nil
	}
	if t == nil {
		t = &target{instance: s.Instance, model: m}
		p.targets[s.ID] = t
		p.nudge()
	}
	t.source = source
}

// suspect takes what a source of liveness says of an instance.
func (p *Prober) suspect(source string, s *fleet.Sighting) {
	t := p.targets[s.ID]
	if t == nil {
		return
	}
	if !slices.Contains(t.watched, source) {
		t.watched = append(t.watched, source)
	}
	if s.Health == fleet.Critical {
		p.miss(t)
	}
}

// absent takes from a complete list that an instance is no longer in it.
func (p *Prober) absent(o *fleet.Observation) {
	for id, t := range p.targets {
		if slices.ContainsFunc(o.Instances, func(s fleet.Sighting) bool { return s.ID == id }) {
			continue
		}
		switch {
		case t.source == o.Source:
			p.drop(t)
		case slices.Contains(t.watched, o.Source):
			p.miss(t)
		}
	}
}

// miss makes a ready instance be asked again. Each word of bad news does, but never two at a time.
func (p *Prober) miss(t *target) {
	if t.state == answered || t.state == silent {
		t.state = missed
		p.nudge()
	}
}

// drop forgets an instance.
func (p *Prober) drop(t *target) {
	if t == nil {
		return
	}
	if t.stop != nil {
		t.stop()
	}
	delete(p.targets, t.instance.ID)
}
