package tenant

import (
	"sync/atomic"
	"time"
)

// A store that does not answer leaves open what other servers have changed. What was known holds on for a while: revoking takes effect within a second
// unless the store is down, and within knownFor whatever happens.
const (
	knownFor   = 5 * time.Minute // tokens that were known go on working
	unknownFor = 5 * time.Second // then a token that is not known is no longer taken for one that there is not
)

// heard is when the store was last read to its newest change, as long as somebody follows its changes.
type heard struct {
	at atomic.Pointer[time.Time] // has a monotonic reading; nil = nobody follows, and what is known counts for ever
}

func (h *heard) begin() {
	now := time.Now()
	h.at.Store(&now)
}

func (h *heard) end() { h.at.Store(nil) }

// again notes that the store has answered.
func (h *heard) again() {
	if h.at.Load() != nil {
		h.begin()
	}
}

// judge says whether what a look at a token has given can be believed at a moment. What is certain for good, such as that it was revoked, always is.
func (h *heard) judge(err error, at time.Time) error {
	last := h.at.Load()
	if last == nil {
		return err
	}
	if silent := at.Sub(*last); err == nil && silent > knownFor || err == ErrInvalidToken && silent > unknownFor {
		return ErrUnheard
	}
	return err
}
