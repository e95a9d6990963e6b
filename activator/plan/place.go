package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// place is where instances live: a slot, whose GPUs are numbered, or a node, whose GPUs are counted.
type place interface {
	common() *site
	fits(gpus int) bool         // so many GPUs could be had there by making ours go
	free(i *instance) bool      // what i has reserved there is free, and nobody comes before it
	hold(i *instance)           // i holds its GPUs from now on
	release(i *instance)        // and no longer
	describe(gpu, n int) string // n of its GPUs, for people
}

// site is what both kinds of place have in common.
type site struct {
	id        string
	node      string // its machine
	pool      *pool
	condition fleet.Condition
	gone      bool
	givenBack bool        // a slot: likewise, soon
	residents []*instance // who lives there, awake or parked; on a node: who is counted there
	reserved  []*instance // those with a reservation, oldest first
	trouble   trouble
	number    uint64 // in the order in which places were entered
	freed     bool   // listed in state.freed
}

// trouble is what has gone wrong at a place.
type trouble struct {
	failures   int // in a row, that were the place's own
	avoidUntil time.Duration
	why        string
}

// takesLaunches reports whether instances may be placed there, even if they must wait until it is there.
func (s *site) takesLaunches() bool {
	return !s.gone && !s.givenBack && s.condition.TakesLaunches()
}

// settle enters the instance among those who live there.
func (s *site) settle(i *instance) {
	if !slices.Contains(s.residents, i) {
		s.residents = append(s.residents, i)
	}
}

func (s *site) leave(i *instance) { s.residents = without(s.residents, i) }

// before gives the reservations that come before that of the instance; all for one that has none.
func (s *site) before(i *instance) []*instance {
	if at := slices.Index(s.reserved, i); at >= 0 {
		return s.reserved[:at]
	}
	return s.reserved
}

// without gives a list without one of its instances; it takes the list apart.
func without(list []*instance, i *instance) []*instance {
	if at := slices.Index(list, i); at >= 0 {
		return slices.Delete(list, at, at+1)
	}
	return list
}

// Trouble says that a place is avoided, for the operator.
type Trouble struct {
	Place, Node string
	Why         string
	Until       time.Time
}
