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
	g.wantNotStoppedWhileItServes(s)
}

// TestAdopt_OneThatTheProbeMissesKeepsItsStreams: that an engine is asked for its first token is the new leader's affair. It may be serving.
func TestAdopt_OneThatTheProbeMissesKeepsItsStreams(t *testing.T) {
	g := newStage(t, nil, stageModel("m", "", 1, 1))
	g.p.cfg.TTL = 20 * time.Second
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	s := fleet.Sighting{Running: 1, Phase: fleet.PhaseStarting, Instance: fleet.Instance{ID: "6-1", Model: "m", Node: "n", GPUs: 1, State: fleet.Starting, Addr: "n:1"}}
	g.is(s)
	missed := s
	missed.Running, missed.Failure = -1, "no answer"
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{missed}})
	g.wantNotStoppedWhileItServes(s)
}

// wantNotStoppedWhileItServes fails the test where an instance that runs something is stopped before it says that it does not any more.
func (g *stage) wantNotStoppedWhileItServes(s fleet.Sighting) {
	g.Helper()
	g.pass(30 * time.Second)
	g.wantNo(fleet.ActStop)
	if got := g.p.InstanceState(s.ID); got != fleet.Draining {
		g.Errorf("got it %q, want it draining", got)
	}
	s.Running = 0
	g.is(s)
	g.takes(fleet.ActStop, nil)
}

// TestAdopt_OneThatHangsIsNotWaitedForForEver: it cannot say any more that it serves nobody.
func TestAdopt_OneThatHangsIsNotWaitedForForEver(t *testing.T) {
	g := newStage(t, nil, stageModel("m", "", 1, 1))
	g.p.cfg.TTL = 20 * time.Second
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	s := fleet.Sighting{Running: -1, Phase: fleet.PhaseStarting, Instance: fleet.Instance{ID: "6-1", Model: "m", Node: "n", GPUs: 1, State: fleet.Starting, Addr: "n:1"}}
	g.is(s)
	ready := fleet.Sighting{Running: -1, Phase: fleet.PhaseReady, Instance: s.Instance}
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{ready}})
	ready.Failure, ready.State = "gives no sign of health", fleet.Failed
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{ready}})
	g.pass(10 * time.Second)
	g.wantNo(fleet.ActStop)
	g.pass(60 * time.Second)
	g.takes(fleet.ActStop, nil)
}

// TestMost_AReservationGivesWayToOneThatIsFound: what an earlier life had started may be heard of late.
func TestMost_AReservationGivesWayToOneThatIsFound(t *testing.T) {
	m, n := stageModel("m", "h100", 8, 1), stageModel("n", "h100", 8, 0)
	g := newStage(t, []fleet.Pool{h100}, m, n)
	g.withSlots("x")
	g.hot("n") // and its lease does not end
	g.slots = append(g.slots, fleet.Slot{ID: "y", Pool: "h100", GPUs: 8, Node: "node-y", Supervisor: "slot/y"})
	g.lists()
	g.wantWaits(g.asks("m"))
	g.pass(2 * time.Minute) // y is given up
	for range 7 {           // twice what one can serve
		g.wantWaits(g.asks("m"))
	}
	if m := g.p.modelOf["m"]; m.pending() != 1 {
		t.Fatalf("%d of m are pending, want one, reserved where n still serves", m.pending())
	}
	g.is(fleet.Sighting{Running: 0, Phase: fleet.PhaseReady, Instance: fleet.Instance{ID: "6-1", Model: "m", Slot: "y", GPUs: 8, State: fleet.Ready, Addr: "y:1"}})
	if m := g.p.modelOf["m"]; m.hot() != 1 || m.pending() != 0 {
		t.Errorf("%d of m are hot and %d pending, want one hot: instances.max is 1", m.hot(), m.pending())
	}
}
