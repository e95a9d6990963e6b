package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// BreakerState is what an instance's circuit breaker allows.
type BreakerState int

// The states of a breaker.
const (
	BreakerClosed   BreakerState = iota
	BreakerHalfOpen              // it is tried by a request of our own
	BreakerOpen
)

// String gives the state as it is shown.
func (b BreakerState) String() string { return [...]string{"closed", "half-open", "open"}[b] }

// instance is one instance as a dispatcher knows it: a share of its slots, and the leases on them. It outlives its share while
// leases live.
type instance struct {
	id        string
	addr      string // "" = not known yet
	queue     int    // of its model, among the dispatcher's
	place     int    // among the dispatcher's instances
	gpus      int
	slots     int // 0 = revoked
	leases    int
	spare     bool
	unproven  bool // its engine has made no token since it was resumed
	breaker   BreakerState
	from      fleet.Tier
	began     time.Duration // its activation
	readyAt   time.Duration
	idleSince time.Duration
	hash      uint64
	table     uint64        // the last table that listed it
	unsettled bool          // it is in the dispatcher's list of those held otherwise than the last report says
	vouched   time.Duration // after expiry: its place has vouched for it until then
}

func newInstance(id string, queue int, now time.Duration) *instance {
	return &instance{id: id, queue: queue, hash: fnv(id), idleSince: now}
}

// hasRoom reports whether one more lease is allowed, and it is known where its requests would go.
func (i *instance) hasRoom() bool {
	return i.leases < i.slots && i.breaker == BreakerClosed && i.addr != ""
}

// preferredTo orders two instances with room.
func (i *instance) preferredTo(other *instance, affinity string) bool {
	if i.spare != other.spare {
		return other.spare
	}
	if affinity == "" {
		return i.leases < other.leases
	}
	key := fnv(affinity)
	return mix(i.hash^key) > mix(other.hash^key)
}

// held is what the instance has of this dispatcher: of a share that has expired, and that nobody vouches for, only what is leased. Whoever has given it may
// have given it to another since.
func (i *instance) held(now time.Duration, expired bool) protocol.Held {
	h := protocol.Held{Instance: i.id, Slots: i.slots, Leases: i.leases}
	if expired && i.vouched <= now {
		h.Slots = 0
	}
	if i.leases == 0 && i.slots > 0 {
		h.Idle = now - i.idleSince
	}
	return h
}
