package roster

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Silent reports whether the back end of the node cannot be reached: it would refuse a launch, which is no fault of the engine.
func (n *Node) Silent() bool { return n.source.lost != nil }

// View gives the slot as it stands: a slot that is not there yet is Pending, and one that cannot be asked is PlaceUnreachable.
func (s *Slot) View() fleet.Slot {
	v := s.listed
	if s.lister == nil || s.heard {
		v.GPUs, v.Pending, v.Unplaced = s.told.GPUs, s.told.Pending, s.told.Unplaced
		if s.told.Host > 0 {
			v.Host = s.told.Host
		}
		if s.lister == nil {
			v = s.told
		}
	}
	if v.Pool == "" {
		v.Pool = fleet.LocalPool
	}
	if s.heard {
		v.Condition = worse(v.Condition, s.told.Condition)
	}
	if s.Silent() || s.gaveUp && !s.heard {
		v.Condition = fleet.PlaceUnreachable
	}
	v.Pending = v.Pending || !s.heard && s.supervisor != s.lister || s.speaksForItself()
	return v
}

// speaksForItself reports whether only its supervisor has told of the slot so far: whether it is still there, only who lists slots can say.
func (s *Slot) speaksForItself() bool { return s.lister != nil && s.lister.isSupervisor() }

// Silent reports whether whoever tells of the engines there cannot be reached.
func (s *Slot) Silent() bool { return s.supervisor != nil && s.supervisor.lost != nil }

// conditions are those of a place, from the best to the worst.
var conditions = []fleet.Condition{fleet.PlaceHealthy, fleet.PlaceIneligible, fleet.PlaceDraining, fleet.PlaceClosing, fleet.PlaceUnreachable}

func worse(a, b fleet.Condition) fleet.Condition {
	if slices.Index(conditions, a) < slices.Index(conditions, b) {
		return b
	}
	return a
}
