package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Who is believed for what:
//
//	                    existence   readiness            liveness
//	knows slots         yes         yes                  yes      supervises its engines
//	knows nodes         yes         no                   no       knows jobs, not engines
//	the probe           no          yes                  confirms what another source misses
//	any other (Consul)  no          no                   raises the suspicion
//
// An instance that is missed where liveness is told, and that still answers the probe, keeps its shares and is not stopped: an agent that
// restarts forgets its services while their engines go on.

const probeSource = "probe"

// saysReady reports whether the source is believed when it says that the instance is ready.
func (p *Planner) saysReady(src *source, i *instance) bool {
	if i.m.dedicated() {
		return src.name == probeSource && i.Addr != "" || src.slots
	}
	return src.name == probeSource || src.slots
}

// Lost notes that a source is unreachable. Until it speaks again what it said last stays true, and nothing that it lists is taken away
// because of what is not heard meanwhile.
func (p *Planner) Lost(name string) {
	for _, s := range p.sources {
		if s.name == name {
			s.lost = true
		}
	}
}

// visible reports whether the sources that are believed for the instance's existence can be reached.
func (p *Planner) visible(i *instance) bool {
	if p.unsound.stopsUnseen {
		return true
	}
	if i.slot != nil && i.slot.source != nil && i.slot.source.lost {
		return false
	}
	return !slices.ContainsFunc(i.listedBy, func(s *source) bool { return s.places && s.lost })
}

// heard reports whether everybody can be reached who would speak of the instance: those who list it, and those who tell of liveness. Until then it
// is not let go merely because it seems idle. Room for whoever waits may still be made of it: what that takes is known.
func (p *Planner) heard(i *instance) bool {
	return p.unsound.stopsUnseen || !slices.ContainsFunc(p.sources, func(s *source) bool {
		return s.lost && (!s.places || slices.Contains(i.listedBy, s))
	})
}

// audible reports whether whoever would say that a starting instance is ready can be reached.
func (p *Planner) audible(i *instance) bool {
	return p.visible(i) && !(i.m.dedicated() && slices.ContainsFunc(p.sources, func(s *source) bool { return s.name == probeSource && s.lost }))
}

// vouch takes the word of a source that is not believed for existence.
func (p *Planner) vouch(now time.Duration, src *source, asked time.Time, i *instance, s *fleet.Sighting) {
	healthy := !s.Gone && s.Failure == "" && (s.Health == fleet.Passing || s.Health == "" && s.Phase == fleet.PhaseReady)
	if src.name == probeSource {
		i.silent, i.silentAt = s.Failure != "", p.clock(asked)
	} else {
		p.miss(now, i, !healthy)
	}
	switch {
	case src.name == probeSource && s.State == fleet.Failed: // it was looked after, and hangs: nobody need miss it too
		p.ail(now, i, s.Failure)
	case i.State == fleet.Starting || i.State == fleet.Resuming:
		if src.name == probeSource && s.Failure != "" {
			p.ail(now, i, s.Failure)
		} else if src.name == probeSource && !s.Gone {
			p.welcome(now, src, i, s)
		}
	default:
		p.doubt(now, i)
	}
}

// welcome takes a phase of an activation, and the last of them from those who are believed for it.
func (p *Planner) welcome(now time.Duration, src *source, i *instance, s *fleet.Sighting) {
	switch {
	case s.Phase != fleet.PhaseReady:
		p.advance(now, i, s.Phase)
	case i.State == fleet.Resuming && (s.State == fleet.Resuming || !src.slots):
		// its slot says so when it is
	case i.State == fleet.Asleep && src.slots:
		p.stop(now, i, "woke up without being asked")
	case (i.State == fleet.Starting && i.launched || i.State == fleet.Resuming) && p.saysReady(src, i):
		p.ready(now, i)
	}
}

// missAbsent notes which instances a complete list of a source that tells of liveness no longer has.
func (p *Planner) missAbsent(now time.Duration, src *source, o *fleet.Observation) {
	for _, i := range slices.Clone(p.instances) {
		if slices.Contains(i.listedBy, src) && !listed(o, i.ID) {
			p.miss(now, i, true)
			p.doubt(now, i)
		}
	}
}

// miss notes whether the instance is missed where liveness is told.
func (p *Planner) miss(now time.Duration, i *instance, missing bool) {
	if missing && !i.missing {
		i.missingAt = now
	}
	i.missing = missing
}

// doubt gives up a ready instance that is missed, and that the probe, asked since, did not find either.
func (p *Planner) doubt(now time.Duration, i *instance) {
	confirmed := i.silent && i.silentAt >= i.missingAt || p.unsound.trustsConsul
	if i.State == fleet.Ready && i.missing && confirmed && p.visible(i) {
		p.ail(now, i, "no longer answers")
	}
}
