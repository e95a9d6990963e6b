package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	backoffFirst   = 2 * time.Second
	backoffLongest = 5 * time.Minute
	avoidFirst     = 30 * time.Second // a place that is to blame gets no launch for so long, then twice as long
	avoidLongest   = 10 * time.Minute
	suspectFor     = 30 * time.Second // so long a model keeps away from the place where its last start failed
)

// avoids reports whether nothing of the model is placed there for now.
func (m *model) avoids(now time.Duration, s *site) bool {
	return now < s.trouble.avoidUntil || m.suspect == s.id && now < m.suspectUntil
}

// blame counts a failure. The place is suspected first, and the model only when another place fails too, or when there is no other. An engine that had
// been ready has not failed to start: one request may have been the end of it, and nobody else is refused for that. No place is known of one that was
// adopted where none had room for it.
func (l *lifecycle) blame(now time.Duration, i *instance, cause fleet.Cause, why string) {
	served := i.served && (i.State == fleet.Ready || i.State == fleet.Draining)
	m := i.m
	if m.causes == nil {
		m.causes = make(map[fleet.Cause]int)
	}
	m.causes[cause]++
	m.lastFailure = fleet.Failure{At: l.at(now), Instance: i.ID, Cause: cause, Reason: why}
	if i.at != nil {
		m.lastFailure.Node = i.at.common().node
		if _, ok := i.at.(*slot); ok {
			m.lastFailure.Slot = i.at.common().id
		}
	}
	m.search = true
	l.reconsider(m)
	l.tell(now, fleet.Event{Kind: fleet.EventFailed, Model: m.ID, N: 1, From: i.from})
	placed := i.at != nil && i.at.common().id != "" && m.GPUs > 0
	elsewhere := placed && l.elsewhere(now, m, i.at)
	switch {
	case cause == fleet.CausePlace && (elsewhere || placed && l.another(now, m, i.at)):
		l.avoid(now, i.at, why)
		return
	case elsewhere && (m.suspect == "" || m.suspect == i.at.common().id):
		m.suspect, m.suspectUntil = i.at.common().id, now+suspectFor
		return
	}
	m.suspect = ""
	if served {
		m.deaths++
		l.delay(now, m, m.deaths)
		return
	}
	l.backOff(now, m)
}

// backOff counts a start that has failed, and delays the model's next one.
func (l *lifecycle) backOff(now time.Duration, m *model) {
	m.failures++
	l.delay(now, m, m.failures)
}

// delay delays the model's next start after so many that came to nothing: exponentially, with jitter, capped.
func (l *lifecycle) delay(now time.Duration, m *model, times int) {
	delay := min(backoffFirst<<min(times-1, 20), backoffLongest)
	m.retryAt = now + delay/2 + time.Duration(float64(delay/2)*l.jitter())
}

// avoid keeps launches away from a place for a while.
func (l *lifecycle) avoid(now time.Duration, at place, why string) {
	t := &at.common().trouble
	t.avoidUntil = now + min(avoidFirst<<min(t.failures, 10), avoidLongest)
	t.failures++
	t.why = why
	l.unshown.place(at)
	l.troubled = append(l.troubled, Trouble{Place: at.common().id, Node: at.common().node, Why: why, Until: l.at(t.avoidUntil)})
}

// succeeded notes that an instance has become ready: its place is in order, and if another was suspected, that one is to blame.
func (l *lifecycle) succeeded(now time.Duration, i *instance) {
	if i.at != nil {
		i.at.common().trouble = trouble{}
		l.unshown.place(i.at)
	}
	if i.m.suspect == "" {
		return
	}
	if at := l.placeOf(i.m.suspect); at != nil && at != i.at {
		l.avoid(now, at, "an engine of "+i.Model+" failed to start there, and started elsewhere")
	}
	i.m.suspect = ""
}

func (l *lifecycle) placeOf(id string) place {
	if s := l.slotOf[id]; s != nil {
		return s
	}
	if n := l.nodeOf[id]; n != nil {
		return n
	}
	return nil
}

// another reports whether the model could get another place: one where others must make room first, or a slot that is to come.
func (l *lifecycle) another(now time.Duration, m *model, but place) bool {
	if m.dedicated() {
		return slices.ContainsFunc(l.nodes, func(n *node) bool { return place(n) != but && !m.avoids(now, &n.site) && n.fits(m.GPUs) })
	}
	if q := m.pool; m.GPUs <= q.GPUsPerSlot && q.existing() < q.Slots.Max {
		return true
	}
	return slices.ContainsFunc(m.pool.slots, func(s *slot) bool {
		return place(s) != but && s.takesLaunches() && !m.avoids(now, &s.site) && s.fits(m.GPUs)
	})
}

// elsewhere reports whether another place has room for the model now.
func (l *lifecycle) elsewhere(now time.Duration, m *model, but place) bool {
	if m.dedicated() {
		for _, n := range l.nodes {
			if place(n) != but && n.takesInstances() && !m.avoids(now, &n.site) && n.left(nil) >= m.GPUs {
				return true
			}
		}
		return false
	}
	for _, s := range m.pool.slots {
		if place(s) == but || s.Pending || m.avoids(now, &s.site) || !s.fits(m.GPUs) {
			continue
		}
		for gpu := 0; gpu+m.GPUs <= s.GPUs; gpu += align(m.GPUs) {
			if !s.taken(gpu, m.GPUs) && !s.reservedBefore(gpu, m.GPUs, nil) {
				return true
			}
		}
	}
	return false
}
