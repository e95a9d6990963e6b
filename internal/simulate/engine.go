package simulate

import (
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// engine is one instance as it really is: what its process does, and which GPUs it holds.
//
//	launch ──► starting ──► ready ◄──► parking, parked, resuming
//	               │          │                 │
//	               └──────────┴──► stopping ◄───┘──► gone
type engine struct {
	fleet.Instance
	profile  *trace.Profile
	model    int
	inflight int
	since    time.Duration // in this state, or idle or busy
	move     uint64        // the move under way: an event of an earlier one is void
	act      uint64        // the last act
	slept    bool          // it has been parked once
}

// doing says what the engine's GPUs are held for.
func (e *engine) doing() use {
	switch e.State {
	case fleet.Starting:
		return starting
	case fleet.Resuming:
		return waking
	case fleet.Ready:
		if e.inflight > 0 {
			return busy
		}
		return idle
	case fleet.Parking, fleet.Stopping:
		return leaving
	default:
		return nothing
	}
}

// takes gives what a move of the engine takes this time: from cold or parked until it is ready, from hot until it is parked. Where such moves were measured,
// one of those that the number of the move gives.
func (s *simulation) takes(e *engine, from fleet.Tier) time.Duration {
	if from == fleet.Hot && !e.slept {
		from = fleet.FirstPark
	}
	measured := s.cfg.measured[move{e.Model, from}]
	if from == fleet.FirstPark && len(measured) == 0 {
		measured = s.cfg.measured[move{e.Model, fleet.Hot}]
	}
	if len(measured) > 0 {
		s.moves++
		return measured[mix(s.moves*0x9e3779b97f4a7c15+s.cfg.Seed)%uint64(len(measured))]
	}
	switch from {
	case fleet.Cold:
		return s.jittered(e.profile.Cold)
	case fleet.Parked:
		return s.jittered(e.profile.Wake)
	case fleet.FirstPark:
		return s.jittered(s.cfg.firstPark(e.profile))
	default:
		return s.jittered(e.profile.Park)
	}
}

// jittered gives what a move takes this time: the profile's value times a fraction from 0.9 to 1.2 that the seed and the number of the move give;
// under seed 0 the profile's value.
func (s *simulation) jittered(d time.Duration) time.Duration {
	if s.cfg.Seed == 0 {
		return d
	}
	s.moves++
	x := mix(s.moves*0x9e3779b97f4a7c15 + mix(s.cfg.Seed+0x632be59bd9b4e019))
	return time.Duration(float64(d) * (0.9 + 0.3*float64(x>>11)/(1<<53)))
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// perform carries out an act of the planner.
func (s *simulation) perform(act *fleet.Act) {
	if act.Kind == fleet.ActAddSlot || act.Kind == fleet.ActDropSlot {
		s.performSlot(act)
		return
	}
	e := s.engines[act.Instance]
	if e == nil {
		if act.Kind != fleet.ActLaunch {
			return
		}
		m := s.byModel[act.Model]
		e = &engine{
			Instance: fleet.Instance{ID: act.Instance, Model: act.Model, Slot: act.Slot, Node: act.Slot, GPU: act.GPU, GPUs: act.GPUs, Addr: act.Instance},
			profile:  &s.cfg.Profiles[m], model: m, since: s.now,
		}
		s.engines[e.ID] = e
	}
	e.act = act.Seq
	switch act.Kind {
	case fleet.ActLaunch:
		s.begin(e, fleet.Starting, s.takes(e, fleet.Cold))
	case fleet.ActResume:
		s.begin(e, fleet.Resuming, s.takes(e, fleet.Parked))
	case fleet.ActPark:
		s.begin(e, fleet.Parking, s.takes(e, fleet.Hot))
	case fleet.ActStop:
		s.stop(e)
	}
}

// stop ends the engine. One that is parked holds no GPU, so it is gone at once.
func (s *simulation) stop(e *engine) {
	if e.State == fleet.Stopping {
		return
	}
	takes := time.Duration(0)
	if e.State == fleet.Asleep {
		s.score.drops++
	} else {
		takes = s.jittered(e.profile.Stop)
	}
	s.begin(e, fleet.Stopping, takes)
}

// begin starts a move that takes so long.
func (s *simulation) begin(e *engine, to fleet.State, takes time.Duration) {
	s.account(e)
	s.enter(e, to)
	e.move++
	s.agenda.push(event{at: s.now + takes, engine: e, move: e.move})
	if s.now < s.cfg.Warmup {
		return
	}
	switch to {
	case fleet.Starting:
		s.score.coldStarts++
	case fleet.Resuming:
		s.score.resumes++
	}
}

// arrived ends the engine's move and tells the planner.
func (s *simulation) arrived(e *engine) {
	s.account(e)
	gone := false
	switch e.State {
	case fleet.Starting, fleet.Resuming:
		s.enter(e, fleet.Ready)
	case fleet.Parking:
		s.enter(e, fleet.Asleep)
		e.slept = true
	case fleet.Stopping:
		gone = true
		s.enter(e, "")
		delete(s.engines, e.ID)
	}
	seen := s.sighting(e)
	seen.Gone = gone
	s.observe(&fleet.Observation{Instances: []fleet.Sighting{seen}})
}

// sighting is the engine as the cluster sees it.
func (s *simulation) sighting(e *engine) fleet.Sighting {
	seen := fleet.Sighting{Instance: e.Instance, Running: fleet.Unasked, Act: e.act, Parks: true, Slept: e.slept}
	if s.cfg.KeepsCopy && e.slept {
		seen.Copy = fleet.CopyKept
	}
	if e.State == fleet.Ready {
		seen.Phase = fleet.PhaseReady
	}
	return seen
}

// account adds up what the engine's GPUs were held for until now.
func (s *simulation) account(e *engine) {
	s.score.hold(e.doing(), e.GPUs, e.since, s.now)
	e.since = s.now
}

// engineID names the engines that were there before.
func engineID(n int) string { return "before-" + strconv.Itoa(n) }
