package roster

import "slices"

// ProbeSource is the name of the source that asks engines itself.
const ProbeSource = "probe"

// source is one observer's name, and the version of its last word.
type source struct {
	name      string
	term, seq uint64
	nodes     bool // it lists nodes: it is believed for nodes, slots and dedicated instances
	slots     bool // it lists slots
	spoken    bool // it has given a complete list
	lost      bool // it cannot be reached
	why       string

	supervises *Slot // the slot of which it alone tells; nil = it is no supervisor
	list       uint64
	listed     []*Instance // as of its last complete list, and since
	slotList   []*Slot     // that it lists and does not supervise
	nodeList   []*Node
}

// places reports whether the source is believed for existence.
func (s *source) places() bool { return s.nodes || s.slots || s.supervises != nil }

// newer reports whether a version is newer than the last one, and takes it.
func (s *source) newer(term, seq uint64) bool {
	if term < s.term || term == s.term && seq <= s.seq {
		return false
	}
	s.term, s.seq = term, seq
	return true
}

// source gives the source of that name, making it known.
func (r *Roster) source(name string) *source {
	src := r.sources[name]
	if src == nil {
		src = &source{name: name}
		r.sources[name] = src
		if name == ProbeSource {
			r.probe = src
		}
	}
	return src
}

// supervised gives the slot that a source supervises; known is false where the name is that of no supervisor. A nil slot is gone.
func (r *Roster) supervised(name string) (s *Slot, known bool) {
	if src := r.sources[name]; src != nil && src.supervises != nil {
		return src.supervises, true
	}
	return nil, r.gone.is[name]
}

// lose notes that a source cannot be reached. What it said last stays true, and nothing that it lists is taken away because of what is not
// heard meanwhile.
func (r *Roster) lose(name, why string) {
	if _, known := r.supervised(name); known && r.sources[name] == nil {
		return
	}
	src := r.source(name)
	before := src.lost
	src.lost, src.why = true, why
	if s := src.supervises; s != nil {
		r.stopAwaiting(s)
		r.changed(Change{Kind: SlotSeen, Slot: s})
	}
	if !before && src.supervises == nil {
		r.changed(Change{Kind: Reachability})
	}
}

// found notes that a source speaks.
func (r *Roster) found(src *source) {
	if !src.lost {
		return
	}
	src.lost, src.why = false, ""
	if s := src.supervises; s != nil {
		r.changed(Change{Kind: SlotSeen, Slot: s})
	} else {
		r.changed(Change{Kind: Reachability})
	}
}

// forget drops a source whose slot is gone. Its name is remembered, so that a late word of it is ignored.
func (r *Roster) forget(src *source) {
	delete(r.sources, src.name)
	r.gone.add(src.name)
}

// nodesLost reports whether a source that lists nodes cannot be reached.
func (r *Roster) nodesLost() bool {
	return slices.ContainsFunc(r.listers, func(s *source) bool { return s.nodes && s.lost })
}
