package plan

import (
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// told is what a planner was told of places.
type told struct {
	complete map[string]bool            // sources that have given a complete list
	lost     map[string]bool            // sources that are lost
	nodes    map[string]fleet.Condition // as listed
	slots    map[string]fleet.Slot      // as listed
	own      map[string]fleet.Condition // of slots, by their supervisors
	since    map[string]time.Duration   // slots: listed as running
	never    map[string]bool            // models that were said never to fit
}

func newTold() *told {
	return &told{
		complete: make(map[string]bool), lost: make(map[string]bool), nodes: make(map[string]fleet.Condition),
		slots: make(map[string]fleet.Slot), own: make(map[string]fleet.Condition), since: make(map[string]time.Duration),
		never: make(map[string]bool),
	}
}

func (k *told) take(h *history, o *fleet.Observation) {
	if h.Logs() {
		h.note("told by %s, number %d of %s, complete %v, lost %v: nodes %v, slots %v, %d instances", o.Source, o.Seq, o.At.Sub(h.epoch), o.Complete, o.Lost, o.Nodes, o.Slots, len(o.Instances))
	}
	if k.lost[o.Source] = o.Lost != nil; o.Lost != nil {
		return
	}
	k.complete[o.Source] = k.complete[o.Source] || o.Complete
	if strings.HasPrefix(o.Source, fleet.SlotSource) {
		for _, t := range o.Slots {
			k.own[t.ID] = t.Condition
		}
		return
	}
	if o.Source != h.backend.lister() {
		return
	}
	if o.Complete {
		clear(k.nodes)
		clear(k.slots)
	}
	for _, n := range o.Nodes {
		k.nodes[n.ID] = n.Condition
	}
	for _, t := range o.Slots {
		k.slots[t.ID] = t
		if _, before := k.since[t.ID]; !before && !t.Pending {
			k.since[t.ID] = h.now
		}
	}
}
