package plan

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// onNode has a dedicated model served from a node, and idle.
func (g *stage) onNode(model, node string) string {
	g.Helper()
	w := g.asks(model)
	act := g.takes(fleet.ActLaunch, nil)
	g.is(fleet.Sighting{Running: -1, Act: act.Seq, Phase: fleet.PhaseLoading, Instance: fleet.Instance{
		ID: act.Instance, Model: model, Node: node, GPUs: act.GPUs, State: fleet.Starting, Addr: act.Instance + ":1",
	}})
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{{
		Phase: fleet.PhaseReady, Running: -1, Instance: fleet.Instance{ID: act.Instance, Model: model, Addr: act.Instance + ":1"},
	}}})
	g.d.Release(g.now, g.wantServed(w))
	g.step()
	return act.Instance
}

// wantsSlot has a pooled model ask for a slot, which Nomad cannot place. It gives the slot.
func (g *stage) wantsSlot(model string) string {
	g.Helper()
	g.asks(model)
	add := g.takes(fleet.ActAddSlot, nil)
	g.slots = append(g.slots, fleet.Slot{
		ID: add.Slot, Pool: add.Pool, GPUs: 8, Pending: true, Unplaced: fleet.UnplacedExhausted, Supervisor: "slot/" + add.Slot,
	})
	g.lists()
	return add.Slot
}

// TestSlotRoom_IdleDedicatedInstancesMakeRoom for a slot that somebody waits for: of the cheapest node, and no more than are in the way.
func TestSlotRoom_IdleDedicatedInstancesMakeRoom(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), stageModel("a", "", 4, 1), stageModel("b", "", 8, 1), stageModel("c", "", 4, 1))
	g.nodes = []fleet.Node{{ID: "x", GPUs: 8}, {ID: "y", GPUs: 16}}
	g.p.cfg.Policy = values{g.p.cfg.Policy, map[string]float64{"a": 30, "b": 20, "c": 1}}
	g.lists()
	on := map[string]string{"b": g.onNode("b", "x")}
	on["a"], on["c"] = g.onNode("a", "y"), g.onNode("c", "y")
	g.nodes[1].Used = 4 // x: b for 20; y: 4 are free, c for 1
	g.lists()
	id := g.wantsSlot("m")
	if stop := g.takes(fleet.ActStop, nil); stop.Instance != on["c"] {
		t.Errorf("got %s stopped, want c, the cheapest that suffices", stop.Model)
	}
	g.pass(10 * time.Second)
	g.wantNo(fleet.ActStop)

	// Its GPUs are kept for the slot: c's next request does not get them.
	g.is(fleet.Sighting{Running: -1, Gone: true, Instance: fleet.Instance{ID: on["c"], Model: "c", Node: "y"}})
	w := g.asks("c")
	g.pass(time.Second)
	g.wantNo(fleet.ActLaunch)
	g.wantWaits(w)

	// Nomad places it.
	s := g.slot(id)
	s.Pending, s.Unplaced, s.Node = false, "", "y"
	g.nodes[1].Used = 12
	g.lists()
	g.speaks(id)
	if act := g.takes(fleet.ActLaunch, nil); act.Model != "m" || act.Slot != id {
		t.Errorf("got %+v, want m launched on %s", act, id)
	}
}

// values says what an idle instance of each model is worth.
type values struct {
	Policy
	of map[string]float64
}

func (v values) Decide(now time.Time, m *fleet.ModelView) fleet.Desired {
	d := v.Policy.Decide(now, m)
	d.HotValue = v.of[m.Model.ID]
	return d
}

// TestSlotRoom_WhoIsNeededStays: busy ones, those that somebody waits for, and as many as instances.min says.
func TestSlotRoom_WhoIsNeededStays(t *testing.T) {
	for name, keep := range map[string]func(g *stage, d *fleet.Model){
		"busy":          func(g *stage, _ *fleet.Model) { g.asks("d") },
		"instances.min": func(_ *stage, d *fleet.Model) { d.Instances.Min = 1 },
		"held":          func(g *stage, _ *fleet.Model) { g.p.Hold(g.now, "d", time.Hour) },
		"lost":          func(g *stage, _ *fleet.Model) { g.loses("nomad") },
	} {
		t.Run(name, func(t *testing.T) {
			d := stageModel("d", "", 8, 1)
			g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), d)
			g.nodes = []fleet.Node{{ID: "x", GPUs: 8}}
			g.lists()
			g.onNode("d", "x")
			if name != "lost" {
				keep(g, d)
				g.wantsSlot("m")
			} else {
				g.d.Leave(g.now, g.asks("m"))
				g.wantsSlot("m")
				keep(g, d)
			}
			g.acts = nil
			g.pass(20 * time.Second)
			g.wantNo(fleet.ActStop)
		})
	}
}

// TestSlotRoom_NobodyWaitsForIt: then nobody gives way.
func TestSlotRoom_NobodyWaitsForIt(t *testing.T) {
	g := newStage(t, []fleet.Pool{{Name: "h100", GPUsPerSlot: 8, Slots: fleet.Range{Min: 1, Max: 1}}}, stageModel("m", "h100", 8, 1), stageModel("d", "", 8, 1))
	g.nodes = []fleet.Node{{ID: "x", GPUs: 8}}
	g.lists()
	add := g.takes(fleet.ActAddSlot, nil)
	g.onNode("d", "x")
	g.slots = []fleet.Slot{{ID: add.Slot, Pool: "h100", GPUs: 8, Pending: true, Unplaced: fleet.UnplacedExhausted, Supervisor: "slot/" + add.Slot}}
	g.lists()
	g.pass(30 * time.Second)
	g.wantNo(fleet.ActStop)
	g.asks("m")
	g.takes(fleet.ActStop, nil)
}

// TestSlotRoom_QuietSlotOfAnotherPool gives way too, if that pool keeps slots.min without it; also on nodes where no dedicated instance may be.
func TestSlotRoom_QuietSlotOfAnotherPool(t *testing.T) {
	for _, least := range []int{0, 1, 2} {
		gpu := fleet.Pool{Name: "h100", GPUsPerSlot: 8, NodePool: "gpu", SlotIdle: time.Hour, Slots: fleet.Range{Max: 1}}
		other := gpu
		other.Name, other.Slots = "other", fleet.Range{Min: least, Max: 2}
		g := newStage(t, []fleet.Pool{gpu, other}, stageModel("m", "h100", 8, 1), stageModel("o", "other", 8, 1))
		g.nodes = []fleet.Node{{ID: "x", GPUs: 16, Used: 16, Pool: "gpu", SlotsOnly: true}, {ID: "y", GPUs: 8}}
		for _, id := range []string{"s", "t"} {
			g.slots = append(g.slots, fleet.Slot{ID: id, Pool: "other", GPUs: 8, Node: "x", Supervisor: "slot/" + id})
		}
		g.lists()
		g.speaks("s")
		g.speaks("t")
		g.wantsSlot("m")
		g.pass(5 * time.Second)
		if least == 2 {
			g.wantNo(fleet.ActDropSlot)
			continue
		}
		if drop := g.takes(fleet.ActDropSlot, nil); drop.Slot != "s" && drop.Slot != "t" {
			t.Errorf("slots.min %d: got %s given back", least, drop.Slot)
		}
		g.wantNo(fleet.ActDropSlot)
	}
}

// TestSlotRoom_ElsewhereIsNoRoom: on a node where the pool's slots cannot be, nobody gives way.
func TestSlotRoom_ElsewhereIsNoRoom(t *testing.T) {
	pool := h100
	pool.NodePool = "gpu"
	g := newStage(t, []fleet.Pool{pool}, stageModel("m", "h100", 8, 1), stageModel("d", "", 8, 1))
	g.nodes = []fleet.Node{{ID: "x", GPUs: 8, Pool: "default"}}
	g.lists()
	g.onNode("d", "x")
	g.wantsSlot("m")
	g.pass(20 * time.Second)
	g.wantNo(fleet.ActStop)
}

// TestSlotRoom_BackEndDoesNotUseIt: it lacks something else. What was kept is for others again, and nobody else gives way for a while.
func TestSlotRoom_BackEndDoesNotUseIt(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), stageModel("d", "", 8, 1), stageModel("e", "", 8, 1))
	g.nodes = []fleet.Node{{ID: "x", GPUs: 8}, {ID: "y", GPUs: 8}}
	g.p.cfg.Policy = values{g.p.cfg.Policy, map[string]float64{"e": 9}}
	g.lists()
	d := g.onNode("d", "x")
	g.onNode("e", "y")
	g.wantsSlot("m")
	g.takes(fleet.ActStop, nil)
	g.is(fleet.Sighting{Running: -1, Gone: true, Instance: fleet.Instance{ID: d, Model: "d", Node: "x"}})
	g.pass(35 * time.Second)
	g.wantNo(fleet.ActStop)
	g.asks("d")
	g.takes(fleet.ActLaunch, nil)
}

// TestSlotRoom_WhoHasWaitedLongestIsFirst: a dedicated model's requests before those for a slot, and the other way round.
func TestSlotRoom_WhoHasWaitedLongestIsFirst(t *testing.T) {
	for _, slotFirst := range []bool{false, true} {
		g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), stageModel("d", "", 8, 1), stageModel("e", "", 8, 1))
		g.nodes = []fleet.Node{{ID: "x", GPUs: 8}}
		g.lists()
		g.onNode("d", "x")
		busy := g.wantServed(g.asks("d"))
		if slotFirst {
			g.wantsSlot("m")
			g.pass(time.Second)
			g.asks("e")
		} else {
			g.asks("e")
			g.pass(time.Second)
			g.wantsSlot("m")
		}
		g.pass(time.Second)
		g.wantNo(fleet.ActStop)
		g.d.Release(g.now, busy)
		g.pass(300 * time.Millisecond)
		g.takes(fleet.ActStop, nil)
		if kept := len(g.p.nodeOf["x"].kept) == 1; kept != slotFirst {
			t.Errorf("slot first %v: got its GPUs kept for it: %v", slotFirst, kept)
		}
	}
}

// TestSlotRoom_WhoFindsRoomElsewhereInTheSameStep needs no slot any more: nobody gives way for one.
func TestSlotRoom_WhoFindsRoomElsewhereInTheSameStep(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1), stageModel("p", "h100", 8, 1), stageModel("d", "", 8, 1))
	g.nodes = []fleet.Node{{ID: "node-s", GPUs: 8, Used: 8}, {ID: "y", GPUs: 8}}
	g.withSlots("s")
	g.onNode("d", "y")
	w := g.asks("p")
	g.starts(g.takes(fleet.ActLaunch, nil), fleet.Ready)
	busy := []*dispatch.Lease{g.wantServed(g.asks("d")), g.wantServed(w)}
	g.asks("m")
	g.pass(11 * time.Second)
	add := g.takes(fleet.ActAddSlot, nil)
	g.slots = append(g.slots, fleet.Slot{
		ID: add.Slot, Pool: add.Pool, GPUs: 8, Pending: true, Unplaced: fleet.UnplacedExhausted, Supervisor: "slot/" + add.Slot,
	})
	g.lists()
	g.acts = nil
	for _, l := range busy {
		g.d.Release(g.now, l)
	}
	g.step()
	if stop := g.takes(fleet.ActStop, nil); stop.Model != "p" {
		t.Errorf("got %s stopped, want p, whose GPUs m gets", stop.Model)
	}
	g.pass(5 * time.Second)
	g.wantNo(fleet.ActStop)
}
