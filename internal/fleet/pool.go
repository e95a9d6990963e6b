package fleet

import "time"

// LocalPool is the one implicit pool of the local back end.
const LocalPool = "local"

// Pool is a set of slots whose models share GPUs under one budget.
type Pool struct {
	Name            string
	GPUsPerSlot     int
	NodePool        string
	EngineUser      string        // whom its engines run as where a supervisor of ours starts them; "" = nobody where that is root's, "same" = as the supervisor
	HostMemory      Bytes         // of each slot, for parked engines, where the slot does not say; 0 = no limit
	MaxParkedPerGPU int           // engines parked on one GPU beside an awake one; 0 = none is parked
	ParkedGPUMemory Bytes         // what a parked engine still holds on each of its GPUs
	SlotIdle        time.Duration // a slot with nothing awake for so long is given back; 0 = never
	Slots           Range         // so many are kept, and may be added; Max 0 = the back end's own slots are all there are
	LatencyWeight   float64       // GPU-hours that an hour of waiting is worth here; 0 = as the policy has it
}

// AnyNodePool is the node pool that all nodes are in.
const AnyNodePool = "all"

// MayLieOn reports whether slots of the pool may be placed on the node. A pool that names no node pool has that of dedicated instances.
func (p *Pool) MayLieOn(n *Node) bool {
	if p.NodePool == "" {
		return !n.SlotsOnly
	}
	return p.NodePool == AnyNodePool || p.NodePool == n.Pool
}

// Slot is one allocation of a pool: GPUs of one node, numbered from 0. The planner places instances on aligned blocks of them.
type Slot struct {
	ID   string
	Pool string
	Node string
	GPUs int
	Host Bytes // host memory for parked engines; 0 = as its pool says

	Pending  bool     // it was asked for and is not there yet: nothing can be launched on it
	Unplaced Unplaced // of a pending one: why the back end has found no node for it; "" = nothing is known to hinder it

	Condition  Condition // its node's, or its own
	Supervisor string    // the source that tells of the engines there; "" = the source that lists the slot
}

// Node is one machine with GPUs, as a back end reports it.
type Node struct {
	ID        string
	Name      string // for people; "" = the ID
	GPUs      int
	Used      int // by others than this Pilotlight
	Condition Condition
	Pool      string // the back end's node pool that it is in
	SlotsOnly bool   // no dedicated instance may be placed there: only slots of pools that name its node pool
}

// Condition says what a place, a node or a slot, is fit for. A slot is never in a better condition than its node.
type Condition string

// The conditions of a place. Only a healthy one takes launches.
const (
	PlaceHealthy     Condition = ""
	PlaceIneligible  Condition = "ineligible"  // takes no new work; what is there goes on
	PlaceDraining    Condition = "draining"    // takes no new work, and what is there will be ended
	PlaceClosing     Condition = "closing"     // a slot whose supervisor shuts down: it ends its engines and refuses launches
	PlaceUnreachable Condition = "unreachable" // nobody can say how it is: what is there is kept until it is known to be lost
)

// TakesLaunches reports whether something new may be placed there.
func (c Condition) TakesLaunches() bool { return c == PlaceHealthy }
