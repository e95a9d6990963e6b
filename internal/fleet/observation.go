package fleet

import "time"

// SlotSource begins the names of the sources that are the supervisors of slots; the slot's ID follows.
const SlotSource = "slot/"

// Observation is what one source knows at one moment. Complete marks a full list: what this source had listed before and
// does not list now is gone. In an incomplete one, absence says nothing.
type Observation struct {
	Source    string // local, nomad, consul, probe, simulate
	Seq, Term uint64
	At        time.Time // when asking began
	Complete  bool
	Nodes     []Node
	Slots     []Slot // of one that is complete: nil = this source knows no slots, empty = there are none
	Instances []Sighting

	// Lost says why the source cannot be reached; nothing else is set but Source and At. What it said last stands until it speaks again.
	Lost error
}

// Sighting is one instance as a source sees it.
type Sighting struct {
	Instance
	Phase   Phase
	Act     uint64 // Seq of the last act that the source has carried out on it
	Running int    // requests that the engine says it is serving; else Unasked or Uncounted
	Gone    bool   // exited or deleted: the GPUs are free
	Health  Health // "" = this source does not watch liveness; a slot's is Passing while the engine generates and answers
	Failure string // why it failed, for operators; "" = it did not
	Cause   Cause  // of the failure: what is to blame; "" = not known
	Short   bool   // the failure is a want of GPU memory: others hold more than planned
	Parks   bool   // the engine was asked, and can be parked
	Slept   bool   // it has been parked at least once
	Copy    Copy   // what becomes of its copy in host memory while it is awake; "" = not seen yet

	// Unproven says of one that is ready that its engine has made no token since it was resumed. Until then nobody pays for its time.
	Unproven bool

	// Refuses says that nobody listened at the instance's address when asking began: its engine, which is not ready yet, has never served.
	Refuses bool

	// Unplaced says that the back end has accepted the launch and found no node for it; it is cleared by the sighting that says
	// where the instance was placed.
	Unplaced Unplaced
}

// What Running is where it is no number of requests.
const (
	Unasked   = -1 // nobody has asked the engine, or it has not answered
	Uncounted = -2 // it was asked, and counts none as far as it has said
)

// Unplaced is why a back end that places instances by itself has not placed one.
type Unplaced string

// The reasons why an instance is not placed.
const (
	UnplacedExhausted  Unplaced = "exhausted"  // some node could hold it once what is there now has gone: it waits
	UnplacedImpossible Unplaced = "impossible" // no node could hold it, even if empty
)

// Cause says what is to blame for a failure.
type Cause string

// The causes of a failed start or an engine's death.
const (
	CausePlace   Cause = "place"   // the machine, its driver or its devices
	CauseImage   Cause = "image"   // the image, or another artifact, could not be had
	CauseWeights Cause = "weights" // the weights could not be found or read
	CauseMemory  Cause = "memory"  // killed for want of memory
	CauseRights  Cause = "rights"  // a token or a policy does not allow it
	CauseEngine  Cause = "engine"  // the engine itself: its exit code, or it never became ready
)

// Copy says what becomes of the copy of an engine's weights in host memory while the engine is awake.
type Copy string

// What becomes of a copy. An engine that keeps it parks and wakes without pinning memory again, and its host memory is never free (vLLM #16663).
const (
	CopyKept  Copy = "kept"
	CopyFreed Copy = "freed"
)

// Health is what a source of liveness says of an instance. It is a hint: whoever would act on bad news asks the engine first.
type Health string

// The words of a source of liveness. Only a complete observation has bad ones: Critical, or that an instance which it had
// listed before is absent.
const (
	Passing  Health = "passing"
	Critical Health = "critical"
)
