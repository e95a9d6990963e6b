package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// pool is a set of slots, and what has been used of it.
type pool struct {
	fleet.Pool
	largest int // GPUs of the largest slot seen; of one whose slots come and go, of those that are there
	awake   int // GPUs held now
	held    float64
	at      time.Duration

	added   past          // what adding a slot took
	refused int           // slots in a row that came to nothing
	retryAt time.Duration // no slot is added before
}

// pool gives the pool of that name, making it known.
func (p *Planner) pool(name string) *pool {
	for _, q := range p.pools {
		if q.Name == name {
			return q
		}
	}
	q := &pool{Pool: fleet.Pool{Name: name}, largest: -1}
	p.pools = append(p.pools, q)
	return q
}

// accrue adds up the GPU time held since the last call.
func (p *Planner) accrue(now time.Duration) {
	for _, q := range p.pools {
		q.held += float64(q.awake) * (now - q.at).Seconds()
		q.at = now
	}
}

// slot is one slot with what sits on each of its GPUs.
//
//	asked for ──► pending ──► open ──► dropping ──► gone
type slot struct {
	fleet.Slot
	source   *source       // nil = not seen yet
	lost     bool          // no longer listed: nothing new is placed there
	dropping bool          // it is given back: likewise
	asked    bool          // by this life of the planner
	askedAt  time.Duration // since when it is pending
	quietAt  time.Duration // since when nothing there is awake; valid while that is so
	acting   bool          // an act is on its way to the back end
	due      fleet.ActKind // the act that is to be ordered next
	dueAt    time.Duration
	tries    int
	why      string
	awake    []*instance // by GPU: who holds it; nil = free
	homes    []*instance // who lives there, awake or parked; on a node: who is counted there
	claims   []*instance // reservations, oldest first

	counted  bool // a node: its GPUs are counted, not numbered
	eligible bool // a node: it takes new work
	others   int  // a node: GPUs in use by others
}

// open reports whether instances may be placed there, even if they must wait until it is there.
func (s *slot) open() bool { return !s.lost && !s.dropping }

// quiet reports whether nothing there is awake, and nothing is about to be.
func (s *slot) quiet() bool {
	return len(s.claims) == 0 && !slices.ContainsFunc(s.homes, func(i *instance) bool { return i.housed })
}
