package activator

// unsound breaks single rules of the planner on purpose, so that the property tests can show that they would notice. The
// zero value keeps all of them; nothing but a test sets another.
type unsound struct {
	oldReports   bool // an older report is taken
	noAck        bool // an instance is stopped before its share was given back
	leaseBlind   bool // leases reported do not count
	overshare    bool // every dispatcher gets all slots
	noDemand     bool // GPUs are reserved without demand
	noBackoff    bool // a failed start is repeated at once
	gpuBlind     bool // an instance is launched on GPUs in use
	forget       bool // what is not listed is gone, whoever listed it
	stopsUnseen  bool // an instance is taken away though its source is lost
	trustsConsul bool // what liveness misses is gone
	noRunning    bool // an expired dispatcher is taken for one without streams
	parksEarly   bool // an instance is parked before its share was given back
	hostBlind    bool // host memory does not count
	sleeperBlind bool // those who are parked on a GPU do not count
	wakesEarly   bool // an instance is resumed on GPUs in use
}
