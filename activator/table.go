package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Table is what the planner tells one dispatcher: the whole state, with a version. A dispatcher ignores one that answers
// another of its lives, and one that is not newer by (Term, Seq) than the last that it took. Durations, never
// moments, cross the wire, so that the two need no common clock.
type Table struct {
	To          string
	Incarnation uint64 // the dispatcher's life that is answered
	Term, Seq   uint64 // the planner's life, and the number of this table in it
	Stamp       time.Duration
	Heard       uint64        // the last report heard of this life
	Hello       bool          // says nothing but "answer me": a new planner does not know yet what this life holds. Shares, outlooks and expiry stay
	TTL         time.Duration // the dispatcher leases until Stamp + TTL on its own clock; 0 = for ever
	Shares      []Share       // a share that is not listed is revoked
	Outlooks    []Prospect
}

// Share is the number of request slots of one ready instance that one dispatcher may lease.
type Share struct {
	Instance string
	Model    string
	Addr     string
	Slots    int
	Spare    bool          // use it only when the others are full, so that it can become idle
	From     fleet.Tier    // the tier it was activated from
	Took     time.Duration // from the reservation of its GPUs until ready
	ReadyFor time.Duration
}

// Prospect is the outlook of one model.
type Prospect struct {
	fleet.Outlook
	Known bool // ETA is an estimate, not "unknown"
}

// Report is what one dispatcher tells the planner, with a version: everything it holds, and the demand for each model
// that has changed since the last report that the planner is known to have heard.
type Report struct {
	From            string
	Incarnation     uint64 // this life of the dispatcher; larger than any before
	Seq             uint64
	Stamp           time.Duration // the dispatcher's clock
	AckTerm, AckSeq uint64        // the last table taken
	Demands         []Demand
	Held            []Held // instances with slots or leases; one that is not listed has neither
}

// Demand is what one dispatcher sees of one model.
type Demand struct {
	Model             string
	Waiting, Inflight int
	Oldest            time.Duration // how long the first in the queue has waited
	Idle              time.Duration // time since the last request was here; 0 while there is one
	Arrivals          uint64        // admitted in this life
	Finished          uint64
	Service           time.Duration // what a request takes, smoothed; 0 = not known
}

// Held is what one dispatcher holds on one instance.
type Held struct {
	Instance      string
	Slots, Leases int
	Idle          time.Duration // time since its last lease here ended, or since the share came; 0 while there is one
}
