package activator

import (
	"sync"
	"sync/atomic"
	"time"
)

// proof is that an engine which was resumed is at work again: it has made a token since, for anybody. Nobody pays for the time before. Whoever sees
// a token first gives it: the supervisor, whose word comes with a table, or a caller's answer.
type proof struct {
	given atomic.Pointer[time.Time] // when; nil = not yet

	mu      sync.Mutex // guards what follows, and is held while it is told
	waiting map[*Lease]func(time.Time)
}

// givenAt gives the moment of the first token that was seen; false = none was yet.
func (p *proof) givenAt() (time.Time, bool) {
	if at := p.given.Load(); at != nil {
		return *at, true
	}
	return time.Time{}, false
}

// give takes the moment of a token, of which the first counts, and tells those who wait for it.
func (p *proof) give(at time.Time) {
	if p.given.Load() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given.Load() != nil {
		return
	}
	p.given.Store(&at)
	for _, f := range p.waiting {
		f(at)
	}
	p.waiting = nil
}

// tell has f called once the proof is given, at once if it is, unless the lease is untold before.
func (p *proof) tell(l *Lease, f func(time.Time)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, given := p.givenAt(); given {
		f(at)
		return
	}
	if p.waiting == nil {
		p.waiting = make(map[*Lease]func(time.Time))
	}
	p.waiting[l] = f
}

// untold has nothing more told to the lease's holder once it returns.
func (p *proof) untold(l *Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, l)
}
