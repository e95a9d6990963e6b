package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// giveUpAfter is how long a slot that runs may stay silent before decisions no longer wait for it.
const giveUpAfter = 10 * time.Second

// New makes a roster that knows of nothing.
func New(cfg Config) *Roster {
	return &Roster{
		cfg: cfg, sources: sources{named: make(map[string]*source), gone: newTombstones(), epoch: cfg.Epoch}, slots: make(map[string]*Slot), nodes: make(map[string]*Node),
		instances: make(map[string]*Instance),
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
	r.heardAll = r.heardAll || r.SlotsKnown()
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

// NodesKnown reports whether some source has listed the nodes.
func (r *Roster) NodesKnown() bool { return r.listsNodes }

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
