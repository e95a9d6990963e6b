package fleet

import "time"

// Answer is the kind of answer that a waiting model has.
type Answer string

// The answers: NeverFits is final (no pool can hold the model); Busy waits for GPUs in use; StartingUp has its GPUs.
const (
	NeverFits  Answer = "never_fits"
	Busy       Answer = "busy"
	StartingUp Answer = "starting"
	BackingOff Answer = "backing_off" // its engine kept failing to start
	Serving    Answer = "ready"
)

// Outlook is what a waiter may be told about its model.
type Outlook struct {
	Model  string
	Answer Answer
	Phase  Phase
	ETA    time.Duration // until the next instance is ready; 0 = not known
	Reason string        // for people, free of addresses and paths
}

// SourceStatus is how one source of observations stands.
type SourceStatus struct {
	Name    string
	Lost    string    // why it cannot be heard, for operators; "" = it is heard
	Denied  bool      // it refuses the token, or a right
	Awaited bool      // the supervisor of a slot that an earlier life has left: it has neither spoken nor been given up since this one began
	Since   time.Time // it has stood so
}

// Snapshot is the whole fleet at one moment. It is immutable.
type Snapshot struct {
	At          time.Time
	Models      []ModelStatus
	Instances   []InstanceStatus
	Pools       []PoolStatus
	Nodes       []NodeStatus // those that the back end tells of; none where it knows of slots only
	Activations []Activation // newest first, bounded
}

// ModelStatus is one model in a Snapshot.
type ModelStatus struct {
	Model    *Model
	State    string // cold, starting, parked or hot
	Waiting  int
	Inflight int
	Hot      int
	Pending  int
	Parked   int
	Desired  Desired
	Outlook  Outlook
}

// InstanceStatus is one instance in a Snapshot.
type InstanceStatus struct {
	Instance
	Phase      Phase
	Leases     int
	Breaker    string // closed, half-open or open
	BreakerWhy string // why it is not closed, for operators
	LaunchedAt time.Time
	ReadyAt    time.Time // zero until ready
	IdleSince  time.Time // zero while it has leases or is not ready
	Failure    string
}

// PoolStatus is one pool in a Snapshot.
type PoolStatus struct {
	Pool  Pool
	Slots []SlotStatus
}

// SlotStatus is one slot with what sits on each of its GPUs.
type SlotStatus struct {
	Slot
	Occupants []string // the awake instance on each GPU, "" = free
	Sleepers  []string // the parked instances whose home is here
	Reserved  []Reservation
}

// NodeStatus is one node in a Snapshot.
type NodeStatus struct {
	Node
	Gone       bool      // the back end no longer lists it, and something of ours was there
	Held       int       // GPUs that dedicated instances hold; those of slots are among Used
	AvoidUntil time.Time // nothing new is placed there before; zero = it is in order
	AvoidWhy   string
}

// Reservation is a block of a slot's GPUs that is kept for an instance which is to be started or resumed there once the block is free.
type Reservation struct {
	Instance string
	Model    string
	GPU      int // first GPU of the block
	GPUs     int
}

// Activation is one move of a model to hot, shared by all who wait for it.
type Activation struct {
	ID       uint64
	Model    string
	Instance string
	From     Tier
	Reason   string
	Began    time.Time // its GPUs were reserved
	Ended    time.Time // ready or failed; zero while it runs
	Failure  string
	Phases   []PhaseTime

	GPUSeconds float64       // for which it held GPUs; 0 while it runs
	Waited     time.Duration // what the model's requests have waited meanwhile, all together
}

// PhaseTime is the moment at which an activation entered a phase.
type PhaseTime struct {
	Phase Phase
	At    time.Time
}

// Notice is one transition, for the event stream and the log.
type Notice struct {
	ID       uint64 // increasing by one within one life of a server
	At       time.Time
	Model    string
	Instance string
	From, To State // From is empty for a new instance; To is empty for one that is gone
	Reason   string
	Lost     bool          // it has failed, or is gone: whoever has no answer from it yet had better ask another
	Budget   *BudgetNotice // nil = it is of an instance; else of none

	// GPUSeconds is what the move costs in GPU time: expected, where one begins (to starting, resuming, parking, stopping), and
	// measured, where one has ended (to ready, parked, gone). 0 = nothing, or not known.
	GPUSeconds float64

	// Waited is what the move costs in requests' waiting, all together: expected, of those who wait where a start or resume begins, and
	// measured, where it has ended. 0 = nobody waits.
	Waited time.Duration
}

// Waiting is one request that waits for its model.
type Waiting struct {
	Model, Org string
	Request    string // its name
	Retry      bool   // an engine has failed it; it goes before all others
	Place      int    // in its model's queue, from 1
	Since      time.Time
	Until      time.Time // it gives up then; zero = never
}

// BudgetNotice tells that so much of a budget has been spent.
type BudgetNotice struct {
	Org     string
	TokenID string // whose budget it is; empty = the organisation's
	Percent int    // 50, 80 or 100
	Limit   NanoUSD
	Spent   NanoUSD
	Soft    bool
	Period  string    // monthly, weekly or daily
	Begins  time.Time // UTC: when the period has begun
	Resets  time.Time // UTC: when the next begins
}

// Explanation is what the autoscaler would do now, and why.
type Explanation struct {
	View    ModelView
	Desired Desired
	Outlook Outlook
	Actions []string // what the planner would do to get there, in order, for people; empty = nothing
	Request string   // what a request that came now would find, for people
	Ahead   string   // what becomes of the model if none comes, for people; empty = nothing, as far as can be foreseen
	Failure Failure  // the last one, in this life of the server; no Reason = there was none
}

// Failure is an engine that has failed to start, or soon after.
type Failure struct {
	At       time.Time
	Instance string
	Slot     string // empty = it had none
	Node     string // empty = it was not placed
	Cause    Cause
	Reason   string // with the engine's last words, where its place has them
}

// Learned is what past moves of one model have taken. It is kept over restarts.
type Learned struct {
	Model     string
	From      Tier            // parked and cold: until it was ready; hot: until it was parked, and FirstPark: likewise, of engines that had never been
	Durations []time.Duration // newest last, bounded
}
