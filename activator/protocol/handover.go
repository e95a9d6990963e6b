package protocol

// Handover is what a planner that ends in order leaves to the next one: who may have leases on the instances that it knew. It gives out nothing after that. Only the planner
// of the very next term may go by it: another may have given out shares since.
type Handover struct {
	Term    uint64   // of the planner that ends
	Since   uint64   // the term from which on it is known who may have leases on what was launched: one of Holders, or nobody
	Known   []string `json:",omitempty"` // instances that were launched before, and of which that is known, too
	Holders []Holder `json:",omitempty"`
}

// Holder is one life of a dispatcher that may have leases, or shares by a table that is good still.
type Holder struct {
	Server string
	Life   uint64 // its incarnation
}
