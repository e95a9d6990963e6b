package plan

import (
	"math"
	"slices"
	"time"
)

// past is what a model's last moves from one tier took, newest last.
type past struct {
	durations []time.Duration
	median    time.Duration // 0 = not known
}

const pastKept = 16

func (e *past) add(took time.Duration) {
	if len(e.durations) >= pastKept {
		e.durations = slices.Delete(e.durations, 0, len(e.durations)-pastKept+1)
	}
	e.durations = append(e.durations, took)
	e.median, _ = e.remaining(0)
}

func (e *past) copy() []time.Duration { return slices.Clone(e.durations) }

// remaining estimates how much longer an activation takes that has been running for elapsed: the median of those that took longer,
// less elapsed. One that has outlasted all of them has no estimate.
func (e *past) remaining(elapsed time.Duration) (time.Duration, bool) {
	var longer [pastKept]time.Duration
	n := 0
	for _, d := range e.durations[max(0, len(e.durations)-pastKept):] {
		if d > elapsed {
			longer[n] = d
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	slices.Sort(longer[:n])
	return longer[n/2] - elapsed, true
}

// outlasts gives the moment in an activation, later than elapsed, at which it will have outlasted one more of the past ones, so that its
// estimate changes; 0 = it has outlasted all.
func (e *past) outlasts(elapsed time.Duration) time.Duration {
	next := time.Duration(0)
	for _, d := range e.durations {
		if d > elapsed && (next == 0 || d < next) {
			next = d
		}
	}
	return next
}

const averageOver = 24 * time.Hour // the weight of what was falls to a third in this time

// average is the mean of a level over the last day or so: the nearer the past, the more it counts.
type average struct {
	level float64
	mean  float64
	at    time.Duration
}

// value gives the mean as of now.
func (a *average) value(now time.Duration) float64 {
	if now == a.at {
		return a.mean
	}
	fades := math.Exp(-(now - a.at).Seconds() / averageOver.Seconds())
	a.mean = a.mean*fades + a.level*(1-fades)
	a.at = now
	return a.mean
}

// step changes the level from now on.
func (a *average) step(now time.Duration, by float64) {
	a.value(now)
	a.level += by
}

// mix is the finaliser of splitmix64: every bit of the sum depends on every bit of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
