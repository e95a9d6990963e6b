package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

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

// Expect enters an instance whose launch is ordered: in a slot, or ("") wherever the back end puts it.
func (r *Roster) Expect(id, model, slot string) *Instance {
	i := &Instance{ID: id, Model: model, slotID: slot, roster: r}
	r.instances[id] = i
	r.unseen = append(r.unseen, i)
	r.locate(i)
	return i
}

// StopAccepted notes that the back end has accepted the stop of the instance.
func (r *Roster) StopAccepted(now time.Duration, i *Instance) {
	if !i.stopped {
		i.stopped, i.stoppedAt = true, now
	}
}

// locate finds the slot of the instance.
func (r *Roster) locate(i *Instance) {
	if i.Slot == nil && i.slotID != "" {
		if i.Slot = r.slots[i.slotID]; i.Slot != nil {
			i.Slot.residents = append(i.Slot.residents, i)
		}
	}
}

// Dedicated reports whether the instance is in no slot.
func (i *Instance) Dedicated() bool { return i.slotID == "" }

// authority gives the source that is believed for the instance's existence; nil = not known.
func (r *Roster) authority(i *Instance) *source {
	if i.Slot != nil {
		return i.Slot.supervisor
	}
	for k := range i.listers {
		if i.listers[k].src.places() {
			return i.listers[k].src
		}
	}
	return nil
}

// believes reports whether the source is believed for the instance's existence.
func (i *Instance) believes(src *source) bool {
	switch {
	case i.Slot != nil:
		return i.Slot.supervisor == src
	case i.slotID != "":
		return src.places()
	default:
		return src.nodes
	}
}

// Visible reports whether whoever is believed for the instance's existence can be reached.
func (i *Instance) Visible() bool {
	if i.Slot != nil {
		return !i.Slot.Silent()
	}
	if src := i.roster.authority(i); src != nil {
		return src.lost == nil
	}
	return i.slotID != "" || !i.roster.NodesLost()
}

// Heard reports whether everybody can be reached who would speak of the instance: those who list it, and those who tell of liveness. Until then it
// is not let go merely because it seems idle. Room for whoever waits may still be made of it: what that takes is known.
func (r *Roster) Heard(i *Instance) bool {
	lost := func(s *source) bool { return s.lost != nil }
	return i.Visible() && !slices.ContainsFunc(i.listers, func(l lister) bool { return l.src.lost != nil }) &&
		!slices.ContainsFunc(r.liveness, lost) && (r.probe == nil || r.probe.lost == nil)
}

// Audible reports whether whoever would say that a starting instance is ready can be reached.
func (r *Roster) Audible(i *Instance) bool {
	return i.Visible() && !(i.Dedicated() && r.probe != nil && r.probe.lost != nil)
}

// sight takes one instance as a source sees it.
func (r *Roster) sight(now time.Duration, src *source, o *fleet.Observation, s *fleet.Sighting) {
	i := r.instances[s.ID]
	if i == nil {
		if i = r.adopt(src, s); i == nil {
			return
		}
	}
	r.locate(i)
	fresh := i.list(src)
	if i.Slot != nil && i.Slot.supervisor == src {
		i.CanPark = i.CanPark || s.Parks
	}
	if s.Addr != "" && (i.believes(src) || i.Addr == "") {
		i.Addr = s.Addr
	}
	if s.Running >= 0 {
		i.Running, i.RunningAt, i.Asked = s.Running, r.clock(o.At), true
		r.changed(Change{Kind: InstanceSeen, Instance: i})
	}
	if !src.places() {
		r.sightAlive(now, src, o, i, s)
		return
	}
	if !i.believes(src) {
		return
	}
	if s.Gone {
		r.seen(i, s)
		r.end(i, s.Failure, false)
		return
	}
	if fresh || i.Seen == nil || !same(i.Seen, s) {
		r.seen(i, s)
		r.changed(Change{Kind: InstanceSeen, Instance: i})
	}
}

// adopt enters an instance of an earlier life, or of another hand; nil = the source is not believed for it, or it was here and is gone.
func (r *Roster) adopt(src *source, s *fleet.Sighting) *Instance {
	if s.Gone || r.own(s.ID) || r.gone.is[s.ID] {
		return nil
	}
	if slot := r.slots[s.Slot]; s.Slot == "" && !src.nodes || s.Slot != "" && (slot == nil || slot.supervisor != src) {
		return nil
	}
	i := &Instance{ID: s.ID, Model: s.Model, slotID: s.Slot, roster: r}
	r.instances[i.ID] = i
	return i
}

// seen takes the last word of whoever is believed for the instance's existence.
func (r *Roster) seen(i *Instance, s *fleet.Sighting) {
	if i.Seen == nil {
		r.unseen = slices.DeleteFunc(r.unseen, func(o *Instance) bool { return o == i })
	}
	copied := *s
	i.Seen, i.Cause = &copied, s.Cause
}

// list notes that a source lists the instance, and reports whether it did not before.
func (i *Instance) list(src *source) bool {
	for k := range i.listers {
		if i.listers[k].src == src {
			i.listers[k].list = src.list
			return false
		}
	}
	i.listers = append(i.listers, lister{src: src, list: src.list, at: len(src.listed)})
	src.listed = append(src.listed, i)
	return true
}

// same reports whether two sightings say the same.
func same(a, b *fleet.Sighting) bool {
	x, y := *a, *b
	x.Running, y.Running = 0, 0
	if x.Spec != nil && y.Spec != nil {
		x.Spec, y.Spec = nil, nil // it never changes
	}
	return x == y
}
