package roster

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// forgetMissing takes what a complete list no longer has: for gone where the source is believed for its existence, else as missing.
func (r *Roster) forgetMissing(now time.Duration, src *source) {
	for k := 0; k < len(src.listed); {
		i := src.listed[k]
		switch at := i.listedAt(src); {
		case at.list == src.list:
			k++
		case i.believes(src):
			why := ""
			if i.Seen != nil {
				why = i.Seen.Failure
			}
			r.end(i, why, false) // takes it out of the list
		default:
			if src.tellsLiveness() {
				r.miss(now, i)
			}
			k++
		}
	}
}

// forgetUnseen takes for gone what was stopped before its launch was ever seen, once a list that was asked for since the stop was accepted does not have
// it: its launch came to nothing.
func (r *Roster) forgetUnseen(src *source, o *fleet.Observation) {
	for _, i := range slices.Clone(r.unseen) {
		if i.stopped && i.believes(src) && r.cfg.clock(o.At) > i.stoppedAt {
			r.end(i, "", false)
		}
	}
}

func (i *Instance) listedAt(src *source) *lister {
	for k := range i.listers {
		if i.listers[k].src == src {
			return &i.listers[k]
		}
	}
	return &lister{}
}

// end takes an instance for gone. It is the only place that does.
func (r *Roster) end(i *Instance, why string, placeLost bool) {
	if i.Gone {
		return
	}
	i.Gone, i.PlaceLost, i.Why = true, placeLost, why
	delete(r.instances, i.ID)
	if !r.cfg.own(i.ID) {
		r.gone.add(i.ID)
	}
	r.unseen = slices.DeleteFunc(r.unseen, func(o *Instance) bool { return o == i })
	for k := range i.listers {
		i.listers[k].src.unlist(i.listers[k].at)
	}
	i.listers = nil
	if i.Slot != nil {
		i.Slot.residents = slices.DeleteFunc(i.Slot.residents, func(o *Instance) bool { return o == i })
	}
	r.changed(Change{Kind: InstanceGone, Instance: i})
}

// unlist takes the instance at an index out of the source's list; the last one takes its place.
func (s *source) unlist(at int) {
	last := len(s.listed) - 1
	moved := s.listed[last]
	s.listed[at] = moved
	moved.listedAt(s).at = at
	s.listed[last] = nil
	s.listed = s.listed[:last]
}
