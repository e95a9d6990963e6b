package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// BreakerState is what an instance's circuit breaker allows.
type BreakerState int

// The states of a breaker.
const (
	BreakerClosed BreakerState = iota
	BreakerHalfOpen
	BreakerOpen
)

// String gives the state as it is shown.
func (b BreakerState) String() string { return [...]string{"closed", "half-open", "open"}[b] }

// seat is one instance as a dispatcher knows it: a share of its slots, and the leases on them. It outlives its share while
// leases live.
type seat struct {
	id, addr  string
	queue     *queue
	slots     int // 0 = revoked
	leases    int
	spare     bool
	breaker   BreakerState
	trial     *Lease // half-open: its one lease
	from      fleet.Tier
	began     time.Duration // its activation
	readyAt   time.Duration
	idleSince time.Duration
	hash      uint64
	table     uint64 // the last table that listed it
}

// room reports whether one more lease is allowed.
func (s *seat) room(d *Dispatcher) bool {
	free := s.leases < s.slots || d.unsound.overlease && s.slots > 0 && s.leases == s.slots
	return free && (s.breaker == BreakerClosed || s.breaker == BreakerHalfOpen && s.trial == nil || d.unsound.breaker)
}

// before orders two seats with room.
func (s *seat) before(t *seat, affinity string) bool {
	if s.spare != t.spare {
		return t.spare
	}
	if affinity == "" {
		return s.leases < t.leases
	}
	key := fnv(affinity)
	return mix(s.hash^key) > mix(t.hash^key)
}

// fnv is FNV-1a.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finaliser of splitmix64: every bit of the sum depends on every bit of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
