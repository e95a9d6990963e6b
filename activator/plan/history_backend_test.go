package plan

import (
	"errors"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// backend is the back end of a history: what is really there.
type backend struct {
	h       *history
	slots   []fleet.Slot
	engines []*process
	stopped map[string]bool // instance IDs that may never be launched (again)
	done    map[uint64]map[uint64]bool
	term    uint64            // older ones are refused
	seq     map[string]uint64 // source -> its last version
	healthy bool

	nodes   []fleet.Node             // of a backend that places by itself
	out     map[string]bool          // sources that are not heard; a supervisor does not hear either
	closing map[string]bool          // slots whose supervisors shut down
	full    map[string]bool          // slots and nodes whose disk is full
	skew    map[string]time.Duration // source -> by how much its clock is behind

	consulSaid []fleet.Sighting // some time ago; nil = nothing is kept
}

type process struct {
	fleet.Instance
	phase    fleet.Phase
	stopping bool
	asleep   bool // while stopping: it was parked, and holds no GPU
	gone     bool
	act      uint64
	short    bool // its failure is a want of memory
	failure  string
	cause    fleet.Cause
	hangs    bool // it says nothing any more
	missed   bool // the probe has missed an answer of it
	dead     bool // its death is noted
	unplaced fleet.Unplaced
	moved    int    // so often it was started anew, each time at another address: its streams died with what ran before
	listens  bool   // the probe has found something at its address
	taking   int64  // when a stop or a park was ordered last
	ended    bool   // stopping because its slot shuts down
	term     uint64 // in which it was launched
}

func (e *process) dedicated() bool { return e.Slot == "" }

// serves reports whether a lease is on what runs now: who was told of another address asks where nobody listens.
func (e *process) serves(l *dispatch.Lease) bool {
	return e != nil && l.Instance == e.ID && l.Addr == e.Addr
}

func newBackend(h *history) *backend {
	s := emptyBackend(h)
	for _, id := range []string{"x", "y"}[:1+h.choose(2)] {
		gpus := pick(h, []int{2, 4, 8})
		if h.pool.GPUsPerSlot > 0 {
			gpus = h.pool.GPUsPerSlot
		}
		s.slots = append(s.slots, fleet.Slot{ID: id, Pool: "local", Node: id, GPUs: gpus})
	}
	return s
}

func emptyBackend(h *history) *backend {
	return &backend{
		h: h, stopped: make(map[string]bool), done: make(map[uint64]map[uint64]bool), seq: make(map[string]uint64),
		out: make(map[string]bool), closing: make(map[string]bool), full: make(map[string]bool), skew: make(map[string]time.Duration),
	}
}

func (s *backend) find(id string) *process {
	for _, e := range s.engines {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// ordered checks an act at the moment at which the planner decides it.
func (s *backend) ordered(act fleet.Act) {
	s.h.note("act %s %s of %s on %s/%d+%d: %s", act.Kind, act.Instance, act.Model, act.Slot, act.GPU, act.GPUs, act.Why)
	e := s.find(act.Instance)
	if act.Kind == fleet.ActLaunch {
		s.h.checkLaunch(&act)
	}
	if act.Kind == fleet.ActLaunch || act.Kind == fleet.ActResume {
		s.h.noteUncounted(&act)
	}
	if act.Kind == fleet.ActDropSlot {
		s.h.checkDrop(act.Slot)
	}
	if act.Kind != fleet.ActStop && act.Kind != fleet.ActPark || e == nil {
		return
	}
	s.h.noteDeath(e)
	e.taking = s.h.tick()
	e.stopping = e.stopping || act.Kind == fleet.ActStop
	s.h.noteTaken(e)
	if n := s.h.leasesOn(act.Instance); n > 0 && !e.gone && !e.ended && !e.hangs { // what its slot ends is ended anyway, and one that hangs serves nobody
		s.h.fail("%s: %s with %d leases", act.Instance, act.Kind, n)
	}
}

// do carries an act out, or refuses it, and answers.
func (s *backend) do(act fleet.Act, answer bool) {
	err := s.carryOut(act)
	if err == nil && act.Instance != "" && s.out[fleet.SlotSource+act.Slot] {
		err = fleet.ErrUnreachable // though it was carried out
	}
	if err == nil && !s.healthy && s.h.choose(12) == 0 {
		err = errors.New("timed out") // though it was carried out
	}
	if answer {
		s.h.send(-1, "accepted", func() { s.h.accepted(&act, err) })
	}
}

func (s *backend) carryOut(act fleet.Act) error {
	if act.Term < s.term {
		s.h.reach("an act of an older term was refused")
		return errors.New("of an older term")
	}
	if !s.healthy && s.h.choose(12) == 0 {
		return pick(s.h, refusals)
	}
	if s.out[fleet.SlotSource+act.Slot] && act.Instance != "" && s.h.choose(3) > 0 {
		return fleet.ErrUnreachable
	}
	if s.done[act.Term] == nil {
		s.done[act.Term] = make(map[uint64]bool)
	}
	if s.done[act.Term][act.Seq] {
		return nil
	}
	s.done[act.Term][act.Seq] = true
	e := s.find(act.Instance)
	switch act.Kind {
	case fleet.ActStop:
		s.stopped[act.Instance] = true
		if e != nil && !e.gone {
			e.asleep = e.asleep || e.State == fleet.Asleep
			e.State, e.stopping, e.act = fleet.Stopping, true, act.Seq
			s.h.did(engineTaken, e.ID, 0, e.taking)
		}
		return nil
	case fleet.ActPark:
		return s.parkEngine(e, &act)
	case fleet.ActResume:
		return s.resumeEngine(e, &act)
	case fleet.ActAddSlot:
		return s.addSlot(&act)
	case fleet.ActDropSlot:
		return s.dropSlot(&act)
	}
	if s.stopped[act.Instance] || e != nil {
		return errors.New("was stopped, or is here")
	}
	if act.Slot != "" && (s.closing[act.Slot] || !slices.ContainsFunc(s.slots, func(t fleet.Slot) bool { return t.ID == act.Slot && !t.Pending })) {
		return fleet.ErrPlaceClosed
	}
	e = &process{phase: fleet.PhaseLoading, term: act.Term, Instance: fleet.Instance{
		ID: act.Instance, Model: act.Model, Slot: act.Slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting, Addr: act.Instance,
	}}
	if e.dedicated() {
		e.Addr, e.phase = "", fleet.PhaseSubmitted
		if s.h.choose(3) > 0 {
			s.place(e)
		}
	}
	s.wakes(e)
	s.h.checkMost(e)
	s.engines = append(s.engines, e)
	s.changed(e)
	return nil
}

// changed tells of one engine.
func (s *backend) changed(e *process) {
	s.h.note("engine %s of %s: %s %s gone=%v %s", e.ID, e.Model, e.State, e.phase, e.gone, e.failure)
	if !e.dedicated() && !s.hasSlot(e.Slot) {
		return // there is nobody to tell of it
	}
	o := s.observation(s.sourceOf(e), false)
	o.Instances = append(o.Instances, s.sighting(e))
	s.send(o)
	if e.dedicated() {
		s.tellProbe(false, e)
	}
}

func (s *backend) sighting(e *process) fleet.Sighting {
	running := s.h.leasesOn(e.ID)
	switch {
	case e.hangs || !s.healthy && s.h.choose(2) == 0:
		running = fleet.Unasked
	case s.h.uncounted[e.Model] && s.h.calmAt == 0:
		running = fleet.Uncounted
	}
	ph := e.phase
	if e.dedicated() {
		ph = fleet.PhaseSubmitted // it knows jobs, not engines
		if e.Node != "" {
			ph = fleet.PhaseStarting
		}
	}
	return fleet.Sighting{Instance: e.Instance, Phase: ph, Running: running, Gone: e.gone, Failure: e.failure, Cause: e.cause, Unplaced: e.unplaced, Act: e.act, Parks: s.h.parks && !e.dedicated(), Short: e.short}
}

func (s *backend) send(o fleet.Observation) {
	s.h.send(-1, "observation", func() { s.tell(o) })
}

// tell has the planner hear an observation.
func (s *backend) tell(o fleet.Observation) {
	if s.out[o.Source] {
		return
	}
	s.h.formerSees(o)
	if s.h.planner.Observe(s.h.now, &o) {
		s.h.told.take(s.h, &o)
	}
	s.h.checkKnown()
}

// stepLiveness asks a second source, which knows only ready engines.
func (h *history) stepLiveness() {
	o := h.backend.observation("liveness", true)
	for _, e := range h.backend.engines {
		if !e.gone && e.State == fleet.Ready {
			o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: e.phase, Running: -1})
		}
	}
	h.backend.send(o)
}

// stepEngine moves one engine on.
func (h *history) stepEngine() {
	live := slices.DeleteFunc(slices.Clone(h.backend.engines), func(e *process) bool { return e.gone })
	if len(live) == 0 {
		return
	}
	e := pick(h, live)
	if e.dedicated() && e.State == fleet.Starting && e.Node == "" {
		h.backend.place(e)
		h.backend.changed(e)
		return
	}
	if e.dedicated() && e.State == fleet.Starting && e.failure != "" {
		return // one that has failed stays so
	}
	switch e.State {
	case fleet.Starting:
		switch choice := h.choose(6); {
		case choice == 0 || h.backend.full[e.Slot] || h.backend.full[e.Node]:
			h.fails(e)
		case choice == 1:
			e.failure = "no token came"
		default:
			e.State, e.phase = fleet.Ready, fleet.PhaseReady
		}
	case fleet.Ready:
		if h.choose(5) > 0 {
			return
		}
		e.gone, e.failure = true, "killed"
	case fleet.Parking, fleet.Resuming:
		h.stepMove(e)
	case fleet.Asleep:
		if h.choose(8) > 0 {
			return
		}
		e.gone, e.failure = true, "killed"
	case fleet.Stopping, fleet.Failed:
		e.gone = true
	}
	h.backend.changed(e)
}

// progress moves every engine on, without failures, and every slot.
func (s *backend) progress() {
	s.progressSlots()
	for _, e := range s.engines {
		if e.dedicated() {
			s.place(e)
		}
		switch {
		case e.gone:
		case e.dedicated() && e.State == fleet.Starting && e.Node == "":
			s.changed(e)
		case e.State == fleet.Starting && e.failure == "":
			e.State, e.phase = fleet.Ready, fleet.PhaseReady
			s.changed(e)
		case e.State == fleet.Parking:
			e.State = fleet.Asleep
			s.changed(e)
		case e.State == fleet.Resuming:
			e.State = fleet.Ready
			s.changed(e)
		case e.State == fleet.Stopping || e.State == fleet.Failed:
			e.gone = true
			s.changed(e)
		}
	}
}
