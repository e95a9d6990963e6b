package nomad_test

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// picture puts together what sources tell: each one's last complete list, with what has changed since.
type picture map[string]fleet.Observation

// take takes what a source tells, and gives all that it has told so far as one list.
func (p picture) take(o fleet.Observation) fleet.Observation {
	before := p[o.Source]
	if o.Lost != nil {
		return o
	}
	if !o.Complete {
		at := o.At
		changed := o
		o = before
		o.Source, o.At, o.Complete = changed.Source, at, false
		o.Nodes = merged(before.Nodes, changed.Nodes, func(n fleet.Node) string { return n.ID })
		o.Slots = merged(before.Slots, changed.Slots, func(s fleet.Slot) string { return s.ID })
		o.Instances = merged(before.Instances, changed.Instances, func(s fleet.Sighting) string { return s.ID })
	}
	p[o.Source] = o
	return o
}

// merged is a list with what has changed in place of what was there.
func merged[T any](before, changed []T, id func(T) string) []T {
	list := slices.DeleteFunc(slices.Clone(before), func(t T) bool {
		return slices.ContainsFunc(changed, func(c T) bool { return id(c) == id(t) })
	})
	return append(list, changed...)
}
