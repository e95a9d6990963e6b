package fleet

import "time"

// LocalPool is the one implicit pool of the local back end.
const LocalPool = "local"

// Pool is a set of slots whose models share GPUs under one budget.
type Pool struct {
	Name            string
	GPUsPerSlot     int
	NodePool        string
	HostMemory      Bytes
	MaxParkedPerGPU int
	ParkedGPUMemory Bytes
	SlotIdle        time.Duration
	Slots           Range
}

// Slot is one allocation of a pool: GPUs of one node, numbered from 0. The planner places instances on aligned blocks of them.
type Slot struct {
	ID   string
	Pool string
	Node string
	GPUs int
	Host Bytes // host memory for parked engines
}

// Node is one machine with GPUs, as a back end reports it.
type Node struct {
	ID       string
	GPUs     int
	Used     int  // by others than this Pilotlight
	Eligible bool // takes new work
}
