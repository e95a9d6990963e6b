package activator

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	probePause  = time.Second            // from one that was answered to the next: callers must not be able to keep an engine busy with them
	probeAgain  = 100 * time.Millisecond // from one that has failed to the next
	probeWithin = 15 * time.Second       // without an answer, and without a sign of life to anybody meanwhile, the engine hangs
)

var errProbeLate = errors.New("no answer to a request of our own in time")

// verdict is what a probe says of an engine.
type verdict uint8

const (
	undecided verdict = iota
	answered
	failed
)

// probe is a request of our own to an engine whose answers were suspicious.
type probe struct {
	*breaker
	done func(success bool) // tells the breaker
}

// signs are the signs of life that an engine gives while it is probed. A busy engine may make the probe wait for long; one that answers others does
// not hang. They are touched by every answer, and so without a lock.
type signs struct{ probing, seen atomic.Bool }

func (s *signs) ask() {
	s.seen.Store(false)
	s.probing.Store(true)
}

func (s *signs) asked() { s.probing.Store(false) }

func (s *signs) note() {
	if s.probing.Load() {
		s.seen.Store(true)
	}
}

// run sends the probe, and takes what becomes of it.
func (p *probe) run(ctx context.Context, a *Activator) {
	within, cancel := context.WithTimeoutCause(ctx, probeWithin, errProbeLate)
	defer cancel()
	err := a.cfg.Probe(within, p.model, p.addr)
	v := answered
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, fleet.ErrUndecided):
		v = undecided
	case within.Err() != nil && p.signs.seen.Load():
		v = undecided // it is busy
	default:
		v = failed
	}
	if v != answered {
		a.log.Warn("engine does not answer a request of our own", "model", p.model.ID, "instance", p.instance, "reason", err, "counts", v == failed)
	}
	a.leasing.Lock()
	now := a.now()
	a.breakers.finish(now, p, v, fmt.Sprint(err))
	a.finishLeasing(now)
}

// Answers reports whether the engine is in order, where its answer leaves that open: unless it was asked within the last second, it is sent a
// request of our own. It is false only if that fails, or the instance's breaker is open, or it is gone; it waits for that until ctx is done. The
// lease may have been given back.
func (l *Lease) Answers(ctx context.Context) bool {
	a, told := l.owner, make(chan verdict, 1)
	a.leasing.Lock()
	now := a.now()
	known, v := a.breakers.join(now, l.Instance, told)
	a.finishLeasing(now)
	if known {
		return v != failed
	}
	select {
	case v = <-told:
		return v != failed
	case <-ctx.Done():
		return true
	}
}

// tell ends the wait of those who have joined.
func (b *breaker) tell(v verdict) {
	for _, told := range b.joined {
		told <- v
	}
	b.joined = nil
}
