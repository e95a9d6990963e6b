package router

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// ending is why a request ended.
type ending uint8

const (
	endServer    ending = iota // we crashed or shut down
	endWhole                   // the engine has said all
	endCaller                  // the caller has left
	endTotal                   // our limit of a whole exchange struck
	endIdle                    // our limit of an engine's silence struck
	endFirstByte               // our limit of the time to the first byte struck
	endBudget                  // the budget of the caller's organisation was used up
	endRights                  // the caller's organisation was cut off
	endEngine                  // the engine failed
	endRefused                 // the engine answered that the request is wrong
	endTooLarge                // our limit of an event's size struck
)

// whoPays says, of the last attempt of a request that was sent to an engine, what its record calls the end, and the time that its caller
// pays for, if the request ended for this reason at this moment. It is all there is to know about who pays.
func whoPays(a *tried, e ending, at time.Time) (ledger.Outcome, time.Duration) {
	o := outcomeOf(a, e)
	switch {
	case o == ledger.Complete:
		at = a.endedAt
	case e == endIdle:
		at = a.lastAt // silence costs nothing
	}
	return o, ledger.Billed(o, a.dispatched, at)
}

func outcomeOf(a *tried, e ending) ledger.Outcome {
	if a.lost {
		return ledger.EngineError // whatever ended the wait for the next
	}
	switch e {
	case endWhole:
		return ledger.Complete
	case endCaller, endRights:
		return ledger.ClientGone
	case endTotal: // an engine says nothing of a whole answer before it has all of it, so that the total may strike before a 2xx
		return ledger.TimedOut
	case endIdle, endFirstByte:
		if a.answered {
			return ledger.TimedOut
		}
	case endBudget:
		return ledger.BudgetExceeded
	}
	return ledger.EngineError
}
