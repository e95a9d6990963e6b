package roster

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Config is what a Roster needs.
type Config struct {
	Epoch  time.Time // the moment that is 0 on the roster's clock
	Term   uint64    // of the planner's life
	Fenced bool      // observations that were asked for before their source knew of Term are ignored
	Prefix string    // of the IDs that this life gives: one of these that is not known is gone, not to be adopted
}

// Roster is the one owner of what exists.
type Roster struct {
	sources
	cfg       Config
	slots     map[string]*Slot
	nodes     map[string]*Node
	instances map[string]*Instance
	unseen    []*Instance // launched in this life, and not seen yet by whoever is believed for their existence
	awaited   []awaited   // slots that run, and had neither spoken nor been given up then; the oldest first
	awaiting  int         // of which that is still so, of those that were not added in this life
	unlisted  []*Slot     // of which only their supervisors have told
	dropped   []dropped

	listsNodes    bool // some source has given a complete list of nodes
	listsSlots    bool // likewise of slots
	slotsListedAt time.Duration
	localSlot     bool // a slot of the local pool was seen

	changes []Change
}

// sources are all who have spoken, or were found lost.
type sources struct {
	named    map[string]*source
	byName   []*source // the same, in the order of their names
	lost     []*source // those that cannot be reached, in that order
	probe    *source
	heardAll bool      // SlotsKnown was true once
	liveness []*source // those that tell of liveness alone
	listers  []*source // those that list nodes
	gone     tombstones
	news     []News
	epoch    time.Time
}

// Kind says what has changed.
type Kind int

// The kinds of change, each of one thing, but for Reachability: some source was lost or is back, or more is known of what exists at all, which concerns
// everything.
const (
	SlotSeen Kind = iota
	SlotGone
	NodeSeen
	NodeGone
	InstanceSeen // new, or another word on it
	InstanceGone
	Reachability
)

// Change is one difference between the fleet before and after.
type Change struct {
	Kind     Kind
	Slot     *Slot
	Node     *Node
	Instance *Instance
}

// News is that a source was lost, or is back.
type News struct {
	Source string
	Lost   error         // nil = it is back
	Again  bool          // it was lost before, and for the same kind of reason
	After  time.Duration // back: so long it was lost
}

// ProbeSource is the name of the source that asks engines itself.
const ProbeSource = "probe"

// source is one observer's name, and the version of its last word.
type source struct {
	name      string
	term, seq uint64
	nodes     bool          // it lists nodes: it is believed for nodes, slots and dedicated instances
	slots     bool          // it lists slots
	spoken    bool          // it has given a complete list
	lost      error         // why it cannot be reached; nil = it can
	since     time.Duration // it has stood so

	supervises *Slot // the slot of which it alone tells; nil = it is no supervisor
	list       uint64
	listed     []*Instance // as of its last complete list, and since
	slotList   []*Slot     // that it lists and does not supervise
	nodeList   []*Node
}

// Node is one machine, as the source that lists it says.
type Node struct {
	fleet.Node
	Gone   bool
	source *source
	list   uint64 // of its source, that had it last
}

// Slot is one slot: what the source that lists it says, and what its supervisor says of itself.
//
//	listed: pending ──► awaited ──► heard ◄──► unreachable ──► gone
//	                       └── given up ─┘
type Slot struct {
	ID   string
	Gone bool

	listed     fleet.Slot // by its lister
	told       fleet.Slot // by its supervisor
	lister     *source    // nil = its supervisor lists it itself
	supervisor *source    // nil = not named yet
	heard      bool       // its supervisor has given a complete list: until then nobody knows what is there
	gaveUp     bool       // it was silent for too long
	since      time.Duration
	awaited    bool   // it runs, and has neither spoken nor been given up
	earlier    bool   // it was not added in this life: decisions wait while it is awaited
	list       uint64 // of its lister, that had it last
	residents  []*Instance
}

// Instance is one engine, from the order of its launch, or from the moment at which somebody has listed it, until it is gone.
type Instance struct {
	ID, Model string
	Slot      *Slot // nil = dedicated, or a slot of which nobody has told yet
	slotID    string
	roster    *Roster

	Gone      bool
	PlaceLost bool   // gone: because its slot is
	Why       string // gone: the reason, for operators
	Cause     fleet.Cause

	Seen      *fleet.Sighting // the last word of the source that is believed for its existence; nil = none yet
	Addr      string
	CanPark   bool // its slot has said that it can be parked
	Running   int  // requests that the engine says it serves
	RunningAt time.Duration
	Asked     bool // it was ever asked for Running

	Uncounted   bool // its engine said last that it counts no requests
	UncountedAt time.Duration
	Refused     bool          // nobody listened at its address
	RefusedAt   time.Duration // when it was last asked and that was so

	Phase        fleet.Phase // as the probe says; "" = it has said nothing
	ProbeFailure string      // why the probe gave it up; "" = it did not
	Hangs        bool        // the probe, which looks after it, has given it up, whatever others say
	Missing      bool        // a source that tells of liveness has listed it, and does not any more, or says that it is critical
	missingAt    time.Duration
	askedAt      time.Duration // when the asking began that ended in ProbeFailure
	NoAnswer     bool          // Missing, and the probe, asked since, did not find it either

	stopped   bool // its stop was accepted
	stoppedAt time.Duration
	listers   []lister
}

// lister is a source that lists an instance.
type lister struct {
	src  *source
	list uint64
	at   int // its index in the source's list
}

// dropped is a slot that was given back before anybody had listed it.
type dropped struct {
	id string
	at time.Duration
}

// awaited is a slot that was awaited from a moment on.
type awaited struct {
	*Slot
	from time.Duration
}

// tombstones remembers what is gone, so that a late word does not bring it back. IDs are never used again, so it need not remember for
// ever: only longer than a message can be late.
type tombstones struct {
	is    map[string]bool
	order []string
}
