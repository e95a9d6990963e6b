package autoscaler

import "time"

// waitCost learns how many whole waits one switch costs: the requests that arrive while it lasts wait for what is left of it. It is learned
// whether or not the model was asleep, as if it had been.
type waitCost struct {
	Waits float64 // smoothed
	N     int
	ends  time.Time // of the switch under observation
	sum   float64   // seconds waited in it
	lasts time.Duration
}

const leastWaits = 1.0

func (w *waitCost) value() float64 {
	return max(leastWaits, w.Waits)
}

// open closes the switch under observation, and begins another that takes so long.
func (w *waitCost) open(now time.Time, lasts time.Duration, least float64) {
	if w.lasts > 0 {
		if w.N == 0 {
			w.Waits = leastWaits
		}
		w.Waits += max(least, 1/float64(1+w.N)) * (w.sum/w.lasts.Seconds() - w.Waits)
		w.N++
	}
	w.sum, w.lasts, w.ends = 0, lasts, now.Add(lasts)
}

// arrive counts requests.
func (w *waitCost) arrive(now time.Time, n int) {
	if left := w.ends.Sub(now); left > 0 {
		w.sum += float64(n) * left.Seconds()
	}
}

// moves are what switching takes, smoothed.
type moves struct {
	Cold, Wake, Park time.Duration
	FirstPark        time.Duration // of an engine that was never parked
}

// firstParkTimes is about how many times as long the first park of an engine takes as a later one.
const firstParkTimes = 2

// guess gives what moves take before any was seen: large models take longer.
func guess(gpus int) moves {
	g := time.Duration(max(gpus, 1))
	wake := time.Second + g*900*time.Millisecond
	return moves{Cold: 30*time.Second + g*30*time.Second, Wake: wake, Park: wake, FirstPark: firstParkTimes * wake}
}

// learn takes one that took so long; the first replaces the guess.
func learn(known *time.Duration, took time.Duration, first bool) {
	if first {
		*known = took
		return
	}
	*known += (took - *known) / 8
}
