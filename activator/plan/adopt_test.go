package plan

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestAdopt_OneThatItsSlotEndsKeepsItsStreams: a slot that shuts down waits for them, and servers that were not heard yet may have some.
func TestAdopt_OneThatItsSlotEndsKeepsItsStreams(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.p.cfg.TTL = 20 * time.Second
	g.slots = []fleet.Slot{{ID: "x", Pool: "h100", GPUs: 8, Node: "node-x", Supervisor: "slot/x"}}
	g.own["x"] = fleet.PlaceClosing
	s := fleet.Sighting{Running: 1, Phase: fleet.PhaseReady, Instance: fleet.Instance{ID: "6-1", Model: "m", Slot: "x", GPUs: 8, State: fleet.Stopping}}
	g.lists()
	g.is(s)
	g.pass(30 * time.Second)
	g.wantNo(fleet.ActStop)
	if got := g.p.InstanceState("6-1"); got != fleet.Draining {
		t.Errorf("got it %q, want it draining", got)
	}
	s.Running = 0
	g.is(s)
	g.takes(fleet.ActStop, nil)
}
