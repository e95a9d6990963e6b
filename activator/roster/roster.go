package roster

import (
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// giveUpAfter is how long a slot that runs may stay silent before decisions no longer wait for it.
const giveUpAfter = 10 * time.Second

// Config is what a Roster needs.
type Config struct {
	Epoch  time.Time // the moment that is 0 on the roster's clock
	Term   uint64    // of the planner's life
	Fenced bool      // observations that were asked for before their source knew of Term are ignored
	Prefix string    // of the IDs that this life gives: one of these that is not known is gone, not to be adopted
}

// Roster is the one owner of what exists.
type Roster struct {
	cfg       Config
	sources   map[string]*source
	byName    []*source // the same, in the order of their names
	lost      []*source // those that cannot be reached, in that order
	slots     map[string]*Slot
	nodes     map[string]*Node
	instances map[string]*Instance
	unseen    []*Instance // launched in this life, and not seen yet by whoever is believed for their existence
	awaited   []awaited   // slots that run, and had neither spoken nor been given up then; the oldest first
	awaiting  int         // of which that is still so, of those that were not added in this life
	unlisted  []*Slot     // of which only their supervisors have told
	dropped   []dropped
	gone      tombstones

	probe         *source
	liveness      []*source // those that tell of liveness alone
	listers       []*source // those that list nodes
	listsNodes    bool      // some source has given a complete list of nodes
	listsSlots    bool      // likewise of slots
	slotsListedAt time.Duration
	localSlot     bool // a slot of the local pool was seen

	changes []Change
	news    []News
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

// New makes a roster that knows of nothing.
func New(cfg Config) *Roster {
	return &Roster{
		cfg: cfg, sources: make(map[string]*source), slots: make(map[string]*Slot), nodes: make(map[string]*Node),
		instances: make(map[string]*Instance), gone: newTombstones(),
	}
}

// Observe takes what a source says, unless it is older than what it said before; the same said again is news of its moment. Sources without
// versions (Seq 0) are taken in the order in which they speak. It is false where the observation was ignored.
func (r *Roster) Observe(now time.Duration, o *fleet.Observation) bool {
	if o.Lost != nil {
		r.lose(now, o.Source, o.Lost)
		return true
	}
	if r.cfg.Fenced && o.Term > 0 && o.Term < r.cfg.Term {
		return false // asked before the source knew of this life: an act of the one before may have followed
	}
	if slot, known := r.supervised(o.Source); known && slot == nil {
		return false // the supervisor of a slot that is gone
	}
	src := r.source(now, o.Source)
	if o.Seq > 0 && !src.newer(o.Term, o.Seq) {
		return false
	}
	r.found(now, src)
	r.seeNodes(src, o)
	r.seeSlots(now, src, o)
	src.list++
	for k := range o.Instances {
		r.sight(now, src, o, &o.Instances[k])
	}
	if o.Complete {
		r.complete(now, src, o)
	}
	return true
}

// complete draws the conclusions from a full list.
func (r *Roster) complete(now time.Duration, src *source, o *fleet.Observation) {
	src.spoken = true
	if src.places() {
		r.forgetUnseen(src, o)
	}
	r.forgetMissing(now, src)
	if s := src.supervises; s != nil {
		r.stopAwaiting(s)
	}
	slots := src.slots && !src.isSupervisor() // a supervisor knows of no slot but its own
	if src.nodes && !r.listsNodes || slots && !r.listsSlots {
		r.listsNodes, r.listsSlots = r.listsNodes || src.nodes, r.listsSlots || slots
		r.changed(Change{Kind: Reachability})
	}
}

// Tick gives up the slots that have been silent for too long.
func (r *Roster) Tick(now time.Duration) {
	for s := r.firstAwaited(); s != nil && now >= s.since+giveUpAfter; s = r.firstAwaited() {
		s.gaveUp = true
		r.stopAwaiting(s)
		r.changed(Change{Kind: SlotSeen, Slot: s})
		r.changed(Change{Kind: Reachability})
	}
}

// Next gives the moment at which Tick is due; false = none.
func (r *Roster) Next() (time.Duration, bool) {
	s := r.firstAwaited()
	if s == nil {
		return 0, false
	}
	return s.since + giveUpAfter, true
}

// TakeChanges gives the changes since the last call, in order. The slice is the caller's until the next call of any method.
func (r *Roster) TakeChanges() []Change {
	c := r.changes
	r.changes = nil
	return c
}

func (r *Roster) changed(c Change) { r.changes = append(r.changes, c) }

// NodesKnown reports whether some source has listed the nodes.
func (r *Roster) NodesKnown() bool { return r.listsNodes }

// SlotsKnown reports whether the slots were listed, and every one that runs has spoken or was given up. One that was added in this life is not waited for:
// nothing of an earlier life can be there.
func (r *Roster) SlotsKnown() bool { return r.listsSlots && r.awaiting == 0 }

// SlotsListedAt gives when the last complete list of slots was asked for.
func (r *Roster) SlotsListedAt() time.Duration { return r.slotsListedAt }

// LocalSlotKnown reports whether a slot of the local pool was ever seen: then models without a pool are there.
func (r *Roster) LocalSlotKnown() bool { return r.localSlot }

// Instance gives the instance of that ID; nil = there is none.
func (r *Roster) Instance(id string) *Instance { return r.instances[id] }

// Unsure gives the sources that should be asked for a fresh list: some instance or slot there was stopped before anybody had seen it, and only a list
// that is asked for from now on says that it is not there.
func (r *Roster) Unsure() []string {
	var names []string
	for _, i := range r.unseen {
		if !i.stopped {
			continue
		}
		asked := r.listers // of one on a node that nobody has listed
		if src := r.authority(i); src != nil {
			asked = []*source{src}
		} else if !i.Dedicated() {
			continue
		}
		for _, src := range asked {
			if !slices.Contains(names, src.name) {
				names = append(names, src.name)
			}
		}
	}
	for _, src := range r.byName {
		if len(r.dropped) > 0 && src.slots && !src.isSupervisor() && !slices.Contains(names, src.name) {
			names = append(names, src.name)
		}
	}
	return names
}

// own reports whether an instance ID was given in this life.
func (r *Roster) own(id string) bool { return strings.HasPrefix(id, r.cfg.Prefix) }

// clock gives a time on the roster's clock.
func (r *Roster) clock(t time.Time) time.Duration { return t.Sub(r.cfg.Epoch) }

// tombstones remembers what is gone, so that a late word does not bring it back. IDs are never used again, so it need not remember for
// ever: only longer than a message can be late.
type tombstones struct {
	is    map[string]bool
	order []string
}

const tombstonesKept = 1 << 14

func newTombstones() tombstones { return tombstones{is: make(map[string]bool)} }

func (t *tombstones) add(id string) {
	if t.is[id] {
		return
	}
	if len(t.order) >= tombstonesKept {
		delete(t.is, t.order[0])
		t.order = t.order[1:]
	}
	t.is[id] = true
	t.order = append(t.order, id)
}
