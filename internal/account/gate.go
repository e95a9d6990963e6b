package account

import (
	"sync/atomic"
	"time"
)

// gate is what one organisation, or one token, has taken of its limits.
type gate struct {
	open atomic.Int64 // requests at once
	stay atomic.Int64 // how long one is open, in microseconds: a moving mean of those that were limited; 0 = none has ended
	rate bucket       // guarded by the organisation's gates
	part part         // guarded by them, too
}

// refuses says which of the limits one request more would exceed; Limit 0 = none. The rate's comes first, for it says exactly when the next is admitted.
// shared = the limit of requests at once is, beyond what it says, this server's share of it.
func (g *gate) refuses(l *Limits, shared *sharing) LimitError {
	if wait := g.rate.wait(l.RPM); wait > 0 {
		return LimitError{Limit: l.RPM, After: time.Duration(wait) * time.Microsecond}
	}
	if l.Concurrency > 0 {
		short := shared != nil && g.open.Load() >= shared.most(&g.part)
		if full := g.open.Load() >= int64(l.Concurrency); full || short {
			next := g.stay.Load() / int64(l.Concurrency) // so many, on their way, end one after the other
			return LimitError{AtOnce: true, Limit: l.Concurrency, After: time.Duration(next) * time.Microsecond, ofShare: !full}
		}
	}
	return LimitError{}
}

func (g *gate) take(l *Limits) {
	g.part.peak = max(g.part.peak, g.open.Add(1))
	g.rate.take(l.RPM)
}

// leave gives a request's place back, that was open for some microseconds; 0 = it is not known. Its part of the rate is given back by time alone.
func (g *gate) leave(stayed int64) {
	g.open.Add(-1)
	if stayed <= 0 {
		return
	}
	mean := g.stay.Load()
	if mean == 0 {
		mean = stayed
	}
	g.stay.Store(max(mean+(stayed-mean)/8, 1)) // of two that end at once one may be forgotten
}

// bucket holds as many requests as its limit lets through in a minute. What is taken comes back at a steady rate, so that up to a minute's requests may
// come at once, and in no minute more than twice as many. It counts in parts of a request, a minute's microseconds each: then a limit of so many
// requests a minute gives back so many parts each microsecond, and nothing is ever rounded. The zero value is full.
type bucket struct {
	gone int64 // parts that were taken and have not come back
	at   int64 // the moment, in microseconds, as of which that is so
}

// minute is a minute in microseconds, and one request in parts.
const minute = int64(time.Minute / time.Microsecond)

// refill brings the bucket to a moment, under the limit that holds now. A limit that is lowered leaves no more gone than it has; none at all forgets it.
func (b *bucket) refill(rpm int, at int64) {
	passed := min(max(at-b.at, 0), minute) // requests at the same moment may come in any order
	b.at = max(at, b.at)
	b.gone = min(max(b.gone-passed*int64(rpm), 0), int64(rpm)*minute)
}

func (b *bucket) take(rpm int) {
	if rpm > 0 {
		b.gone += minute
	}
}

// wait is in how many microseconds there is a whole request; 0 = there is one.
func (b *bucket) wait(rpm int) int64 {
	if rpm == 0 {
		return 0
	}
	return over(b.gone+minute-int64(rpm)*minute, int64(rpm))
}

func (b *bucket) standing(rpm int) Standing {
	if rpm == 0 {
		return Standing{}
	}
	left := int64(rpm)*minute - b.gone
	return Standing{Limit: rpm, Remaining: int(left / minute), Reset: time.Duration(over(b.gone, int64(rpm))) * time.Microsecond}
}

// over divides parts by a rate, rounded up; 0 if there are none.
func over(parts, rate int64) int64 {
	if parts <= 0 {
		return 0
	}
	return (parts + rate - 1) / rate
}
