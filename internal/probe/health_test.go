package probe_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/probe"
)

// quick is the rule for hanging engines, at a speed for tests.
var quick = engine.HealthRule{Every: 20 * time.Millisecond, Within: 100 * time.Millisecond, Misses: 3}

func inSlot(id, addr string, state fleet.State) fleet.Observation {
	s := at(id, addr)
	s.Slot, s.State, s.Phase, s.Health = "s", state, fleet.PhaseReady, fleet.Passing
	if state != fleet.Ready {
		s.Health = fleet.Critical // as a supervisor says of one that is parked
	}
	return fleet.Observation{Source: "slot/s", At: time.Now(), Complete: true, Instances: []fleet.Sighting{s}}
}

func TestProber_FindsAnEngineThatHangs(t *testing.T) {
	t.Parallel()
	p, e := probeBy(quick), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading", "a probing", "a ready")
	time.Sleep(100 * time.Millisecond) // it is looked after, and well
	f.quiet()
	e.hung.Store(true)
	e.CloseClientConnections()
	f.want("a failed: engine hangs: no sign of health 3 times in a row")
	f.quiet() // once
}

func TestProber_SaysThatAHangIsTheEnginesFault(t *testing.T) {
	t.Parallel()
	p, e := probeBy(quick), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading", "a probing", "a ready")
	e.hung.Store(true)
	if got := <-f.told; got[len(got)-len(", for good, by engine"):] != ", for good, by engine" {
		t.Errorf("told %q, want it failed, by the engine", got)
	}
}

func TestProber_LooksAfterWhatAnEarlierWatchFoundReady(t *testing.T) {
	t.Parallel()
	p, e := probeBy(quick), ready(t)
	first := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	first.want("a loading", "a probing", "a ready")
	first.stop()
	second := follow(t, p)
	second.want("a ready")
	e.hung.Store(true)
	second.want("a failed: engine hangs")
}

func TestProber_LooksNoLongerAfterWhatIsGone(t *testing.T) {
	t.Parallel()
	p, e := probeBy(quick), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading", "a probing", "a ready")
	e.hung.Store(true)
	p.Observe(placed())
	time.Sleep(500 * time.Millisecond)
	f.quiet()
}

func TestProber_AsksAnEngineInASlotOnlyWhenItIsMissed(t *testing.T) {
	p, e := probeBy(quick), ready(t)
	f := follow(t, p)
	p.Observe(inSlot("a", e.addr(), fleet.Ready))
	time.Sleep(100 * time.Millisecond)
	if n := e.visited.Load(); n != 0 {
		t.Errorf("the engine was asked %d times, want never: its slot looks after it", n)
	}
	p.Observe(liveness(health("a", fleet.Critical)))
	f.want("a ready")
	e.Close()
	p.Observe(liveness(health("a", fleet.Critical)))
	f.want("a failed: engine was missed, and does not answer")
}

func TestProber_DoesNotAskWhatIsParkedInASlot(t *testing.T) {
	t.Parallel()
	for _, state := range []fleet.State{fleet.Parking, fleet.Asleep, fleet.Resuming, fleet.Starting} {
		p, e := newProber(), ready(t)
		f := follow(t, p)
		p.Observe(inSlot("a", e.addr(), fleet.Ready))
		p.Observe(inSlot("a", e.addr(), state))
		p.Observe(liveness(health("a", fleet.Critical)))
		f.quiet()
		if n := e.visited.Load(); n != 0 {
			t.Errorf("%s: asked %d times, want never", state, n)
		}
		f.stop()
	}
}

func TestProber_GoesByTheKindThatRuns(t *testing.T) {
	p, e := newProber(), ready(t)
	f := follow(t, p)
	o := inSlot("a", e.addr(), fleet.Ready)
	o.Instances[0].Model = "removed from the config"
	o.Instances[0].Spec = &fleet.Spec{Kind: fleet.EngineVLLM}
	p.Observe(o)
	p.Observe(liveness(health("a", fleet.Critical)))
	f.want("a ready")
}

func TestConfigure_NewModelsAreAsked(t *testing.T) {
	p, e := newProber(), ready(t)
	f := follow(t, p)
	added := at("b", e.addr())
	added.Model = "added"
	p.Observe(placed(at("a", e.addr()), added))
	f.want("a loading", "a probing", "a ready")
	f.quiet()
	p.Configure([]*fleet.Model{{ID: "added", Engine: fleet.EngineSpec{Kind: "trtllm"}}})
	p.Observe(placed(at("a", e.addr()), added))
	f.want("b loading", "b probing", "b ready")
	e.Close()
	p.Observe(liveness(health("a", fleet.Critical)))
	p.Observe(liveness(health("a", fleet.Critical)))
	f.want("a failed") // its model is no longer there, but it runs
}

// TestConfigure_AnEngineOnItsWayIsAskedThoughItsModelIsGone: somebody waits for it.
func TestConfigure_AnEngineOnItsWayIsAskedThoughItsModelIsGone(t *testing.T) {
	p, e := newProber(), ready(t)
	f := follow(t, p)
	p.Configure(nil)
	p.Observe(placed(at("a", e.addr())))
	f.want("a loading", "a probing", "a ready")
}

func TestAskAgain_TellsWhatIsReadyAndHowManyRequestsItServes(t *testing.T) {
	t.Parallel()
	p, busy := newProber(), ready(t)
	f := follow(t, p)
	p.Observe(placed(at("a", busy.addr())))
	f.want("a loading", "a probing", "a ready")
	busy.metrics.Store(`[{"numActiveRequests":4}]`)
	time.Sleep(time.Second) // since the Watch has asked at its beginning
	p.AskAgain("consul")
	f.quiet()
	p.AskAgain(probe.Source)
	f.want("a ready", "a ready, serving 4")
	asked := busy.visited.Load()
	for range 50 {
		p.AskAgain(probe.Source)
	}
	time.Sleep(100 * time.Millisecond)
	if n := busy.visited.Load() - asked; n > 1 {
		t.Errorf("asked %d times in a tenth of a second, want once at most", n)
	}
}
