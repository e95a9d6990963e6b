package plan

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// division is how the slots of one instance are to be divided among the dispatchers.
type division struct {
	i         *instance
	standings []standing
	targets   []int
}

// divided says how the slots of an instance are to be divided. What nobody has goes to who should have it first. Where somebody lacks slots, others give some: those who can serve
// more, of what they have free here, until both are even; else those who have more of what they need. Otherwise each keeps what it has, so that shares move no
// more often than they must.
func (s *state) divided(i *instance, targets []int) []int {
	if len(s.peers) == 1 && s.peers[0].known && !s.peers[0].lapsed {
		return append(targets[:0], i.shareable())
	}
	v := division{i, s.standings(i.m), append(targets[:0], make([]int, len(s.peers))...)}
	lacking := slices.ContainsFunc(v.standings, func(st standing) bool { return st.lacks() })
	left, owed := i.shareable(), 0
	for n := range v.targets {
		switch due := i.holds[n].due; {
		case v.standings[n].able || !lacking:
			v.targets[n] = due
			left -= due
		default: // one that is not heard has them in use for long, maybe
			owed += due
		}
	}
	for to := v.first(); left > 0 && to >= 0; left, to = left-1, v.first() {
		v.give(to, left > owed)
	}
	for ; left < 0; left++ {
		v.take(v.donor(func(int) bool { return true }))
	}
	for k := i.shareable(); lacking && k > 0 && v.even(); k-- {
	}
	return v.targets
}

// standings says how the dispatchers stand with a model. It is made once in a step, and kept true while shares change.
func (s *state) standings(m *model) []standing {
	if m.stoodIn == s.stepped && len(m.standings) == len(s.peers) {
		return m.standings
	}
	m.stoodIn, m.standings = s.stepped, m.standings[:0]
	for _, d := range s.peers {
		waits := d.demands[m.index].Waiting
		m.standings = append(m.standings, standing{able: d.known && !d.lapsed, waits: waits, since: d.since[m.index], needs: waits})
	}
	for _, i := range m.instances {
		if i.State != fleet.Ready {
			continue
		}
		moving := s.isMoving(i)
		for n := range m.standings {
			m.standings[n].add(&i.holds[n], moving)
		}
	}
	return m.standings
}

// isMoving reports whether somebody has not acknowledged yet what was taken from it or given to it. Once all have, what is promised waits for leases to end.
func (s *state) isMoving(i *instance) bool {
	for n, d := range s.peers {
		if d.known && !d.lapsed && !i.holds[n].settled() {
			return true
		}
	}
	return false
}

// even moves a slot to who should have one first; false = nobody can give one.
func (v *division) even() bool {
	to := v.first()
	if to < 0 {
		return false
	}
	st, used := &v.standings[to], false
	from := v.donor(func(n int) bool { return n != to && v.targets[n] > v.i.holds[n].leases })
	if from < 0 || v.standings[from].slack() < max(st.slack()+2, 1) {
		from, used = v.donor(func(n int) bool { return n != to && v.standings[n].free == 0 }), true
		if from < 0 || !st.outlasts(&v.standings[from]) {
			return false
		}
	}
	v.take(from)
	v.give(to, !used)
	return true
}

// first gives who gets the next slot; -1 = nobody can. Who waits beside free ones here is helped by others at best.
func (v *division) first() int {
	best := -1
	for n := range v.standings {
		st, h := &v.standings[n], &v.i.holds[n]
		useless := st.waits > 0 && h.settled() && h.slots() > h.leases
		if st.able && !useless && (best < 0 || st.before(&v.standings[best])) {
			best = n
		}
	}
	return best
}

// donor gives who gives a slot, the last to get one of those with a slot here that may; -1 = nobody has.
func (v *division) donor(may func(n int) bool) int {
	best := -1
	for n := range v.standings {
		if v.targets[n] > 0 && may(n) && (best < 0 || v.standings[best].before(&v.standings[n])) {
			best = n
		}
	}
	return best
}

// take takes a slot from a dispatcher.
func (v *division) take(from int) {
	v.targets[from]--
	v.standings[from].has--
	if v.targets[from] >= v.i.holds[from].leases {
		v.standings[from].free--
	}
}

// give promises a dispatcher a slot, which comes as soon as all have heard, or when somebody's lease has ended.
func (v *division) give(to int, comes bool) {
	v.targets[to]++
	v.standings[to].has++
	if comes && v.targets[to] > v.i.holds[to].leases {
		v.standings[to].free++
	}
}
