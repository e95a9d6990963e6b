package fleet

// Tier says how far a model is from answering.
type Tier string

// Hot answers at once; Parked has its process alive and its GPU memory released; Cold has no process.
const (
	Hot    Tier = "hot"
	Parked Tier = "parked"
	Cold   Tier = "cold"
)

// FirstPark stands for Hot where what moves took is learned: the first park of an engine, which pins the host memory of its copy and takes several times as long as
// later ones (llm-d guides/gke-pod-snapshots, vLLM PR #58066). It is no tier.
const FirstPark Tier = "first_park"

// State is where an instance stands.
//
//	starting ──► ready ──► draining ──► parking ──► parked ──► resuming ──► ready
//	    │          │           │                       │           │
//	    │          │           └──────► stopping ◄─────┘           │
//	    └──────────┴──────────────────► failed ◄───────────────────┘
//
// An instance that is gone has no state: it is absent from the lists.
type State string

// The states of an instance. Only a ready instance takes new requests; starting, ready, draining, parking and resuming
// ones are awake: they hold their GPUs. A failed or stopping one still does, until it is gone.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Draining State = "draining"
	Parking  State = "parking"
	Asleep   State = "parked"
	Resuming State = "resuming"
	Stopping State = "stopping"
	Failed   State = "failed"
)

// Phase is a step of an activation, in the order in which they come. Back ends report those that they can see.
type Phase string

// The phases of an activation.
const (
	PhaseQueued    Phase = "queued"    // waits for GPUs
	PhaseSubmitted Phase = "submitted" // the back end has accepted the launch
	PhasePlaced    Phase = "placed"    // a node was chosen
	PhasePulling   Phase = "pulling"   // the image is being fetched
	PhaseStarting  Phase = "starting"  // the process runs
	PhaseLoading   Phase = "loading"   // the engine loads weights and warms up
	PhaseProbing   Phase = "probing"   // healthy; the one-token probe runs
	PhaseReady     Phase = "ready"
)

// Instance is one engine process of a model (or one to be), on one block of GPUs.
type Instance struct {
	ID    string // never used again
	Model string
	Slot  string // "" = dedicated
	Node  string // of a dedicated one: where the back end has placed it; "" = not known (yet)
	GPU   int    // first GPU of its block in the slot
	GPUs  int
	State State
	Addr  string // host:port once known
	Spec  *Spec  // what it was launched with; nil = its source does not say
}

// Spec is what an instance was launched with. It stays true of the instance while the config changes: placement, leases and bills go by it. A
// Spec is immutable.
type Spec struct {
	GPUs           int        `json:"gpus"`
	MaxConcurrency int        `json:"max_concurrency"`
	ParkedMemory   Bytes      `json:"parked_memory,omitempty"` // host memory that it takes while it is parked
	ParkedRoom     Bytes      `json:"parked_room,omitempty"`   // what it leaves on each of its GPUs for parked ones
	Kind           EngineKind `json:"kind"`
	Args           []string   `json:"args,omitempty"`
}

// NewSpec is the spec of an instance of the model that is launched now and leaves so much of each GPU for parked ones.
func NewSpec(m *Model, parkedRoom Bytes) *Spec {
	return &Spec{
		GPUs: m.GPUs, MaxConcurrency: m.MaxConcurrency, ParkedMemory: m.ParkedMemory, ParkedRoom: parkedRoom,
		Kind: m.Engine.Kind, Args: m.Engine.Args,
	}
}
