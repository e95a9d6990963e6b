package plan

import (
	"testing"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
)

// TestHear_PartialReportMustFollow: what a planner has not heard of, a partial report says nothing about.
func TestHear_PartialReportMustFollow(t *testing.T) {
	p := New(Config{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: benchModels(1), Term: 1})
	hear := func(want bool, incarnation, seq uint64, partial bool) {
		t.Helper()
		if got := p.Hear(0, &protocol.Report{From: "s", Incarnation: incarnation, Seq: seq, Partial: partial}); got != want {
			t.Errorf("report %d/%d: taken %v, want %v", incarnation, seq, got, want)
		}
	}
	hear(false, 1, 1, true)
	hear(true, 1, 2, false)
	hear(true, 1, 3, true)
	hear(false, 1, 5, true)
	hear(true, 1, 6, false)
	hear(false, 2, 7, true)
}
