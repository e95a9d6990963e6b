package plan

import "github.com/pilotlight-io/pilotlight/internal/fleet"

// neverFits reports whether the model's pool can never hold it. It is said only once all has spoken that would say what there is.
func (s *state) neverFits(m *model) bool {
	switch {
	case !s.known(m):
		return false
	case m.dedicated():
		return m.GPUs > 0 && m.GPUs > s.largestNode() || m.impossibleUntil > 0
	default:
		return m.GPUs > m.pool.biggest() || s.slotless(m)
	}
}

// slotless reports whether the model's pool has no slot for it but one that no node can hold.
func (s *state) slotless(m *model) bool {
	impossible := false
	for _, t := range m.pool.slots {
		switch {
		case t.givenBack:
		case !t.Pending && t.GPUs >= m.GPUs:
			return false
		case t.Pending && t.Unplaced == fleet.UnplacedImpossible:
			impossible = true
		}
	}
	return impossible
}

// largestNode gives the GPUs of the largest node that is there, in use or not, taking work or not; -1 = there is none.
func (s *state) largestNode() int {
	if s.remeasure {
		s.remeasure, s.largest = false, -1
		for _, n := range s.nodes {
			if !n.gone && !n.seen.SlotsOnly {
				s.largest = max(s.largest, n.gpus)
			}
		}
	}
	return s.largest
}
