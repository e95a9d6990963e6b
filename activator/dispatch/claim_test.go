package dispatch_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// TestReport_ClaimsNoShareThatHasExpired: another dispatcher may have it by then. What is leased is told, and so is what an instance's place vouches for.
func TestReport_ClaimsNoShareThatHasExpired(t *testing.T) {
	w := newWorld(t, model("a"))
	w.send(true, func(t *protocol.Table) {
		t.Stamp, t.TTL, t.Shares = w.now, 10*time.Second, []protocol.Share{share("leased", "a", 3), share("vouched", "a", 2)}
	})
	w.d.SetBreaker(w.now, "vouched", dispatch.BreakerOpen)
	w.wantOn(w.ask(dispatch.Ask{Model: "a"}), "leased")
	wantHeld := func(want map[string][2]int) {
		t.Helper()
		var r protocol.Report
		w.d.Heard(0)
		w.d.Report(w.now, &r)
		for _, h := range r.Held {
			if got := [2]int{h.Slots, h.Leases}; got != want[h.Instance] {
				t.Errorf("at %s: of %s %d slots and %d leases are reported, want %v", w.now, h.Instance, h.Slots, h.Leases, want[h.Instance])
			}
		}
		if len(r.Held) != len(want) {
			t.Errorf("at %s: %d instances are reported, want %d", w.now, len(r.Held), len(want))
		}
	}
	wantHeld(map[string][2]int{"leased": {3, 1}, "vouched": {2, 0}})
	w.now += 10 * time.Second
	dispatch.ExpiryOf(w.d).Vouch(w.now, "vouched", w.now+3*time.Second)
	wantHeld(map[string][2]int{"leased": {0, 1}, "vouched": {2, 0}})
	w.now += 3 * time.Second
	wantHeld(map[string][2]int{"leased": {0, 1}, "vouched": {0, 0}})
}
