package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// changes has the config say something that the slots lack which are there.
func (g *stage) changes() {
	for k := range g.slots {
		g.slots[k].Outdated = "volumes"
	}
	g.lists()
}

// comes has a slot that was asked for be there.
func (g *stage) comes(add fleet.Act) {
	g.slots = append(g.slots, fleet.Slot{ID: add.Slot, Pool: add.Pool, GPUs: 8, Node: "node-" + add.Slot, Supervisor: "slot/" + add.Slot})
	g.lists()
	g.speaks(add.Slot)
}

// TestSlot_WithAnotherConfigTakesNoLaunch: who comes gets a new slot, who is served there goes on, and the old one is given back when the last has left.
func TestSlot_WithAnotherConfigTakesNoLaunch(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 4, 1), stageModel("n", "h100", 4, 1))
	g.withSlots("x")
	busy := g.asks("m")
	act := g.takes(fleet.ActLaunch, nil)
	g.starts(act, fleet.Ready)
	lease := g.wantServed(busy)
	g.changes()
	g.pass(time.Minute)
	g.wantNo(fleet.ActAddSlot) // nobody needs it
	e, err := g.p.Explain(g.now, "n")
	if err != nil || !strings.Contains(strings.Join(e.Actions, "; "), "place nothing new on x (node node-x), which was launched with another config (volumes)") {
		t.Errorf("explain says %q, %v", e.Actions, err)
	}
	w := g.asks("n")
	add := g.takes(fleet.ActAddSlot, nil)
	g.wantNo(fleet.ActLaunch)
	g.comes(add)
	if next := g.takes(fleet.ActLaunch, nil); next.Slot != add.Slot {
		t.Errorf("got n launched on %s, want %s", next.Slot, add.Slot)
	} else {
		g.starts(next, fleet.Ready)
	}
	g.wantServed(w)
	g.pass(5 * time.Minute)
	g.wantNo(fleet.ActStop)
	g.wantServed(g.asks("m")) // there, while it is there
	g.d.Release(g.now, lease)
	g.pass(5 * time.Minute)
	g.wantNo(fleet.ActDropSlot) // the second request is served still
}

// TestSlot_WithAnotherConfigIsGivenBack when what runs there was idle for a while, and only when the pool keeps slots.min without it.
func TestSlot_WithAnotherConfigIsGivenBack(t *testing.T) {
	for _, least := range []int{0, 1} {
		pool := h100
		pool.Slots.Min = least
		m := stageModel("m", "h100", 8, 1)
		m.IdleAfter = time.Hour
		g := newStage(t, []fleet.Pool{pool}, m)
		g.withSlots("x")
		w := g.asks("m")
		act := g.takes(fleet.ActLaunch, nil)
		g.starts(act, fleet.Ready)
		g.d.Release(g.now, g.wantServed(w))
		g.changes()
		g.pass(29 * time.Second)
		g.wantNo(fleet.ActStop)
		g.pass(2 * time.Second)
		g.takes(fleet.ActStop, nil)
		s := g.on["x"][act.Instance]
		s.Gone = true
		g.is(s)
		if least == 1 {
			g.pass(time.Minute)
			g.wantNo(fleet.ActDropSlot)
			g.comes(g.takes(fleet.ActAddSlot, nil))
		}
		if drop := g.takes(fleet.ActDropSlot, nil); drop.Slot != "x" {
			t.Errorf("slots.min %d: got %s given back", least, drop.Slot)
		}
		g.pass(time.Minute)
		g.wantNo(fleet.ActAddSlot)
		g.wantNo(fleet.ActDropSlot)
	}
}

// TestSlot_WithAnotherConfigWhereThePoolCanHaveNoOther: after patience the one that is used least is emptied, and no other beside it. No stream is cut.
func TestSlot_WithAnotherConfigWhereThePoolCanHaveNoOther(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("a", "h100", 8, 1), stageModel("b", "h100", 8, 1), stageModel("n", "h100", 8, 1))
	g.withSlots("x", "y")
	wa, wb := g.asks("a"), g.asks("b")
	for range 2 {
		g.starts(g.takes(fleet.ActLaunch, nil), fleet.Ready)
	}
	g.wantServed(wa)
	g.wantServed(g.asks("a"))
	one := g.wantServed(wb)
	g.changes()
	w := g.asks("n")
	g.pass(9 * time.Second)
	if other := g.wantServed(g.asks("b")); other.Instance != one.Instance {
		t.Errorf("got b served by %s", other.Instance)
	}
	g.wantServed(g.asks("a"))
	g.pass(2 * time.Second)
	g.wantNo(fleet.ActStop)
	g.wantWaits(g.asks("b"))
	g.wantServed(g.asks("a"))
	emptied := ""
	for _, s := range g.p.pool("h100").slots {
		if s.emptied {
			emptied += s.ID
		}
	}
	if act := g.p.instanceOf[one.Instance]; emptied != act.Slot {
		t.Errorf("got %q emptied, want %s, where b is served", emptied, act.Slot)
	}
	g.wantWaits(w)
}

// TestSlot_WithAnotherConfigIsNotEmptiedForWhatIsResumedThere: who can be resumed in such a slot waits for its GPUs, and gets them; the slot is not given back over it.
func TestSlot_WithAnotherConfigIsNotEmptiedForWhatIsResumedThere(t *testing.T) {
	pool := h100
	pool.MaxParkedPerGPU, pool.Slots.Max = 1, 1
	g := newStage(t, []fleet.Pool{pool}, stageModel("m", "h100", 8, 1), stageModel("n", "h100", 4, 1))
	g.p.cfg.Policy = autoscaler.NewFixed(autoscaler.FixedConfig{Park: true})
	g.withSlots("x")
	park := g.parks("m")
	g.answers(park, nil)
	g.is(fleet.Sighting{Instance: fleet.Instance{ID: park.Instance, Model: "m", Slot: "x", GPUs: 8, State: fleet.Asleep}, Phase: fleet.PhaseReady, Act: park.Seq, Parks: true, Slept: true, Running: -1})
	w := g.asks("n")
	other := g.takes(fleet.ActLaunch, nil)
	g.starts(other, fleet.Ready)
	lease := g.wantServed(w)
	g.changes()
	w = g.asks("m")
	g.pass(g.p.cfg.Patience + g.p.cfg.Residence)
	m := g.p.modelOf["m"]
	if o := g.p.instanceOf[other.Instance]; o.State != fleet.Draining || m.pending() != 1 {
		t.Fatalf("n's is %s (%s) and %d of m are pending, want n's to be drained for m", o.State, o.reason, m.pending())
	}
	g.d.Release(g.now, lease)
	g.step()
	g.takes(fleet.ActStop, nil)
	g.is(fleet.Sighting{Instance: fleet.Instance{ID: other.Instance, Model: "n", Slot: "x", GPUs: 4}, Gone: true})
	if resume := g.takes(fleet.ActResume, nil); resume.Instance != park.Instance {
		t.Errorf("got %s resumed, want %s", resume.Instance, park.Instance)
	}
	g.wantNo(fleet.ActDropSlot)
	g.wantWaits(w)
}
