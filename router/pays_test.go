package router

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// TestWhoPays has the rows of the contract: who pays for a request, and for how long.
func TestWhoPays(t *testing.T) {
	sent := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	after := func(seconds int) time.Time { return sent.Add(time.Duration(seconds) * time.Second) }
	unsent := tried{}
	asked := tried{dispatched: sent, paidFrom: sent}
	headed := tried{dispatched: sent, paidFrom: sent, answered: true}
	begun := tried{dispatched: sent, paidFrom: sent, answered: true, firstAt: after(1), lastAt: after(2)}
	whole := tried{dispatched: sent, paidFrom: sent, answered: true, firstAt: after(1), ended: true, endedAt: after(4)}
	lost := tried{dispatched: sent, paidFrom: sent, answered: true, lost: true}
	woken := func(a tried, paidFrom time.Time) tried {
		a.paidFrom = paidFrom
		return a
	}
	unproven := time.Time{}
	for _, tt := range []struct {
		name   string
		of     tried
		e      ending
		at     time.Time
		status ledger.Outcome
		billed time.Duration
		wake   time.Duration
	}{
		{"a complete answer: all of it, whenever the caller has read it", whole, endWhole, after(9), ledger.Complete, 4 * time.Second, 0},
		{"the caller left before an engine was asked", unsent, endCaller, after(3), ledger.ClientGone, 0, 0},
		{"the caller left before the engine answered: until then", asked, endCaller, after(3), ledger.ClientGone, 3 * time.Second, 0},
		{"the caller left in mid-stream: until then", begun, endCaller, after(3), ledger.ClientGone, 3 * time.Second, 0},
		{"the total struck before an answer: until then", asked, endTotal, after(5), ledger.TimedOut, 5 * time.Second, 0},
		{"the total struck in mid-stream: until then", begun, endTotal, after(5), ledger.TimedOut, 5 * time.Second, 0},
		{"no first byte in time, and no 2xx: nothing", asked, endFirstByte, after(5), ledger.EngineError, 0, 0},
		{"no first byte in time after a 2xx: until then", headed, endFirstByte, after(5), ledger.TimedOut, 5 * time.Second, 0},
		{"the engine fell silent: until its last byte", begun, endIdle, after(6), ledger.TimedOut, 2 * time.Second, 0},
		{"the budget was used up: until then", begun, endBudget, after(2), ledger.BudgetExceeded, 2 * time.Second, 0},
		{"the organisation was cut off: until then", begun, endRights, after(2), ledger.ClientGone, 2 * time.Second, 0},
		{"the organisation was cut off before the engine answered: until then", asked, endRights, after(2), ledger.ClientGone, 2 * time.Second, 0},
		{"an engine error: nothing", asked, endEngine, after(2), ledger.EngineError, 0, 0},
		{"no 2xx, for the request is wrong: nothing", asked, endRefused, after(2), ledger.EngineError, 0, 0},
		{"an event above our limit: nothing", begun, endTooLarge, after(2), ledger.EngineError, 0, 0},
		{"the engine died in mid-stream: nothing", begun, endEngine, after(2), ledger.EngineError, 0, 0},
		{"the first attempt of a retried request: nothing, though the caller left", lost, endCaller, after(30), ledger.EngineError, 0, 0},
		{"the first attempt of a retried request: nothing, though a limit struck", lost, endTotal, after(30), ledger.EngineError, 0, 0},
		{"the first attempt of a retried request: nothing, though no other was found", lost, endServer, after(30), ledger.EngineError, 0, 0},
		{"a complete answer of a resumed engine: from the first token that it made for anybody", woken(whole, after(1)), endWhole, after(9), ledger.Complete, 3 * time.Second, time.Second},
		{"a complete answer, and nobody saw a token before: nothing", woken(whole, after(4)), endWhole, after(9), ledger.Complete, 0, 4 * time.Second},
		{"the caller left in the tail of a resume: nothing", woken(asked, unproven), endCaller, after(3), ledger.ClientGone, 0, 3 * time.Second},
		{"the caller left before the first token, which came as it did: nothing", woken(asked, after(4)), endCaller, after(3), ledger.ClientGone, 0, 3 * time.Second},
		{"the caller left after the tail of a resume: from then until it left", woken(begun, after(1)), endCaller, after(3), ledger.ClientGone, 2 * time.Second, time.Second},
		{"the budget was used up after the tail of a resume: from then until then", woken(begun, after(1)), endBudget, after(2), ledger.BudgetExceeded, time.Second, time.Second},
		{"a resumed engine fell silent: until its last byte", woken(begun, after(1)), endIdle, after(6), ledger.TimedOut, time.Second, time.Second},
		{"the total struck in the tail of a resume: nothing", woken(asked, unproven), endTotal, after(5), ledger.TimedOut, 0, 5 * time.Second},
		{"a resumed engine died in mid-stream: nothing", woken(begun, after(1)), endEngine, after(2), ledger.EngineError, 0, time.Second},
		{"the first attempt of a retried request, in the tail of a resume: nothing", woken(lost, unproven), endCaller, after(30), ledger.EngineError, 0, 0},
		{"our own crash: nothing", begun, endServer, after(2), ledger.EngineError, 0, 0},
	} {
		got, want := whoPays(&tt.of, tt.e, tt.at), bill{status: tt.status, billed: tt.billed, wake: tt.wake}
		if want.until = got.until; got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}
