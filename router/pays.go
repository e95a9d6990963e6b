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

// failure is a word of the kind of failure, for an attempt's span; "" = there was none.
func (e ending) failure() string {
	switch e {
	case endWhole:
		return ""
	case endCaller:
		return "client_gone"
	case endTotal, endIdle, endFirstByte:
		return "timed_out"
	case endBudget:
		return "budget_exceeded"
	case endRights:
		return "permission_denied"
	case endEngine:
		return "engine_error"
	case endRefused:
		return "invalid_request"
	}
	return "server"
}

// bill is what a record says of who pays.
type bill struct {
	status ledger.Outcome
	until  time.Time     // the caller pays from the attempt's paidFrom until then
	billed time.Duration // which is so long
	wake   time.Duration // from the dispatch until the engine had proven itself, or the end: the tail of its resume is nobody's
}

// whoPays gives the bill of the last attempt of a request that was sent to an engine, if the request ended for this reason at this moment. It is all
// there is to know about who pays.
func whoPays(a *tried, e ending, at time.Time) bill {
	b := bill{status: outcomeOf(a, e)}
	switch {
	case a.lost || a.dispatched.IsZero():
		return b
	case b.status == ledger.Complete:
		at = a.endedAt
	case e == endIdle:
		at = a.lastAt // silence costs nothing
	}
	b.until, b.billed = at, ledger.Billed(b.status, a.paidFrom, at)
	if !a.paidFrom.IsZero() && a.paidFrom.Before(at) {
		at = a.paidFrom
	}
	b.wake = max(at.Sub(a.dispatched), 0)
	return b
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
