package account

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Rate is what a request costs while it is paid for.
type Rate struct {
	GPUs  int
	Price fleet.NanoUSD // of one GPU for one hour
}

// Spender is a request that can be ended because a budget is used up.
type Spender interface {
	// OutOfBudget ends the request, which is billed until a moment that is past. It is called once at most, from another goroutine, and must neither
	// block nor use the accounts.
	OutOfBudget(why *BudgetError, until time.Time)
}

// run is a request on its meter.
//
//	(none) ── join ── joined ── bill ── billed ── (none)
//	                     └── cut ── cut ──┘
//
// Whatever its state, unbill gives back what it has spent.
type run struct {
	meter   *meter // nil = it is on none
	spender Spender
	rate    Rate
	unit    uint64        // nano-dollars an hour
	least   fleet.NanoUSD // what its first microsecond costs, and 1 at least: owed from when it joins
	token   *spending
	state   runState

	day          int64      // UTC, of its dispatch
	sent, proven int64      // when it was, and from when on its engine had proven itself; never = not yet
	paying       bool       // both are known
	from         int64      // is paid for from then on, if it is paying
	stop         int64      // it has ended then, and waits for more of a block; 0 = it has not
	in           [2]*period // of its organisation's budget and of its token's; nil = there is none

	limited bool          // by a budget
	remains fleet.NanoUSD // of it, when the run joined or was billed

	until int64         // is paid for until then, once cut or billed
	ends  *period       // that is used up then, while expire looks for it
	cost  fleet.NanoUSD // that it has been counted with, once cut or billed

	prev, next *run // in meter, while joined
}

type runState uint8

const (
	runNone runState = iota
	runJoined
	runCut
	runBilled
)
