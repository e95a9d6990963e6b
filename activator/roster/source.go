package roster

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// places reports whether the source is believed for existence.
func (s *source) places() bool { return s.nodes || s.slots || s.supervises != nil }

// isSupervisor reports whether the source is the supervisor of a slot, by its name: it may speak before its slot is listed.
func (s *source) isSupervisor() bool { return strings.HasPrefix(s.name, fleet.SlotSource) }

// newer reports whether a version is newer than the last one, and takes it.
func (s *source) newer(term, seq uint64) bool {
	if term < s.term || term == s.term && seq <= s.seq {
		return false
	}
	s.term, s.seq = term, seq
	return true
}

// source gives the source of that name, making it known.
func (r *sources) source(now time.Duration, name string) *source {
	src := r.named[name]
	if src == nil {
		src = &source{name: name, since: now}
		r.named[name] = src
		r.byName = insert(r.byName, src)
		if name == ProbeSource {
			r.probe = src
		}
	}
	return src
}

// insert enters a source in a list that is in the order of names.
func insert(list []*source, src *source) []*source {
	at, _ := slices.BinarySearchFunc(list, src.name, func(s *source, name string) int { return strings.Compare(s.name, name) })
	return slices.Insert(list, at, src)
}

func without(list []*source, src *source) []*source {
	return slices.DeleteFunc(list, func(s *source) bool { return s == src })
}

// supervised gives the slot that a source supervises; known is false where the name is that of no supervisor. A nil slot is gone.
func (r *sources) supervised(name string) (s *Slot, known bool) {
	if src := r.named[name]; src != nil && src.supervises != nil {
		return src.supervises, true
	}
	return nil, r.gone.is[name]
}

// lose notes that a source cannot be reached. What it said last stays true, and nothing that it lists is taken away because of what is not
// heard meanwhile.
func (r *Roster) lose(now time.Duration, name string, why error) {
	if _, known := r.supervised(name); known && r.named[name] == nil {
		return
	}
	src := r.source(now, name)
	before := src.lost
	src.lost = why
	if before == nil {
		src.since = now
		r.lost = insert(r.lost, src)
	}
	r.news = append(r.news, News{Source: name, Lost: why, Again: before != nil && errors.Is(before, fleet.ErrDenied) == errors.Is(why, fleet.ErrDenied)})
	r.stands(src)
}

// found notes that a source speaks.
func (r *Roster) found(now time.Duration, src *source) {
	if src.lost == nil {
		return
	}
	r.news = append(r.news, News{Source: src.name, After: now - src.since})
	src.lost, src.since = nil, now
	r.lost = without(r.lost, src)
	r.stands(src)
}

// stands tells that a source stands otherwise.
func (r *Roster) stands(src *source) {
	if s := src.supervises; s != nil {
		r.changed(Change{Kind: SlotSeen, Slot: s})
	} else {
		r.changed(Change{Kind: Reachability})
	}
	for _, s := range src.slotList {
		if s.supervisor == src {
			r.changed(Change{Kind: SlotSeen, Slot: s})
		}
	}
}

// TakeNews gives the news of sources since the last call.
func (r *sources) TakeNews() []News {
	n := r.news
	r.news = nil
	return n
}

// Sources tells how each source stands that has spoken, or was found lost; in the order of their names.
func (r *sources) Sources() []fleet.SourceStatus {
	var all []fleet.SourceStatus
	for _, s := range r.byName {
		st := fleet.SourceStatus{Name: s.name, Since: r.epoch.Add(s.since)}
		st.Awaited = !r.heardAll && s.supervises != nil && s.supervises.awaited && s.supervises.earlier
		if s.lost != nil {
			st.Lost, st.Denied = s.lost.Error(), errors.Is(s.lost, fleet.ErrDenied)
		}
		all = append(all, st)
	}
	return all
}

// PlacesLost gives why a source cannot be reached that is believed for places; nil = all can.
func (r *sources) PlacesLost() error {
	for _, s := range r.lost {
		mayPlace := s.places() || !s.spoken && s.name != ProbeSource && !slices.Contains(r.liveness, s)
		if mayPlace && s.supervises == nil && !s.isSupervisor() {
			return s.lost
		}
	}
	return nil
}

// forget drops a source whose slot is gone. Its name is remembered, so that a late word of it is ignored.
func (r *sources) forget(src *source) {
	delete(r.named, src.name)
	r.byName, r.lost = without(r.byName, src), without(r.lost, src)
	r.gone.add(src.name)
}

// NodesLost reports whether a source that lists nodes cannot be reached.
func (r *sources) NodesLost() bool {
	return slices.ContainsFunc(r.listers, func(s *source) bool { return s.lost != nil })
}
