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
