package console

import (
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// nodeRow is one node. It is comparable, so that an unchanged one is not drawn again.
type nodeRow struct {
	ID, Name, Pool string
	State          string // ready, ineligible, draining, closing, unreachable, avoided, gone
	Why            string
	GPUs           int
	Awake          int // GPUs that an engine of ours holds
	Others         int // that somebody else holds
	Slots          int
	Dedicated      bool // instances may be placed there that are in no slot
	node           string
}

// Free gives the GPUs that nobody holds.
func (n nodeRow) Free() int { return max(n.GPUs-n.Awake-n.Others, 0) }

// nodesOf gives every node: those that the back end tells of, or where it tells of none, those that slots are on.
func nodesOf(s *state) []*nodeRow {
	var all []*nodeRow
	byID := map[string]*nodeRow{}
	add := func(n *nodeRow) {
		n.ID = elementID("node-row", n.node)
		byID[n.node] = n
		all = append(all, n)
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		row := &nodeRow{node: n.ID, Name: n.Name, Pool: n.Pool, State: stateOfPlace(n.Condition), GPUs: n.GPUs, Awake: n.Held, Others: n.Used, Dedicated: !n.SlotsOnly}
		if row.Name == "" {
			row.Name = n.ID
		}
		switch {
		case n.Gone:
			row.State = "gone"
		case n.AvoidUntil.After(s.At):
			row.State, row.Why = "avoided", n.AvoidWhy
		}
		add(row)
	}
	told := len(all) > 0
	for i := range s.Pools {
		for k := range s.Pools[i].Slots {
			slot := &s.Pools[i].Slots[k]
			n := byID[slot.Node]
			switch {
			case slot.Node == "" || n == nil && told:
				continue
			case n == nil:
				n = &nodeRow{node: slot.Node, Name: slot.Node, Pool: s.Pools[i].Pool.Name, State: stateOfPlace(slot.Condition)}
				add(n)
			}
			n.Slots++
			if told {
				n.Others = max(n.Others-slot.GPUs, 0)
			} else {
				n.GPUs += slot.GPUs
			}
			for _, o := range slot.Occupants {
				if o != "" {
					n.Awake++
				}
			}
		}
	}
	return all
}

// stateOfPlace is the condition of a node or slot in one word.
func stateOfPlace(c fleet.Condition) string {
	if c == fleet.PlaceHealthy {
		return "ready"
	}
	return string(c)
}

func nodeRows(s *state, find finding) []part {
	all := nodesOf(s)
	slices.SortFunc(all, func(a, b *nodeRow) int { return strings.Compare(a.Name, b.Name) })
	var parts []part
	for _, n := range all {
		if find.has(n.Name, n.node, n.Pool, n.State) {
			parts = append(parts, part{n.ID, "", *n})
		}
	}
	return parts
}
