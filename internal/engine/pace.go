package engine

import (
	"context"
	"time"
)

const (
	// paceFirst and paceMost bound the pause between two looks at an engine that does not answer yet and writes nothing. It grows with the wait,
	// so that half of it, which is what it adds to a start on average, is a sixty-fourth of that. A look with its timer takes up to 250 µs of CPU.
	paceFirst, paceMost = 1 * time.Millisecond, 100 * time.Millisecond
	paceShare           = 32 // of the wait

	// Servers write a line when they begin to listen, some just before it: what an engine writes brings about so many looks at once, outputGap and
	// its multiples apart.
	outputLooks = 3
	outputGap   = 2 * time.Millisecond
	// An engine that writes all the time, as progress bars do, is not looked at more often than this because of it, but for so many looks in a row.
	outputEvery = 50 * time.Millisecond
	outputBurst = 20
)

// pace says when an engine that is loading is looked at: at once when it has written something, and every now and then else. The zero value is not
// ready; see newPace. It belongs to one goroutine.
type pace struct {
	output <-chan struct{} // gets something when the engine writes; nil = that is not seen
	began  time.Time
	looked time.Time // when it was looked at last
	eager  int       // looks still to come because of what it has written
	paid   time.Time // until then the eager looks that were made are paid for; before now by more than a burst is no better
}

func newPace(output <-chan struct{}) *pace {
	now := time.Now()
	return &pace{output: output, began: now, looked: now, paid: now.Add(-outputBurst * outputEvery)}
}

// await returns when the engine is to be looked at again, or why ctx ended.
func (p *pace) await(ctx context.Context) error {
	p.looked = time.Now()
	timer := time.NewTimer(time.Until(p.due()))
	defer timer.Stop()
	for {
		heard := p.output
		if p.eager == outputLooks { // more of the same changes nothing
			heard = nil
		}
		select {
		case <-heard:
			p.eager = outputLooks
			timer.Reset(time.Until(p.due()))
		case now := <-timer.C:
			p.take(now)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// due is the moment of the next look.
func (p *pace) due() time.Time {
	next := p.looked.Add(pauseAfter(p.looked.Sub(p.began)))
	if p.eager == 0 {
		return next
	}
	soon := p.looked.Add(paceFirst)
	if k := outputLooks - p.eager; k > 0 {
		soon = p.looked.Add(time.Duration(k) * outputGap)
	}
	if soon.Before(p.paid) {
		soon = p.paid
	}
	if soon.Before(next) {
		return soon
	}
	return next
}

// take pays for a look, now, where it is an eager one.
func (p *pace) take(now time.Time) {
	if p.eager == 0 {
		return
	}
	p.eager--
	if least := now.Add(-outputBurst * outputEvery); p.paid.Before(least) {
		p.paid = least
	}
	p.paid = p.paid.Add(outputEvery)
}

// pauseAfter is the pause after so long a wait in which nothing was heard.
func pauseAfter(waited time.Duration) time.Duration {
	return min(max(waited/paceShare, paceFirst), paceMost)
}
