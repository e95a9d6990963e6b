package consul

import (
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// memory decides whether bad news is believed.
//
//	             everything that passed passes again, or the time is over
//	unsettled ──────────────────────────────────────────────────────────► settled
//	    ▲                                                                    │
//	    └──── the watch broke off, or the index ran backwards ◄──────────────┘
type memory struct {
	until  time.Time       // unsettled until then at the latest; zero = settled
	passed map[string]bool // instances whose passing was told, and nothing bad since
	known  map[string]bool // those that have passed or had the time to, as long as they are listed
}

// interrupt notes that what Consul says next may be the first words of a new life.
func (m *memory) interrupt(until time.Time) { m.until = until }

// left is how long it is unsettled yet; 0 = it is settled.
func (m *memory) left(now time.Time) time.Duration {
	if m.until.IsZero() {
		return 0
	}
	return max(m.until.Sub(now), time.Millisecond)
}

// judge takes the bad news out of an observation that is not to be believed in full, and remembers who passed.
func (m *memory) judge(now time.Time, o fleet.Observation) fleet.Observation {
	over := !m.until.IsZero() && !now.Before(m.until)
	passing, known := make(map[string]bool), make(map[string]bool)
	for _, s := range o.Instances {
		if s.Health == fleet.Passing {
			passing[s.ID] = true
		}
		if s.Health == fleet.Passing || m.known[s.ID] || over {
			known[s.ID] = true
		}
	}
	if over || m.recovered(passing) {
		m.until = time.Time{}
	}
	if o.Complete && m.until.IsZero() {
		m.passed, m.known = passing, known
		// Every service is critical until its first check. That is no news of an instance, least of all bad.
		o.Instances = slices.DeleteFunc(o.Instances, func(s fleet.Sighting) bool { return !known[s.ID] })
		return o
	}
	o.Complete = false
	o.Instances = slices.DeleteFunc(o.Instances, func(s fleet.Sighting) bool { return s.Health != fleet.Passing })
	if m.passed == nil {
		m.passed, m.known = make(map[string]bool), make(map[string]bool)
	}
	maps.Copy(m.passed, passing)
	maps.Copy(m.known, passing)
	return o
}

// recovered reports whether all that passed before the break passes again. Nothing passed before the first watch: then
// only time tells.
func (m *memory) recovered(passing map[string]bool) bool {
	for id := range m.passed {
		if !passing[id] {
			return false
		}
	}
	return len(m.passed) > 0
}
