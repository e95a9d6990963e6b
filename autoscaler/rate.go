package autoscaler

import (
	"math"
	"time"
)

const rateMemory = time.Minute

// rate is the requests per second of about the last minute.
type rate struct {
	sum float64 // of the requests, each fading from when it came
	at  time.Time
}

func (r *rate) add(now time.Time, n int) {
	r.sum = r.faded(now) + float64(n)
	r.at = now
}

func (r *rate) faded(now time.Time) float64 {
	return r.sum * math.Exp(-now.Sub(r.at).Seconds()/rateMemory.Seconds())
}

func (r *rate) value(now time.Time) float64 { return r.faded(now) / rateMemory.Seconds() }
