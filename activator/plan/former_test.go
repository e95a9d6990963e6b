package plan

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// newTerm is a stage whose planner follows one that gave the dispatcher so many slots of instance 6-1 of model m, which takes 4, for 10 s.
func newTerm(t *testing.T, pools []fleet.Pool, slots int) *stage {
	pool := ""
	if pools != nil {
		pool = pools[0].Name
	}
	g := newStage(t, pools, stageModel("m", pool, 1, 1))
	g.p.cfg.TTL, g.p.cfg.Self = 12*time.Second, "self"
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	shares := []protocol.Share{{Instance: "6-1", Model: "m", Addr: "n:1", Slots: slots, GPUs: 1}}
	g.d.Receive(g.now, &protocol.Table{To: "self", Incarnation: 1, Term: 6, Seq: 1, Stamp: g.now, TTL: 10 * time.Second, Shares: shares})
	return g
}

// foundOnNode is what Nomad says of the instance.
func foundOnNode() fleet.Sighting {
	return fleet.Sighting{Running: -1, Phase: fleet.PhaseStarting, Instance: fleet.Instance{ID: "6-1", Model: "m", Node: "n", GPUs: 1, State: fleet.Starting, Addr: "n:1"}}
}

// held gives the slots that the dispatcher has of the instance.
func (g *stage) held() int {
	i, _ := g.d.Instance("6-1")
	return i.Slots
}

// TestFormer_SharesStayUntilItIsKnownWhatRuns: what is hot serves while a new leader finds it.
func TestFormer_SharesStayUntilItIsKnownWhatRuns(t *testing.T) {
	g := newTerm(t, nil, 3)
	for range 15 {
		g.pass(100 * time.Millisecond)
		if n := g.held(); n != 3 {
			t.Fatalf("at %s: %d slots are left before anybody has said what runs, want 3", g.now, n)
		}
	}
	g.is(foundOnNode())
	g.pass(5 * time.Second)
	if n := g.held(); n != 3 {
		t.Errorf("%d slots are left of one that was found, want 3", n)
	}
}

// TestFormer_NobodyIsWaitedForLong: a new leader tells what it knows before all that was promised expires.
func TestFormer_NobodyIsWaitedForLong(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.pass(2 * time.Second)
	if n := g.held(); n != 0 {
		t.Errorf("%d slots are left of one that nobody has found, want none", n)
	}
}

// TestFormer_SharesStayUntilTheProbeHasAnswered: on a busy engine that takes a while.
func TestFormer_SharesStayUntilTheProbeHasAnswered(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.is(foundOnNode())
	for range 20 { // past all that the former leader has promised
		g.pass(time.Second)
		if n := g.held(); n != 3 {
			t.Fatalf("at %s: %d slots are left of one whose probe has not answered, want 3", g.now, n)
		}
	}
	missed := foundOnNode()
	missed.Failure = "no answer"
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{missed}})
	if n := g.held(); n != 0 {
		t.Errorf("%d slots are left of one whose probe has failed, want none", n)
	}
}

// TestFormer_LeasesOnWhatIsFoundLateAreKnown: an instance is not stopped while it serves, though its leases were reported before it was found.
func TestFormer_LeasesOnWhatIsFoundLateAreKnown(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.wantServed(g.asks("m"))
	g.pass(5 * time.Second) // its share is gone
	g.is(foundOnNode())
	if err := g.p.StopModel(g.now, "m"); err != nil {
		t.Fatal(err)
	}
	g.pass(15 * time.Second)
	idle := foundOnNode()
	idle.Running = 0
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{idle}})
	g.pass(time.Second)
	g.wantNo(fleet.ActStop)
}
