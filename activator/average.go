package activator

import (
	"math"
	"time"
)

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
