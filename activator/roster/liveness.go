package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// tellsLiveness reports whether the source is one like Consul: it knows who passes its checks, and nothing else.
func (s *source) tellsLiveness() bool { return !s.places() && s.name != ProbeSource }

// sightAlive takes the word of a source that is not believed for existence.
func (r *Roster) sightAlive(now time.Duration, src *source, o *fleet.Observation, i *Instance, s *fleet.Sighting) {
	healthy := !s.Gone && s.Failure == "" && (s.Health == fleet.Passing || s.Health == "" && s.Phase == fleet.PhaseReady)
	before := *i
	if src.name == ProbeSource {
		i.Phase, i.ProbeFailure, i.askedAt = s.Phase, s.Failure, r.cfg.clock(o.At)
		i.Hangs = s.State == fleet.Failed
		if s.Gone {
			i.Phase = ""
		}
	} else {
		if !slices.Contains(r.liveness, src) {
			r.liveness = append(r.liveness, src)
		}
		if healthy {
			i.Missing = false
		} else {
			r.miss(now, i)
		}
	}
	r.judge(i)
	if i.Phase != before.Phase || i.ProbeFailure != before.ProbeFailure || i.NoAnswer != before.NoAnswer || i.Missing != before.Missing || i.Addr != before.Addr || i.Hangs != before.Hangs {
		r.changed(Change{Kind: InstanceSeen, Instance: i})
	}
}

// miss notes that the instance is missed where liveness is told.
func (r *Roster) miss(now time.Duration, i *Instance) {
	if !i.Missing {
		i.Missing, i.missingAt = true, now
	}
	if before := i.NoAnswer; r.judge(i) != before {
		r.changed(Change{Kind: InstanceSeen, Instance: i})
	}
}

// judge says whether an instance no longer answers: it is missed, and the probe, asked since, did not find it either.
func (r *Roster) judge(i *Instance) bool {
	i.NoAnswer = i.Missing && i.ProbeFailure != "" && i.askedAt >= i.missingAt
	return i.NoAnswer
}
