package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

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
	if i.hearRunning(r.cfg.clock(o.At), s) {
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

// hearRunning takes what an engine said, asked at a moment, of the requests that it serves, and whether there is one that serves any. It reports whether that may prove something.
func (i *Instance) hearRunning(at time.Duration, s *fleet.Sighting) bool {
	switch {
	case s.Running >= 0:
		i.Running, i.RunningAt, i.Asked, i.Uncounted = s.Running, at, true, false
	case s.Running == fleet.Uncounted:
		i.Uncounted, i.UncountedAt = true, at
	}
	if s.Refuses {
		i.Refused, i.RefusedAt = true, at
	}
	return s.Running >= 0 || s.Refuses
}

// CountedBy gives the source that asks the instance's engine how many requests it serves; "" = not known.
func (i *Instance) CountedBy() string {
	switch {
	case i.Dedicated():
		return ProbeSource
	case i.Slot != nil && i.Slot.supervisor != nil:
		return i.Slot.supervisor.name
	default:
		return ""
	}
}

// adopt enters an instance of an earlier life, or of another hand; nil = the source is not believed for it, or it was here and is gone.
func (r *Roster) adopt(src *source, s *fleet.Sighting) *Instance {
	if s.Gone || r.cfg.own(s.ID) || r.gone.is[s.ID] {
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
