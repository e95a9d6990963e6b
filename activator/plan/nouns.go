package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// instance is one engine as the planner knows it, from the reservation of its GPUs until it is gone. It is three small states, each with its own
// transitions:
//
//	reservation   none ◄──► waits for its GPUs
//	engine        none ──► starting ──► ready ──► draining ──► stopping ──► gone
//	                          │          ▲          │            ▲
//	                          └─► failed │          └─► parking ─┤
//	                                │    │                 ▼     │
//	                              gone   └─ resuming ◄─ parked ──┘
//	act           none ──► due ──► on its way ──► none (accepted) or due (refused)
//
// A parked instance keeps its block of GPUs as its home: it holds them only while it is awake, and can be resumed nowhere else. It may have a
// reservation too: it is then parked, or being parked, and waits for its own GPUs.
type instance struct {
	fleet.Instance // State: of the engine; "" = there is none yet
	m              *model
	number         uint64           // in the order in which they were made
	index          int              // in state.instances
	seen           *roster.Instance // what the roster knows of it; nil until its launch is ordered
	followed       *fleet.Sighting  // the last word on where it is that was followed
	reserved       *reservation     // nil = none
	order          order

	at    place // where it is or will be; nil = not known yet
	stay  stay
	host  hostStay
	next  fleet.State // draining: what follows, parking or stopping
	trust trust

	from       fleet.Tier // of its last activation
	phase      fleet.Phase
	reason     string
	failure    string
	activation *activation
	waited     time.Duration // in its last activation, by the model's requests

	began        time.Duration // reserved
	launchedAt   time.Duration // or resumed
	readyAt      time.Duration
	leavingAt    time.Duration // draining, parking, stopping: since when
	served       bool          // it was ready once
	slept        bool          // it was parked once
	unproven     bool          // its engine has made no token since it was resumed, as its supervisor says
	failedWakes  int           // resumes that failed in a row
	outdated     bool          // the config has changed since it was launched: another is to take its place
	drainsOthers bool          // launched, and not placed: busy ones may be drained for it

	holds     []hold // by dispatcher
	confirmed int    // adopted: slots that the dispatchers which are heard have together had of an earlier planner
	spare     bool

	effort      knownEffort
	doubted     bool // listed in state.doubted
	sharesDirty bool // listed in state.sharesDirty
}

// reservation is a block of GPUs that is kept for an instance until it can be launched or resumed there.
type reservation struct {
	drains bool   // busy instances there may be drained for it
	number uint64 // in the order in which reservations were made, and room for slots
}

// model is one model as the planner knows it.
type model struct {
	*fleet.Model
	index     int
	capacity  int // leases that one instance launched now may have
	pool      *pool
	unlisted  bool // not in the config: its instances go once nobody waits for them
	instances []*instance
	nodes     []string // where it has run: its weights may be there
	awake     average  // instances that held GPUs of late
	spared    fleet.Spared

	waiting, inflight int           // over all dispatchers, as last reported
	oldest            time.Duration // since when the first waits; valid while waiting > 0
	waited            float64       // seconds that its requests have waited, all together, until waitedAt
	waitedAt          time.Duration
	asked             bool          // it has had a request
	idleSince         time.Duration // valid once asked and nothing waits or is in flight
	lastDemand        time.Duration // when something was last reported waiting
	service           time.Duration

	desired   fleet.Desired
	askedIn   uint64 // the step in which the policy was asked last
	stale     bool   // the policy must be asked again
	reviewAt  time.Duration
	heldUntil time.Duration // by the operator; 0 = not held
	stopped   bool          // by the operator: until the next request nothing but demand starts it

	short     int // instances wanted for which there is no room
	shortFrom time.Duration
	rank      int           // its place among those who wait for room; 0 = none
	search    bool          // all places are to be looked at for what it lacks, not only those where something was freed
	searching bool          // and that is so in this round
	drainAt   time.Duration // short: when it may drain the busy ones of the room that was best
	readyIn   estimate      // short: what was estimated then
	best      place         // short: where that room was

	impossibleUntil time.Duration // the back end has said that no node can hold it; 0 = it has not

	failures     int // starts that failed in a row, and were not the fault of a place
	deaths       int // engines that failed in a row soon after they were ready, or were found unfit, likewise
	retryAt      time.Duration
	suspect      string // the place where its last start failed: another is tried before the model is to blame
	suspectUntil time.Duration
	causes       map[fleet.Cause]int
	lastFailure  fleet.Failure // for operators

	standings []standing // of the dispatchers; see state.standings
	stoodIn   uint64     // the step in which they were made

	queued    queued
	outlook   protocol.Outlook
	outlookAt time.Duration
	starts    past
	resumes   past
	parkings  past
	firsts    past // parkings of engines that had never been parked
	keeps     bool // its engines keep their copy in host memory while they are awake, as far as has been seen

	timer    timer
	dirty    bool   // listed in state.dirty
	unshown  bool   // listed in state.unshown
	lookedIn uint64 // the last round in which it was
}

// need is what room is looked for: a model's, with those who wait for it, or would.
type need struct {
	*model
	waiting int
	oldest  time.Duration // since when the first waits; valid while waiting > 0
	instead *instance     // a launched one, for which another place is looked for: its GPUs count as free
}

// estimate is a moment that is expected, as far as one is.
type estimate struct {
	at    time.Duration
	known bool
}

// pool is a set of slots, and what has been used of it.
type pool struct {
	fleet.Pool
	slots   []*slot
	byEase  [eases][]*slot
	opened  int  // see open
	recount bool // that must be counted anew
	models  []*model
	largest int // GPUs of the largest slot seen; of one whose slots come and go, of those that are there
	awake   int // GPUs held now
	held    float64
	at      time.Duration

	added   past          // what adding a slot took
	refused int           // slots in a row that came to nothing
	retryAt time.Duration // no slot is added before
	timer   timer
	dirty   bool // listed in state.dirtyPools
}

// place is where instances live: a slot, whose GPUs are numbered, or a node, whose GPUs are counted.
type place interface {
	common() *site
	fits(gpus int) bool         // so many GPUs could be had there by making ours go
	free(i *instance) bool      // what i has reserved there is free, and nobody comes before it
	hold(i *instance)           // i holds its GPUs from now on
	release(i *instance)        // and no longer
	describe(gpu, n int) string // n of its GPUs, for people
}

// site is what both kinds of place have in common.
type site struct {
	id        string
	node      string // its machine
	pool      *pool
	condition fleet.Condition
	gone      bool
	givenBack bool        // a slot: likewise, soon
	emptied   bool        // a slot: it is to be given back, and those who are busy there are drained for it
	residents []*instance // who lives there, awake or parked; on a node: who is counted there
	lived     int         // GPUs of all residents
	reserved  []*instance // those with a reservation, oldest first
	trouble   trouble
	number    uint64 // in the order in which places were entered
	freed     bool   // listed in state.freed
}

// trouble is what has gone wrong at a place.
type trouble struct {
	failures   int // in a row, that were the place's own
	avoidUntil time.Duration
	why        string
}

// Trouble says that a place is avoided, for the operator.
type Trouble struct {
	Place, Node string
	Why         string
	Until       time.Time
}

// slot is one slot of a pool.
//
//	asked for ──► pending ──► open ──► given back ──► gone
type slot struct {
	site
	fleet.Slot
	seen     *roster.Slot // nil = not seen yet
	asked    bool         // by this life of the planner
	askedAt  time.Duration
	addedAt  time.Duration // the back end has accepted it
	missedAt time.Duration // and if nobody lists it, that is looked at then
	quietAt  time.Duration // since when nothing there is awake; valid while that is so
	wanted   time.Duration // pending: when somebody last wanted it
	room     *slotRoom     // pending: what is kept for it on a node; nil = nothing
	roomFrom time.Duration // pending: no room is made for it before
	lookAt   time.Duration // pending: when all nodes are looked at again; before that, only those where something was freed
	roomSeen time.Duration // pending: since when a node has had room for it, and the back end has not placed it there; 0 = none has
	lookedIn uint64        // pending: the round in which somebody looked
	order    order
	awake    []*instance // by GPU: who holds it; nil = free
	timer    timer
	dirty    bool // listed in state.dirtySlots
	unshown  bool // listed in state.unshown
	ease     ease // valid while listed
	easeAt   int
	listed   bool // in pool.byEase
}

// slotRoom is GPUs of a node that are kept for a slot which the back end could not place: others have made room there. The back end is
// expected to place it once they are free.
type slotRoom struct {
	at     *node
	number uint64 // as of reservations
	isFree bool
	freeAt time.Duration // since when the GPUs are free
}

// node is one machine of a back end that places instances by itself. Which of its GPUs an instance gets is not for us to say, so there is no layout to
// break up. The planner expects a launch on the node that it had in mind, where it is counted from the launch on, and follows the back end when that
// says otherwise.
//
// A launch waits until its GPUs are free as far as is known, instead of queueing at the back end behind what must still go: what is queued there
// could land on GPUs that are being freed for somebody else.
type node struct {
	site
	name  string // for people
	gpus  int
	used  int            // by others
	seen  *roster.Node   // nil: it stands for any machine, for those that need no GPU
	all   *roster.Roster // of such a one: who knows of all machines
	slots []*slot        // of ours that lie on it: they are among the others that use its GPUs
	kept  []*slot        // for which GPUs are kept there
}

// activation is one under way, or one that is remembered.
type activation struct {
	fleet.Activation
	m      *model
	shown  bool    // as it has ended, to whoever looks at the fleet
	before float64 // seconds that the model's requests had waited when it began
}

// ordered is an instance or a slot with an act that is due.
type ordered struct {
	i *instance
	s *slot
}

// queued is what was said of a model's place among those who wait for room: it is asked for at every step, and seldom changes.
type queued struct {
	rank, gpus int
	said       string
}

// knownEffort is what effortFor has found out in a round: many ask in turn who wait for the same place.
type knownEffort struct {
	round      uint64
	at         time.Duration
	needs      effort
	wait, hold time.Duration
}
