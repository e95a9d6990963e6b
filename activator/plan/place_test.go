package plan

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestPlace_SlotEndsWhileALaunchIsUnderWay: the model starts elsewhere at once, and nothing is left counted.
func TestPlace_SlotEndsWhileALaunchIsUnderWay(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		t.Run(fmt.Sprint("accepted ", accepted), func(t *testing.T) {
			g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
			g.withSlots("x", "y")
			w := g.asks("m")
			first := g.next(fleet.ActLaunch)
			if accepted {
				g.answers(first, nil)
			}
			g.slots = []fleet.Slot{*g.slot(map[string]string{"x": "y", "y": "x"}[first.Slot])}
			g.pass(time.Second)
			g.lists()
			second := g.takes(fleet.ActLaunch, nil)
			if second.Slot == first.Slot {
				t.Fatalf("got another launch on %s, which is gone", first.Slot)
			}
			if !accepted {
				g.answers(first, errors.New("i/o timeout"))
			}
			if n := len(g.p.instances); n != 1 {
				t.Errorf("got %d instances, want the one that starts", n)
			}
			g.starts(second, fleet.Ready)
			g.wantServed(w)
			g.wantUnblamed("m")
			g.wantNo(fleet.ActLaunch)
		})
	}
}

func TestPlace_UnreachableOneBesideAHealthyOne(t *testing.T) {
	for name, told := range map[string]bool{"told": true, "found out": false} {
		t.Run(name, func(t *testing.T) {
			g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 1, 4), stageModel("n", "h100", 1, 4))
			g.withSlots("x", "y")
			if told {
				g.loses("slot/x")
			}
			w := g.asks("m")
			act := g.next(fleet.ActLaunch)
			if !told {
				bad := act.Slot
				g.answers(act, fmt.Errorf("dialing: %w", fleet.ErrUnreachable))
				if act = g.next(fleet.ActLaunch); act.Slot == bad {
					t.Fatalf("got it started on %s again", bad)
				}
				trouble := g.p.TakeTroubled()
				if len(trouble) != 1 || trouble[0].Place != bad || trouble[0].Node != "node-"+bad {
					t.Errorf("got the troubles %+v, want %s", trouble, bad)
				}
				g.asks("n")
				if other := g.takes(fleet.ActLaunch, nil); other.Slot == bad {
					t.Errorf("got another model started on %s, which is to be avoided", bad)
				}
			} else if act.Slot != "y" {
				t.Fatalf("got it started on %s, want y", act.Slot)
			}
			g.answers(act, nil)
			g.starts(act, fleet.Ready)
			g.wantServed(w)
			g.wantUnblamed("m")
		})
	}
}

// TestPlace_ThatTakesNoLaunches gets none, in whatever way it came to that.
func TestPlace_ThatTakesNoLaunches(t *testing.T) {
	for name, ends := range map[string]func(*stage){
		"its node is ineligible":       func(g *stage) { g.slot("x").Condition = fleet.PlaceIneligible; g.lists() },
		"its node is being drained":    func(g *stage) { g.slot("x").Condition = fleet.PlaceDraining; g.lists() },
		"its node is down":             func(g *stage) { g.slot("x").Condition = fleet.PlaceUnreachable; g.lists() },
		"its supervisor is lost":       func(g *stage) { g.loses("slot/x") },
		"its supervisor is still lost": func(g *stage) { g.loses("slot/x"); g.lists() },
		"its supervisor shuts down":    func(g *stage) { g.own["x"] = fleet.PlaceClosing; g.speaks("x") },
	} {
		t.Run(name, func(t *testing.T) {
			g := newStage(t, []fleet.Pool{{Name: "h100"}}, stageModel("m", "h100", 8, 1))
			g.withSlots("x")
			ends(g)
			w := g.asks("m")
			g.pass(20 * time.Second)
			g.wantNo(fleet.ActLaunch)
			g.wantWaits(w)
			g.slot("x").Condition, g.own["x"] = "", ""
			g.lists()
			g.speaks("x")
			g.takes(fleet.ActLaunch, nil)
		})
	}
}

// TestPlace_ShutsDown: its engines get no lease from the moment on at which they are told to be stopping, and another is started elsewhere.
func TestPlace_ShutsDown(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.withSlots("x", "y")
	act := g.hot("m")
	s := g.on[act.Slot][act.Instance]
	s.State, g.own[act.Slot] = fleet.Stopping, fleet.PlaceClosing
	g.is(s)
	w := g.asks("m")
	g.wantWaits(w)
	s.Gone = true
	g.is(s)
	if again := g.takes(fleet.ActLaunch, nil); again.Slot == act.Slot {
		t.Errorf("got it started on %s, which shuts down", again.Slot)
	}
	g.wantUnblamed("m")
}

// TestPlace_ClosingSlotServesNoMore though its engines are still said to be ready.
func TestPlace_ClosingSlotServesNoMore(t *testing.T) {
	for _, c := range []fleet.Condition{fleet.PlaceClosing, fleet.PlaceDraining} {
		g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 2))
		g.withSlots("x", "y")
		act := g.hot("m") // a stream goes on there
		g.own[act.Slot] = c
		g.speaks(act.Slot)
		g.wantWaits(g.asks("m"))
		g.pass(time.Minute)
		g.wantNo(fleet.ActStop)
		if again := g.takes(fleet.ActLaunch, nil); again.Slot == act.Slot {
			t.Errorf("%s: got another start on %s", c, again.Slot)
		}
	}
}

// TestPlace_EngineIsBeingStopped by somebody else, as its slot says: it gets no lease, and its model is not to blame.
func TestPlace_EngineIsBeingStopped(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 2))
	g.withSlots("x", "y")
	act := g.hot("m")
	s := g.on[act.Slot][act.Instance]
	s.State = fleet.Stopping
	g.is(s)
	w := g.asks("m")
	g.wantWaits(w)
	again := g.takes(fleet.ActLaunch, nil)
	g.starts(again, fleet.Ready)
	g.wantServed(w)
	g.wantUnblamed("m")
}

// TestPlace_BackFromSilence: what is idle there is let go once its supervisor is heard again, and not before.
func TestPlace_BackFromSilence(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.withSlots("x", "y")
	w := g.asks("m")
	act := g.takes(fleet.ActLaunch, nil)
	g.starts(act, fleet.Ready)
	g.d.Release(g.now, g.wantServed(w))
	g.loses("slot/" + act.Slot)
	g.pass(10 * time.Minute)
	g.wantNo(fleet.ActStop)
	g.speaks(act.Slot)
	g.pass(time.Second)
	g.takes(fleet.ActStop, nil)
}

// TestPlace_StartUp: a slot speaks before Nomad. Nothing is refused, and nothing started twice.
func TestPlace_StartUp(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), stageModel("d", "", 4, 1), stageModel("never", "", 99, 1))
	for _, id := range []string{"x", "y"} {
		g.slots = append(g.slots, fleet.Slot{ID: id, Pool: "h100", GPUs: 8, Node: "n", Supervisor: "slot/" + id})
	}
	g.nodes = []fleet.Node{{ID: "n", GPUs: 24, Used: 16}}
	g.on["y"] = map[string]fleet.Sighting{"6-1": {Phase: fleet.PhaseReady, Running: 0, Instance: fleet.Instance{
		ID: "6-1", Model: "m", Slot: "y", GPUs: 8, State: fleet.Ready, Addr: "6-1:1",
	}}}
	pooled, dedicated, never := g.asks("m"), g.asks("d"), g.asks("never")
	quiet := func() {
		t.Helper()
		g.pass(5 * time.Second)
		g.wantNo(fleet.ActLaunch)
		g.wantNo(fleet.ActAddSlot)
		g.wantWaits(pooled)
	}
	g.speaks("x")
	quiet()
	g.wantWaits(dedicated)
	g.wantWaits(never)
	g.lists()
	if act := g.takes(fleet.ActLaunch, nil); act.Model != "d" {
		t.Errorf("got %s started, want d alone", act.Model)
	}
	if _, err := never.Answer(); err == nil {
		t.Error("what no node can hold still waits, though all nodes are known")
	}
	quiet()
	g.speaks("y")
	if l := g.wantServed(pooled); l.Instance != "6-1" {
		t.Errorf("got it served by %s, want the one that runs", l.Instance)
	}
	g.wantNo(fleet.ActLaunch)
}

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

// TestPlace_IsBlamedFirst: a start that fails is tried elsewhere at once, and where it then works the first place was to blame.
func TestPlace_IsBlamedFirst(t *testing.T) {
	fails := func(g *stage, act fleet.Act, cause fleet.Cause) {
		g.starts(act, fleet.Starting)
		s := g.on[act.Slot][act.Instance]
		s.Gone, s.Failure, s.Cause = true, "exit status 1", cause
		g.is(s)
	}
	t.Run("it starts elsewhere", func(t *testing.T) {
		g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
		g.withSlots("x", "y")
		w := g.asks("m")
		first := g.takes(fleet.ActLaunch, nil)
		fails(g, first, fleet.CauseEngine)
		g.wantUnblamed("m")
		second := g.takes(fleet.ActLaunch, nil)
		if second.Slot == first.Slot || len(g.p.TakeTroubled()) > 0 {
			t.Fatalf("got it started on %s again, or the place blamed already", second.Slot)
		}
		g.starts(second, fleet.Ready)
		g.wantServed(w)
		if got := g.p.TakeTroubled(); len(got) != 1 || got[0].Place != first.Slot || got[0].Node != "node-"+first.Slot {
			t.Errorf("got the troubles %+v, want %s", got, first.Slot)
		}
	})
	t.Run("it fails there too", func(t *testing.T) {
		g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
		g.withSlots("x", "y")
		g.asks("m")
		fails(g, g.takes(fleet.ActLaunch, nil), fleet.CauseEngine)
		fails(g, g.takes(fleet.ActLaunch, nil), fleet.CauseEngine)
		g.wantNo(fleet.ActLaunch)
		if m := g.p.modelOf["m"]; m.failures != 1 || m.retryAt < g.now+time.Second {
			t.Errorf("got %d failures, again in %s, want the model to back off", m.failures, m.retryAt-g.now)
		}
		if got := g.p.TakeTroubled(); len(got) > 0 {
			t.Errorf("got the troubles %+v, want none: it is the model's fault", got)
		}
	})
	t.Run("its machine fails", func(t *testing.T) {
		g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), stageModel("n", "h100", 8, 1))
		g.withSlots("x", "y")
		g.asks("m")
		first := g.takes(fleet.ActLaunch, nil)
		fails(g, first, fleet.CausePlace)
		if got := g.p.TakeTroubled(); len(got) != 1 || got[0].Place != first.Slot {
			t.Errorf("got the troubles %+v, want %s", got, first.Slot)
		}
		g.takes(fleet.ActLaunch, nil)
		g.asks("n")
		g.pass(5 * time.Second)
		g.wantNo(fleet.ActLaunch)
		g.pass(30 * time.Second)
		if act := g.takes(fleet.ActLaunch, nil); act.Slot != first.Slot {
			t.Errorf("got n started on %s, want it on %s, which is no longer avoided", act.Slot, first.Slot)
		}
	})
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
	for range 5 {
		g.now += time.Second
		g.p.Step(g.now)
	}
	g.step()
	g.takes(fleet.ActStop, nil)
}
