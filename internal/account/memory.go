package account

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
)

// Why there is no memory for a request.
var (
	ErrShare = errors.New("the organisation holds its share of the memory for bodies")
	ErrFull  = errors.New("the memory for bodies is taken")
)

// memory is what all organisations hold of it.
type memory struct {
	size    int64
	used    atomic.Int64
	answers atomic.Int64 // of used
	holders atomic.Int64 // organisations that hold something
	coming  atomic.Int64 // bytes of requests that were ended for them, and have not given them back yet

	overShare, full, reclaimed *metrics.Counter // requests

	mu    sync.Mutex    // guards freed
	freed chan struct{} // closed when something is given back; nil = nobody waits
	awake atomic.Bool   // freed is not nil
}

// take takes n bytes for a request that then has sum. What does not fit is not taken for a moment either: it would be in the way of what does, and nobody
// would be woken when it is given back.
func (m *memory) take(o *Org, n, sum int64) error {
	for {
		held, used, holders := o.held.Load(), m.used.Load(), m.holders.Load()
		if held == 0 {
			holders++
		}
		if err := m.fits(used+n, held+n, sum, holders); err != nil {
			return err
		}
		if m.used.CompareAndSwap(used, used+n) {
			m.hold(o, n)
			return nil
		}
	}
}

func (m *memory) add(o *Org, n int64) {
	m.used.Add(n)
	m.hold(o, n)
}

func (m *memory) hold(o *Org, n int64) {
	held := o.held.Add(n)
	switch {
	case n > 0 && held == n:
		m.holders.Add(1)
	case n < 0 && held == 0:
		m.holders.Add(-1)
	}
}

// fits says whether used bytes may be in use, held of them by one organisation, sum by one request, while so many organisations hold something.
func (m *memory) fits(used, held, sum, holders int64) error {
	plenty, share, most := m.size/2, m.share(holders), m.size
	if sum > large {
		plenty, share, most = plenty/4*3, share/4*3, most/8*7
	}
	switch {
	case used <= plenty:
		return nil
	case held > share && held > sum:
		return ErrShare
	case used > most:
		return ErrFull
	}
	return nil
}

// share is what each organisation may hold once memory is short. One part is kept for the organisation that is to come.
func (m *memory) share(holders int64) int64 { return m.size / (holders + 1) }

func (m *memory) give(o *Org, n int64) {
	m.add(o, -n)
	m.wake()
}

// wake has all who wait look again.
func (m *memory) wake() {
	if !m.awake.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.freed != nil {
		close(m.freed)
		m.freed = nil
		m.awake.Store(false)
	}
}

// wait gives a channel that is closed when something is given back.
func (m *memory) wait() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.freed == nil {
		m.freed = make(chan struct{})
		m.awake.Store(true)
	}
	return m.freed
}
