package plan

import (
	"errors"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// backend is the back end of a history: what is really there.
type backend struct {
	h       *history
	slots   []fleet.Slot
	engines []*process
	stopped map[string]bool // instance IDs that may never be launched (again)
	done    map[uint64]map[uint64]bool
	term    uint64 // older ones are refused
	seq     uint64
	live    uint64
	healthy bool

	nodes  []fleet.Node // of a backend that places by itself
	out    map[string]bool
	consul uint64
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
	unplaced fleet.Unplaced
	moved    bool // its streams died with what ran before
}

func newBackend(h *history) *backend {
	s := &backend{h: h, stopped: make(map[string]bool), done: make(map[uint64]map[uint64]bool)}
	for _, id := range []string{"x", "y"}[:1+h.choose(2)] {
		gpus := pick(h, []int{2, 4, 8})
		if h.pool.GPUsPerSlot > 0 {
			gpus = h.pool.GPUsPerSlot
		}
		s.slots = append(s.slots, fleet.Slot{ID: id, Pool: "local", Node: id, GPUs: gpus})
	}
	return s
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
	if act.Kind == fleet.ActLaunch && s.h.dedicated {
		s.h.checkNodes(&act)
	}
	if act.Kind == fleet.ActDropSlot {
		s.h.checkDrop(act.Slot)
	}
	if act.Kind != fleet.ActStop && act.Kind != fleet.ActPark || e == nil {
		return
	}
	e.stopping = e.stopping || act.Kind == fleet.ActStop
	if n := s.h.leasesOn(act.Instance); n > 0 && !e.gone && !e.moved {
		s.h.fail("%s: %s with %d leases", act.Instance, act.Kind, n)
	}
}

// do carries an act out, or refuses it, and answers.
func (s *backend) do(act fleet.Act, answer bool) {
	err := s.carryOut(act)
	if err == nil && !s.healthy && s.h.choose(12) == 0 {
		err = errors.New("timed out") // though it was carried out
	}
	if answer {
		s.h.send(-1, "accepted", func() { s.h.planner.Accepted(s.h.now, &act, err) })
	}
}

func (s *backend) carryOut(act fleet.Act) error {
	if act.Term < s.term {
		return errors.New("of an older term")
	}
	if !s.healthy && s.h.choose(12) == 0 {
		return errors.New("refused")
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
	if !s.h.dedicated && !slices.ContainsFunc(s.slots, func(t fleet.Slot) bool { return t.ID == act.Slot && !t.Pending }) {
		return errors.New("no such slot")
	}
	e = &process{phase: fleet.PhaseLoading, Instance: fleet.Instance{
		ID: act.Instance, Model: act.Model, Slot: act.Slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting, Addr: act.Instance,
	}}
	if s.h.dedicated {
		e.Addr, e.phase = "", fleet.PhaseSubmitted
		if s.h.choose(3) > 0 {
			s.place(e)
		}
	}
	s.wakes(e)
	s.engines = append(s.engines, e)
	s.changed(e)
	return nil
}

// changed tells of one engine.
func (s *backend) changed(e *process) {
	s.h.note("engine %s of %s: %s %s gone=%v %s", e.ID, e.Model, e.State, e.phase, e.gone, e.failure)
	o := s.observation(false)
	o.Instances = append(o.Instances, s.sighting(e))
	s.send(o)
	if s.h.dedicated {
		s.tellProbe(false, e)
	}
}

func (s *backend) sighting(e *process) fleet.Sighting {
	running := s.h.leasesOn(e.ID)
	if !s.healthy && s.h.choose(3) == 0 {
		running = -1
	}
	ph := e.phase
	if s.h.dedicated {
		ph = fleet.PhaseSubmitted // it knows jobs, not engines
		if e.Node != "" {
			ph = fleet.PhaseStarting
		}
	}
	return fleet.Sighting{Instance: e.Instance, Phase: ph, Running: running, Gone: e.gone, Failure: e.failure, Unplaced: e.unplaced, Act: e.act, Parks: s.h.parks, Short: e.short}
}

func (s *backend) observation(complete bool) fleet.Observation {
	s.seq++
	if s.h.dedicated {
		return fleet.Observation{
			Source: "nodes", Seq: s.seq, Term: s.term, At: s.h.epoch.Add(s.h.now), Complete: complete, Nodes: slices.Clone(s.nodes),
		}
	}
	return fleet.Observation{Source: "slot", Seq: s.seq, Term: s.term, At: s.h.epoch.Add(s.h.now), Complete: complete, Slots: slices.Clone(s.slots)}
}

func (s *backend) send(o fleet.Observation) {
	s.h.send(-1, "observation", func() {
		if s.out[o.Source] {
			return
		}
		s.h.planner.Observe(s.h.now, &o)
		s.h.checkKnown()
	})
}

// stepObserve asks the backend what is there.
func (h *history) stepObserve() {
	o := h.backend.observation(true)
	for _, e := range h.backend.engines {
		if !e.gone {
			o.Instances = append(o.Instances, h.backend.sighting(e))
		}
	}
	h.backend.send(o)
}

// stepLiveness asks a second source, which knows only ready engines.
func (h *history) stepLiveness() {
	h.backend.live++
	o := fleet.Observation{Source: "liveness", Seq: h.backend.live, Term: h.backend.term, At: h.epoch.Add(h.now), Complete: true}
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
	if h.dedicated && e.State == fleet.Starting && e.Node == "" {
		h.backend.place(e)
		h.backend.changed(e)
		return
	}
	if h.dedicated && e.State == fleet.Starting && e.failure != "" {
		return // one that has failed stays so
	}
	switch e.State {
	case fleet.Starting:
		switch h.choose(6) {
		case 0:
			e.gone, e.failure = true, "exit status 1"
		case 1:
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
	case fleet.Stopping:
		e.gone = true
	}
	h.backend.changed(e)
}

// progress moves every engine on, without failures, and every slot.
func (s *backend) progress() {
	for k := range s.slots {
		s.slots[k].Pending = false
	}
	for _, e := range s.engines {
		if s.h.dedicated {
			s.place(e)
		}
		switch {
		case e.gone:
		case s.h.dedicated && e.State == fleet.Starting && e.Node == "":
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
		case e.State == fleet.Stopping:
			e.gone = true
			s.changed(e)
		}
	}
}
