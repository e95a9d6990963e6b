package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	countFirst, countMost = time.Second, 30 * time.Second // the pause between two questions grows with the doubt, from the one to the other
	countAgain            = time.Minute                   // until one is asked again who counts none: so says an engine, too, that has served nobody since its metrics were last read
)

// doubts are the instances on which somebody may have leases who is not heard: their engines are asked how many requests they serve.
type doubts struct {
	*state
	sources []string // that are to be asked
	timer   timer
}

func newDoubts(s *state) *doubts { return &doubts{state: s, timer: newTimer(func() {})} }

// resolve has the shares of the instances looked at of which nobody knows who has leases there, and finds out which sources to ask about them.
func (d *doubts) resolve(now time.Duration) {
	if len(d.doubted) > 0 && now < d.resolveAt {
		return
	}
	d.sources = d.sources[:0]
	next := alarm{now: now}
	d.doubted = slices.DeleteFunc(d.doubted, func(i *instance) bool {
		since, doubted := d.since(i)
		if i.doubted = doubted; doubted {
			d.ask(now, i, since, &next)
		}
		return !doubted
	})
	d.resolveAt = next.at
	d.alarms.set(&d.timer, &next)
}

// since gives the moment from which an engine that serves nobody has nobody's leases either; false = it is known who has some.
func (d *doubts) since(i *instance) (at time.Duration, doubted bool) {
	if d.instanceOf[i.ID] != i {
		return 0, false
	}
	if i.trust == adopted {
		return d.started + d.cfg.TTL, true
	}
	for n, o := range d.peers {
		if o.lapsed && i.holds[n].bound() > 0 && (!doubted || o.lapsedAt() < at) {
			at, doubted = o.lapsedAt(), true
		}
	}
	return at, doubted
}

func (d *doubts) ask(now time.Duration, i *instance, since time.Duration, next *alarm) {
	if now <= since {
		next.due(since + 1)
		return
	}
	d.mark(i.m)
	d.markShares(i)
	if longest := i.m.Timeouts.Total; longest > 0 {
		next.due(since + longest + 1)
	}
	source := ""
	if i.seen != nil && (i.State == fleet.Ready || i.State == fleet.Draining) {
		source = i.seen.CountedBy()
	}
	switch {
	case source == "":
		next.due(now + countFirst)
	case i.seen.Uncounted && now < i.seen.UncountedAt+countAgain:
		next.due(i.seen.UncountedAt + countAgain)
	default:
		next.due(now + min(max((now-since)/4, countFirst), countMost))
		if !slices.Contains(d.sources, source) {
			d.sources = append(d.sources, source)
		}
	}
}
