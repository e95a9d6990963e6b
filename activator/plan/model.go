package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const defaultCapacity = 64 // leases on one instance whose model names no max_concurrency

// model is one model as the planner knows it.
type model struct {
	*fleet.Model
	index     int
	capacity  int // leases that one instance launched now may have
	pool      *pool
	unlisted  bool // not in the config: its instances go once nobody waits for them
	instances []*instance
	nodes     []string // where it has run: its weights may be there
	awake     average  // instances that held GPUs of late
	spared    fleet.Spared

	waiting, inflight int           // over all dispatchers, as last reported
	oldest            time.Duration // since when the first waits; valid while waiting > 0
	waited            float64       // seconds that its requests have waited, all together, until waitedAt
	waitedAt          time.Duration
	asked             bool          // it has had a request
	idleSince         time.Duration // valid once asked and nothing waits or is in flight
	lastDemand        time.Duration // when something was last reported waiting
	service           time.Duration

	desired   fleet.Desired
	askedIn   uint64 // the step in which the policy was asked last
	stale     bool   // the policy must be asked again
	reviewAt  time.Duration
	heldUntil time.Duration // by the operator; 0 = not held
	stopped   bool          // by the operator: until the next request nothing but demand starts it

	short     int // instances wanted for which there is no room
	shortFrom time.Duration
	rank      int           // its place among those who wait for room; 0 = none
	search    bool          // all places are to be looked at for what it lacks, not only those where something was freed
	searching bool          // and that is so in this round
	drainAt   time.Duration // short: when it may drain the busy ones of the room that was best
	readyIn   estimate      // short: what was estimated then
	best      place         // short: where that room was

	impossibleUntil time.Duration // the back end has said that no node can hold it; 0 = it has not

	failures     int // starts that failed in a row, and were not the fault of a place
	retryAt      time.Duration
	suspect      string // the place where its last start failed: another is tried before the model is to blame
	suspectUntil time.Duration
	causes       map[fleet.Cause]int
	lastFailure  string // for operators

	queued    queued
	outlook   protocol.Outlook
	outlookAt time.Duration
	starts    past
	resumes   past
	parkings  past

	timer timer
	dirty bool // listed in state.dirty
}

// estimate is a moment that is expected, as far as one is.
type estimate struct {
	at    time.Duration
	known bool
}

// dedicated reports whether the model's instances are placed on nodes by the back end.
func (m *model) dedicated() bool { return m.pool.Name == dedicatedPool }

// count gives the number of its instances for which something is true.
func (m *model) count(is func(*instance) bool) int {
	n := 0
	for _, i := range m.instances {
		if is(i) {
			n++
		}
	}
	return n
}

// hot gives the number of its ready instances.
func (m *model) hot() int {
	return m.count(func(i *instance) bool { return i.State == fleet.Ready })
}

// pending gives the number of its instances that become ready, reserved ones included.
func (m *model) pending() int {
	return m.count(func(i *instance) bool { return i.reserved != nil || i.activates() })
}

// asleep gives the number of those that are parked, or being parked, and not about to be resumed.
func (m *model) asleep() int {
	return m.count(func(i *instance) bool {
		return i.reserved == nil && (i.State == fleet.Asleep || i.State == fleet.Parking)
	})
}

// homes gives the number of its instances that have a home.
func (m *model) homes() int { return m.count(func(i *instance) bool { return i.at != nil }) }

// anyResumable reports whether one of its instances could be resumed.
func (m *model) anyResumable() bool { return slices.ContainsFunc(m.instances, (*instance).resumable) }

// going gives the number of those that hold GPUs and are about to give them back for good.
func (m *model) going() int {
	return m.count(func(i *instance) bool {
		return i.leaving() && i.State != fleet.Parking && (i.stay == holdsGPU || i.at == nil)
	})
}

// state gives the state of the whole model.
func (m *model) state() string {
	switch {
	case m.hot() > 0:
		return "hot"
	case m.pending() > 0:
		return "starting"
	case m.asleep() > 0:
		return "parked"
	default:
		return "cold"
	}
}

// held reports whether an operator holds it hot.
func (m *model) held(now time.Duration) bool { return m.heldUntil > now }

// urgency gives the moment since which the model has waited for room.
func (m *model) urgency() time.Duration {
	if m.waiting > 0 {
		return m.oldest
	}
	return m.shortFrom
}

// addWaiting adds up what requests have waited since the last call.
func (m *model) addWaiting(now time.Duration) {
	m.waited += float64(m.waiting) * (now - m.waitedAt).Seconds()
	m.waitedAt = now
}
