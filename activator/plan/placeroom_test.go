package plan

import (
	"errors"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestPlace_SlotAddedInThisLife keeps nobody waiting while its supervisor is not heard.
func TestPlace_SlotAddedInThisLife(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 2), stageModel("n", "h100", 8, 1))
	g.withSlots("x")
	act := g.hot("m")
	g.asks("n")
	g.pass(11 * time.Second)
	add := g.takes(fleet.ActAddSlot, nil)
	g.slots = append(g.slots, fleet.Slot{ID: add.Slot, Pool: "h100", GPUs: 8, Node: "n2", Supervisor: "slot/" + add.Slot})
	g.lists()
	g.wantNo(fleet.ActLaunch) // it has not spoken
	if s := g.on[act.Slot][act.Instance]; s.ID != "" {
		s.Gone, s.Failure = true, "killed"
		g.is(s)
	}
	g.pass(5 * time.Second)
	if again := g.takes(fleet.ActLaunch, nil); again.Slot != "x" {
		t.Errorf("got a start on %s, want one on x meanwhile", again.Slot)
	}
}

// TestPlace_SlotThatNobodyLists was accepted, and came to nothing before anybody has seen it.
func TestPlace_SlotThatNobodyLists(t *testing.T) {
	g := newStage(t, []fleet.Pool{{Name: "h100", GPUsPerSlot: 8, Slots: fleet.Range{Max: 1}}}, stageModel("m", "h100", 8, 1))
	g.lists()
	w := g.asks("m")
	add := g.takes(fleet.ActAddSlot, nil)
	g.pass(30 * time.Second)
	g.lists()
	g.wantNo(fleet.ActDropSlot)
	g.pass(40 * time.Second)
	g.lists()
	g.pass(5 * time.Second)
	drop := g.takes(fleet.ActDropSlot, nil)
	if drop.Slot != add.Slot {
		t.Errorf("got %s given back, want %s", drop.Slot, add.Slot)
	}
	g.wantNo(fleet.ActAddSlot) // it may still be there
	g.pass(time.Second)
	g.lists()
	g.pass(10 * time.Second)
	if again := g.takes(fleet.ActAddSlot, nil); again.Slot == add.Slot {
		t.Error("got the same slot asked for again")
	}
	g.wantWaits(w)
}

// TestPlace_PendingSlotThatNobodyWants is given back, though no node was found for it yet.
func TestPlace_PendingSlotThatNobodyWants(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.lists()
	w := g.asks("m")
	add := g.takes(fleet.ActAddSlot, nil)
	g.slots = []fleet.Slot{{ID: add.Slot, Pool: "h100", GPUs: 8, Pending: true, Unplaced: fleet.UnplacedExhausted, Supervisor: "slot/" + add.Slot}}
	g.lists()
	g.pass(10 * time.Minute)
	g.wantNo(fleet.ActDropSlot) // somebody waits
	g.d.Leave(g.now, w)
	g.pass(3 * time.Minute)
	if drop := g.takes(fleet.ActDropSlot, nil); drop.Slot != add.Slot {
		t.Errorf("got %s given back, want %s", drop.Slot, add.Slot)
	}
	g.slots = nil
	g.pass(time.Second)
	g.lists()
	g.asks("m")
	g.takes(fleet.ActAddSlot, nil)
}

// TestPlace_SlotMakesRoomForADedicatedModel: the cheapest to lose of those where nothing is awake.
func TestPlace_SlotMakesRoomForADedicatedModel(t *testing.T) {
	parking := fleet.Pool{Name: "h100", GPUsPerSlot: 8, SlotIdle: time.Hour, Slots: fleet.Range{Max: 2}, MaxParkedPerGPU: 2}
	g := newStage(t, []fleet.Pool{parking}, stageModel("m", "h100", 8, 1), stageModel("d", "", 2, 1))
	g.p.cfg.Policy = keepsParked{g.p.cfg.Policy}
	g.nodes = []fleet.Node{{ID: "n", GPUs: 16, Used: 16}}
	g.slots = []fleet.Slot{
		{ID: "x", Pool: "h100", GPUs: 8, Node: "n", Supervisor: "slot/x"}, {ID: "y", Pool: "h100", GPUs: 8, Node: "n", Supervisor: "slot/y"},
	}
	g.on["x"] = map[string]fleet.Sighting{"6-1": {Running: 0, Parks: true, Instance: fleet.Instance{
		ID: "6-1", Model: "m", Slot: "x", GPUs: 8, State: fleet.Asleep, Spec: &fleet.Spec{GPUs: 8, ParkedMemory: 40e9},
	}}}
	g.lists()
	g.speaks("x")
	g.speaks("y")
	g.asks("d")
	if drop := g.takes(fleet.ActDropSlot, nil); drop.Slot != "y" {
		t.Errorf("got %s given back, want y, where nothing is parked", drop.Slot)
	}
	g.wantNo(fleet.ActLaunch)
	g.slots, g.nodes[0].Used = g.slots[:1], 8
	g.lists()
	if act := g.takes(fleet.ActLaunch, nil); act.Model != "d" || act.Slot != "" {
		t.Errorf("got %+v, want d on the node", act)
	}
	g.wantNo(fleet.ActDropSlot)
}

// keepsParked wishes one copy of each model kept parked, and that it is worth something.
type keepsParked struct{ Policy }

func (k keepsParked) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := k.Policy.Decide(now, v)
	d.Parked, d.ParkedValue = 1, 1
	return d
}

// TestPlace_AbandonedStartMakesRoom: after ten seconds in which nobody waited for it, for those who wait for its GPUs.
func TestPlace_AbandonedStartMakesRoom(t *testing.T) {
	g := newStage(t, []fleet.Pool{{Name: "h100"}}, stageModel("big", "h100", 8, 1), stageModel("m", "h100", 1, 1))
	g.withSlots("x")
	w := g.asks("big")
	act := g.takes(fleet.ActLaunch, nil)
	g.starts(act, fleet.Starting)
	g.pass(2 * time.Second)
	g.d.Leave(g.now, w)
	g.asks("m")
	g.pass(9 * time.Second)
	g.wantNo(fleet.ActStop)
	g.pass(2 * time.Second)
	if stop := g.takes(fleet.ActStop, nil); stop.Instance != act.Instance {
		t.Errorf("got %s stopped, want %s", stop.Instance, act.Instance)
	}
	s := g.on["x"][act.Instance]
	s.Gone = true
	g.is(s)
	if act := g.takes(fleet.ActLaunch, nil); act.Model != "m" {
		t.Errorf("got %s started, want m", act.Model)
	}
	g.wantUnblamed("big")
}

// TestPlace_WhatRunsIsBelieved: an engine that was launched with other values than the config has now.
func TestPlace_WhatRunsIsBelieved(t *testing.T) {
	m := stageModel("m", "", 8, 1)
	g := newStage(t, nil, m, stageModel("n", "", 4, 1))
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	g.on[""] = map[string]fleet.Sighting{"6-1": {Phase: fleet.PhaseStarting, Running: 0, Instance: fleet.Instance{
		ID: "6-1", Model: "m", Node: "n", State: fleet.Ready, Addr: "6-1:1", Spec: &fleet.Spec{GPUs: 4, MaxConcurrency: 2},
	}}}
	g.lists()
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{{
		Phase: fleet.PhaseReady, Running: 0, Instance: fleet.Instance{ID: "6-1", Model: "m", Addr: "6-1:1"},
	}}})
	g.wantServed(g.asks("m"))
	g.wantServed(g.asks("m"))
	g.wantWaits(g.asks("m")) // two at once, as it was launched
	if got := g.p.Snapshot(g.now).Instances[0]; got.GPUs != 4 {
		t.Errorf("got %d GPUs shown, want the 4 that it holds", got.GPUs)
	}
	if got := g.p.nodeOf["n"].left(nil); got != 4 {
		t.Errorf("got %d GPUs left on the node, want 4", got)
	}
	g.asks("n")
	g.takes(fleet.ActLaunch, nil)
}

// TestPlace_NoGPUNeedsNomadAllTheSame: what fits anywhere is not launched either while who lists nodes is lost.
func TestPlace_NoGPUNeedsNomadAllTheSame(t *testing.T) {
	g := newStage(t, nil, stageModel("m", "", 0, 1))
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	g.lists()
	g.loses("nomad")
	w := g.asks("m")
	g.pass(20 * time.Second)
	g.wantNo(fleet.ActLaunch)
	g.wantWaits(w)
	g.lists()
	g.takes(fleet.ActLaunch, nil)
}

// TestPlace_StaleWordOnWhereItIs: the probe has found it ready since Nomad said that it is not placed.
func TestPlace_StaleWordOnWhereItIs(t *testing.T) {
	g := newStage(t, nil, stageModel("m", "", 4, 1))
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	g.lists()
	w := g.asks("m")
	act := g.takes(fleet.ActLaunch, nil)
	s := fleet.Sighting{Running: -1, Unplaced: fleet.UnplacedExhausted, Instance: fleet.Instance{ID: act.Instance, Model: "m", GPUs: 4, State: fleet.Starting}}
	g.is(s)
	s.Unplaced, s.Phase, s.Addr = "", fleet.PhaseReady, "a:1"
	for range 2 {
		s.Running++
		g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{s}})
	}
	g.hears(&fleet.Observation{Source: "consul", Instances: []fleet.Sighting{{Instance: s.Instance, Health: fleet.Passing, Running: 3}}})
	if l := g.wantServed(w); l.Instance != act.Instance {
		t.Errorf("got it served by %s", l.Instance)
	}
	if got := g.p.InstanceState(act.Instance); got != fleet.Ready {
		t.Errorf("got it %s, want it ready", got)
	}
}

// TestPlace_StopRefusedBeforeTheFirstReport is asked for again once something may be decided.
func TestPlace_StopRefusedBeforeTheFirstReport(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.p.Observe(g.now, &fleet.Observation{Source: "local", Complete: true, Slots: []fleet.Slot{{ID: "x", Pool: "h100", GPUs: 8}}, Instances: []fleet.Sighting{{
		Running: -1, Failure: "no token came", Instance: fleet.Instance{ID: "6-1", Model: "m", Slot: "x", GPUs: 8, State: fleet.Failed},
	}}})
	g.p.Step(g.now)
	g.acts = g.p.TakeActs()
	stop := g.next(fleet.ActStop)
	g.p.Accepted(g.now, &stop, errors.New("refused"))
	g.p.Step(g.now)
	g.now += 5 * time.Second
	g.step()
	g.takes(fleet.ActStop, nil)
}
