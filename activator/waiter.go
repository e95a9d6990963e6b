package activator

import (
	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Waiter is one request that waits for a lease. It gets exactly one answer, and keeps its place until then or until Leave.
type Waiter struct {
	owner *Activator
	ready chan struct{}
	place dispatch.Waiter
	lease *Lease // to be granted
}

// Ready is closed when the answer is there.
func (w *Waiter) Ready() <-chan struct{} { return w.ready }

// Answer gives the lease, or the *Refusal; exactly one of both. It is valid only after Ready is closed.
func (w *Waiter) Answer() (*Lease, error) {
	if l, err := w.place.Answer(); l == nil {
		return nil, err
	}
	return w.lease, nil
}

// Leave gives the place up at once. A lease that was granted at the same moment goes back. It may be called at any time,
// and more than once; after the caller has taken the lease from Answer it must not be called. Ready is not closed by it.
func (w *Waiter) Leave() {
	a := w.owner
	a.leasing.Lock()
	now := a.now()
	if !a.dispatcher.Leave(now, &w.place) {
		if l, _ := w.place.Answer(); l != nil {
			a.dispatcher.Release(now, l)
		}
	}
	a.finishLeasing(now)
}

// Outlook says what can be told to the one who waits.
func (w *Waiter) Outlook() fleet.Outlook {
	a := w.owner
	a.leasing.Lock()
	defer a.leasing.Unlock()
	return a.dispatcher.Outlook(a.now(), w.place.Model())
}

func (w *Waiter) answered() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}
