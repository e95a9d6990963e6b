package protocol

import "time"

// Report is what one dispatcher tells the planner: the leases that it holds, and the demand for each model that has changed since
// the last report that the planner is known to have heard. A planner ignores one that is not newer by (Incarnation, Seq) than the last that it
// heard of that dispatcher.
//
// A partial report lists under Held only what has changed since report Seq-1 of the same life. It is sent only where that one is known to have
// been heard by this planner: where both live in one process.
type Report struct {
	From            string
	Incarnation     uint64 // this life of the dispatcher; larger than any before
	Seq             uint64
	Stamp           time.Duration // the dispatcher's clock
	AckTerm, AckSeq uint64        // the last table taken
	Partial         bool          // an instance that is not under Held is held as it was
	Demands         []Demand
	Held            []Held   // instances with slots or leases. Of a whole report: one that is not listed has neither
	Condemned       []string // instances whose engines keep failing requests of this server's own: they are to be replaced
	Farewell        bool     // the dispatcher has ended: nothing is held any more, and nothing will be
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

// Held is what one dispatcher holds on one instance. In a partial report an entry with neither slots nor leases says that nothing is held any more.
type Held struct {
	Instance      string
	Slots, Leases int
	Idle          time.Duration // time since its last lease here ended, or since the share came; 0 while there is one
}
