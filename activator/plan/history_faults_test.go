package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// live gives the engines that run and that a condition holds of.
func (s *backend) live(is func(*process) bool) []*process {
	return slices.DeleteFunc(slices.Clone(s.engines), func(e *process) bool { return e.gone || !is(e) })
}

// stepForget has Nomad lose an instance's job: what ran is gone, and nobody says so.
func (h *history) stepForget() {
	if jobs := h.backend.live((*process).dedicated); len(jobs) > 0 && h.choose(3) == 0 {
		e := pick(h, jobs)
		h.note("%s is forgotten", e.ID)
		h.reach("Nomad has forgotten a job")
		e.gone, e.failure = true, "its job is not there any more"
	}
}

// stepHang has an engine that serves say nothing any more. On its own job the probe finds that, in a slot its supervisor, who kills it.
func (h *history) stepHang() {
	ready := h.backend.live(func(e *process) bool { return e.State == fleet.Ready && (e.dedicated() || h.supervised) })
	if len(ready) == 0 || h.choose(3) > 0 {
		return
	}
	e := pick(h, ready)
	h.note("%s hangs", e.ID)
	if h.leasesOn(e.ID) > 0 {
		h.reach("an engine hung with streams on it")
	}
	if e.hangs = true; !e.dedicated() {
		e.State, e.failure = fleet.Failed, "gives no sign of health"
		h.backend.changed(e)
	}
}

// stepDeaf has the probe miss the answer of an engine that is well.
func (h *history) stepDeaf() {
	if ready := h.backend.live(func(e *process) bool { return e.State == fleet.Ready && e.Addr != "" }); len(ready) > 0 {
		e := pick(h, ready)
		h.note("the probe does not hear %s", e.ID)
		e.missed = true
		o := h.backend.observation("probe", false)
		o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: fleet.PhaseReady, Running: -1, Failure: "no answer"})
		h.backend.send(o)
	}
}

// stepStaleConsul has Consul say what was so some time ago, or keeps that for later.
func (h *history) stepStaleConsul() {
	s := h.backend
	if s.consulSaid == nil || h.choose(3) == 0 {
		s.consulSaid = []fleet.Sighting{}
		for _, e := range s.live(func(e *process) bool { return e.State == fleet.Ready }) {
			s.consulSaid = append(s.consulSaid, fleet.Sighting{Instance: e.Instance, Health: fleet.Passing, Running: -1})
		}
		return
	}
	o := s.observation("consul", true)
	o.Instances = slices.Clone(s.consulSaid)
	for _, said := range o.Instances {
		if e := s.find(said.ID); e.gone {
			h.reach("Consul vouched for an engine that was gone")
		}
	}
	s.send(o)
}

// stepSkew sets the clock of a slot's machine back, or right: it says of its lists that they are older than they are. That they are younger than they are, its client
// does not believe.
func (h *history) stepSkew() {
	source := pick(h, h.backend.sources())
	h.backend.skew[source] = pick(h, []time.Duration{0, -time.Second, -time.Minute, -time.Hour})
	h.note("the clock of %s is off by %s", source, h.backend.skew[source])
}

// stepDisk fills the disk of a place, or frees it. No engine starts where it is full.
func (h *history) stepDisk() {
	s := h.backend
	var places []string
	for _, n := range s.nodes {
		places = append(places, n.ID)
	}
	for _, t := range s.slots {
		places = append(places, t.ID)
	}
	if len(places) > 0 {
		at := pick(h, places)
		s.full[at] = !s.full[at]
		h.note("the disk of %s is full: %v", at, s.full[at])
	}
}

// fails has an engine that starts be no use, of a cause that its place has, or the engine.
func (h *history) fails(e *process) {
	e.gone, e.failure, e.cause = true, "exit status 1", pick(h, []fleet.Cause{"", fleet.CauseEngine, fleet.CauseWeights, fleet.CausePlace})
	if h.backend.full[e.Slot] || h.backend.full[e.Node] {
		h.reach("a start failed because the disk was full")
		e.failure, e.cause = "no space left on device", fleet.CausePlace
	}
}

// recoverFaults ends what these faults have left.
func (s *backend) recoverFaults() {
	clear(s.full)
	clear(s.skew)
	s.consulSaid = nil
}
