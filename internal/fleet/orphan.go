package fleet

import (
	"errors"
	"time"
)

// Orphan is something that runs under the back end as ours once did, and that no part of this config takes care of.
type Orphan struct {
	ID      string     // to stop it by: the name of its job
	Kind    OrphanKind // what it is
	Why     OrphanWhy  // nobody takes care of it
	Cluster string     // whose it says it is
	Model   string     // of an instance
	Pool    string     // of a slot
	Node    string     // "" = it is not placed
	GPUs    int        // that it holds
	Since   time.Time
}

// OrphanKind says what an orphan is.
type OrphanKind string

// The kinds of orphans.
const (
	OrphanInstance OrphanKind = "instance"
	OrphanSlot     OrphanKind = "slot" // with all its engines
)

// OrphanWhy says why nobody takes care of an orphan.
type OrphanWhy string

// The reasons. One of another cluster is no orphan by that alone: another Pilotlight of that name may take care of it.
const (
	OrphanOfCluster OrphanWhy = "cluster" // it is of another cluster
	OrphanOfPool    OrphanWhy = "pool"    // its pool is not in the config
	OrphanOfModel   OrphanWhy = "model"   // its model is not in the config
)

// Why an orphan is not stopped.
var (
	ErrNoOrphan     = errors.New("there is no such orphan")
	ErrCared        = errors.New("the config takes care of it")
	ErrOtherCluster = errors.New("another Pilotlight may take care of it")
)
