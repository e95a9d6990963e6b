package plan

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestPark_FailsThoughItsResumeIsReserved: whoever waits for it is served by another one.
func TestPark_FailsThoughItsResumeIsReserved(t *testing.T) {
	g, parks := stageParking(t)
	w := g.asks("m")
	if i := g.p.instanceOf[parks]; i.reserved == nil {
		t.Fatal("no resume is reserved")
	}
	g.pass(time.Minute)
	g.wantStopped(parks)
	g.is(fleet.Sighting{Instance: fleet.Instance{ID: parks, Model: "m", Slot: "y"}, Gone: true})
	g.takes(fleet.ActLaunch, nil)
	g.wantWaits(w)
}

// TestPark_OneThatFailsCountsAgainstMaxAgain: what is being parked makes room for another one of its model, which is given up when the park fails.
func TestPark_OneThatFailsCountsAgainstMaxAgain(t *testing.T) {
	g, parks := stageParking(t)
	g.loses("slot/y")
	g.wantWaits(g.asks("m"))
	g.pass(g.p.cfg.Patience + g.p.cfg.Residence)
	m := g.p.modelOf["m"]
	if m.pending() != 1 {
		t.Fatalf("%d of m are pending, want one, reserved where n still serves", m.pending())
	}
	g.speaks("y")
	g.wantStopped(parks)
	if m.pending()+m.going() > 1 {
		t.Errorf("%d of m hold GPUs and %d are pending, instances.max is 1", m.going(), m.pending())
	}
}

// TestPark_TheFirstIsLearnedApart: it takes several times as long as later ones, which are expected to take what later ones took.
func TestPark_TheFirstIsLearnedApart(t *testing.T) {
	g, parks := stageParking(t)
	i := g.p.instanceOf[parks]
	g.pass(12 * time.Second)
	g.is(fleet.Sighting{Instance: fleet.Instance{ID: parks, Model: "m", Slot: "y", GPUs: 8, State: fleet.Asleep}, Phase: fleet.PhaseReady, Act: i.order.last, Parks: true, Slept: true})
	if m := i.m; m.takes(fleet.FirstPark) != 12*time.Second || m.takes(fleet.Hot) >= 12*time.Second || i.nextPark() != fleet.Hot {
		t.Errorf("first parks are expected to take %s, later ones %s, and this one's next is %q; want 12s, less, and hot", m.takes(fleet.FirstPark), m.takes(fleet.Hot), i.nextPark())
	}
	kept := g.p.TakeLearned()
	if last := kept[len(kept)-1]; last.From != fleet.FirstPark || len(last.Durations) != 1 || last.Durations[0] != 12*time.Second {
		t.Errorf("got %+v kept over a restart, want the first park", kept)
	}
	i.m.past(fleet.Hot).add(3 * time.Second)
	if got := i.m.takes(fleet.Hot); got != 3*time.Second {
		t.Errorf("got %s for a later park, want what one took", got)
	}
}

// stageParking has n serve in slot x, and m, of which there may be one, being parked in slot y for at most a minute.
func stageParking(t *testing.T) (g *stage, parks string) {
	m, n := stageModel("m", "h100", 8, 1), stageModel("n", "h100", 8, 0)
	m.Timeouts.Start = time.Minute
	pool := h100
	pool.MaxParkedPerGPU = 1
	g = newStage(t, []fleet.Pool{pool}, m, n)
	g.withSlots("x")
	g.hot("n") // and its lease does not end
	g.withSlots("y")
	return g, g.parks("m").Instance
}

// parks has a model served once, and then its engine told to park.
func (g *stage) parks(model string) fleet.Act {
	g.Helper()
	w := g.asks(model)
	launch := g.takes(fleet.ActLaunch, nil)
	g.starts(launch, fleet.Ready)
	g.d.Release(g.now, g.wantServed(w))
	g.step()
	g.p.life.park(g.now, g.p.instanceOf[launch.Instance])
	g.step()
	return g.next(fleet.ActPark)
}

func (g *stage) wantStopped(instance string) {
	g.Helper()
	if s := g.p.instanceOf[instance].State; s != fleet.Stopping {
		g.Fatalf("at %s: %s is %q, want it stopped", g.now, instance, s)
	}
}
