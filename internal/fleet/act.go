package fleet

// ActKind names what a back end is asked to do.
type ActKind string

// The acts of the planner. Park and Resume need an engine that offers them.
const (
	ActLaunch   ActKind = "launch"
	ActResume   ActKind = "resume"
	ActPark     ActKind = "park"
	ActStop     ActKind = "stop"
	ActAddSlot  ActKind = "add_slot"
	ActDropSlot ActKind = "drop_slot"
)

// Act is one order of the planner to a back end. A back end accepts it and reports its outcome as an Observation.
// Acts are idempotent by (Term, Seq): one seen before, or of an older Term, is ignored.
type Act struct {
	Kind      ActKind
	Term, Seq uint64
	Instance  string
	Model     string
	Pool      string
	Slot      string
	GPU, GPUs int
	Parked    Bytes  // of a launch: what parked engines may come to hold on each of its GPUs
	Sleepers  int    // of a launch or resume: how many may be parked on each of its GPUs beside it; 0 = not said
	Config    *Model `json:"-"` // of a launch: the model as it is configured now
	Why       string
}
