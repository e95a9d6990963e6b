package roster

import (
	"slices"
	"time"
)

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
