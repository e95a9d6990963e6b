package fleet

import "time"

// EventKind names what happened to a model.
type EventKind string

// The events that a policy observes.
const (
	EventArrived EventKind = "arrived" // N requests arrived
	EventBusy    EventKind = "busy"    // first request in flight or waiting after idleness
	EventIdle    EventKind = "idle"    // nothing in flight or waiting any more
	EventReady   EventKind = "ready"   // an instance became ready, From a tier
	EventParked  EventKind = "parked"
	EventStopped EventKind = "stopped"
	EventFailed  EventKind = "failed"
	EventDemand  EventKind = "demand" // N requests wait or are in flight from now on
)

// Event is one fact that a policy may learn from.
type Event struct {
	Kind  EventKind
	At    time.Time
	Model string
	N     int
	From  Tier
	Took  time.Duration // of ready: what the activation took, from launch or resume on; of parked: what parking took
	First bool          // of parked: it was the engine's first park, which takes longer than later ones
}

// ModelView is what a policy may look at when it decides about one model.
type ModelView struct {
	Model     *Model
	Waiting   int       // requests that wait for a lease
	Inflight  int       // leases held on ready instances
	IdleSince time.Time // last moment with a request; zero while there is one, or before the first
	Pending   int       // instances starting or resuming
	Parked    int       // parked or being parked, and not about to be resumed
	Hot       []HotView
	HeldUntil time.Time // an operator asked to hold the model hot until then; zero = not held
	Spared    Spared

	IdleCost      float64 // what a second of idle GPU time counts in the slots where its hot instances are, 0 to 1; dedicated instances: always 1
	Parks         bool    // a hot instance that is let go can be parked; false = it is stopped
	LatencyWeight float64 // of its pool: GPU-hours that an hour of waiting is worth; 0 = as the policy has it
}

// Spared says how many of a model's instances were enough.
type Spared struct {
	Idle  time.Duration // the last instance let go had been idle so long; 0 = none was, or one was started or resumed since
	Stays int           // and so many stayed hot
}

// HotView is one ready instance of a ModelView.
type HotView struct {
	ID        string
	Leases    int
	IdleSince time.Time // zero while it has leases
	ReadyAt   time.Time
	Unparked  bool // its engine was never parked: its next park is the first
}

// Desired is a policy's wish for one model. The planner commits to it only as far as leases and GPUs allow.
type Desired struct {
	Model       string
	Hot         int       // instances wanted ready
	Need        int       // of these, as many as present demand is worth; further ready ones get overflow only, so that they can become idle; 0 = no such rule
	Parked      int       // at most so many copies are kept parked once they are not hot; further ones are stopped
	HotValue    float64   // seconds of one request's waiting that losing one idle hot instance would cost
	ParkedValue float64   // the same per GB of host memory, for a parked one, as if it were the only copy
	ReviewAt    time.Time // ask again then at the latest; zero = only after an event
	Reason      string    // for people: why this many
	Also        []string  // models about which the policy is to be asked now, too; they must not be changed
}
