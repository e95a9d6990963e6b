package simulate

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// waitedFor is what those who wait for a model wait for: what its engines do at the time.
type waitedFor int

const (
	forWake  waitedFor = iota // one is being resumed
	forStart                  // else one is being started
	forPlace                  // else all that are ready are full, or are let go and serve whom they have
	forPark                   // else one is being parked, and cannot be resumed sooner
	forRoom                   // else the GPUs of those that are parked are in use, or there is none and no room for one
	reasons
)

// reasonsWaited is how long was waited for each.
type reasonsWaited [reasons]time.Duration

// waitClock adds up how long those of one model would have waited for each, had one waited all the time.
type waitClock struct {
	passed  reasonsWaited
	until   time.Duration
	reason  waitedFor
	engines map[fleet.State]int
}

func newWaitClocks(models int) []waitClock {
	clocks := make([]waitClock, models)
	for m := range clocks {
		clocks[m] = waitClock{reason: forRoom, engines: make(map[fleet.State]int)}
	}
	return clocks
}

// at brings the clock up to a moment.
func (c *waitClock) at(now time.Duration) *reasonsWaited {
	c.passed[c.reason] += now - c.until
	c.until = now
	return &c.passed
}

// changed notes that an engine has passed from one state to another; "" = it is not there.
func (c *waitClock) changed(now time.Duration, from, to fleet.State) {
	c.at(now)
	c.engines[from]--
	c.engines[to]++
	switch {
	case c.engines[fleet.Resuming] > 0:
		c.reason = forWake
	case c.engines[fleet.Starting] > 0:
		c.reason = forStart
	case c.engines[fleet.Ready] > 0:
		c.reason = forPlace
	case c.engines[fleet.Parking] > 0:
		c.reason = forPark
	default:
		c.reason = forRoom
	}
}

// since gives what was waited for since the clock showed that.
func (c *waitClock) since(now time.Duration, began *reasonsWaited) reasonsWaited {
	waited := *c.at(now)
	for r := range waited {
		waited[r] -= began[r]
	}
	return waited
}

// enter has an engine pass to another state; "" = it is gone.
func (s *simulation) enter(e *engine, to fleet.State) {
	s.clocks[e.model].changed(s.now, e.State, to)
	e.State = to
}

// WaitedFor is how many of the hours waited were waited for what.
type WaitedFor struct {
	Wake  float64 `json:"wake"`  // a parked engine is being resumed
	Start float64 `json:"start"` // one is being started
	Place float64 `json:"place"` // those that are ready are full, or are let go and serve whom they have
	Park  float64 `json:"park"`  // one is being parked, and cannot be resumed sooner
	Room  float64 `json:"room"`  // GPUs in use by others, who serve or are about to leave them, or whatever comes after the trace
}

func (r *reasonsWaited) hours() WaitedFor {
	return WaitedFor{Wake: r[forWake].Hours(), Start: r[forStart].Hours(), Place: r[forPlace].Hours(), Park: r[forPark].Hours(), Room: r[forRoom].Hours()}
}
