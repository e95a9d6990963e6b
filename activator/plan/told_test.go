package plan

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestSuspend_WhoWaitsIsToldWhy: that an engine is tried again is not true any more when its time has come and nothing may be started.
func TestSuspend_WhoWaitsIsToldWhy(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.withSlots("x", "y")
	waits := g.asks("m")
	for range 2 { // on both slots
		act := g.takes(fleet.ActLaunch, nil)
		g.starts(act, fleet.Starting)
		s := g.on[act.Slot][act.Instance]
		s.Gone, s.Failure, s.Cause = true, "exit status 1", fleet.CauseEngine
		g.is(s)
	}
	m := g.p.modelOf["m"]
	if m.failures != 1 || m.retryAt <= g.now {
		t.Fatalf("got %d failures, again in %s, want the model to back off", m.failures, m.retryAt-g.now)
	}
	const why = "it is not certain that this server leads"
	g.p.Suspend(why)
	g.pass(m.retryAt - g.now)
	if got := m.outlook.Reason; got != why {
		t.Errorf("who waits is told %q, want %q", got, why)
	}
	g.pass(time.Minute)
	g.wantNo(fleet.ActLaunch)
	g.p.Resume()
	g.step()
	g.takes(fleet.ActLaunch, nil)
	g.wantWaits(waits)
}
