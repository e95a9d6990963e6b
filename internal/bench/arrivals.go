package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals gives one moment after the other, from the start of a run, without end. It is not safe for concurrent use.
type Arrivals func() time.Duration

// The kinds of arrivals that NewArrivals knows.
const (
	ArriveConstant = "constant"
	ArrivePoisson  = "poisson"
	ArriveBursty   = "bursty"
)

// NewArrivals gives arrivals of so many a second. The gaps between them are equal (constant), exponential (poisson), or of a gamma
// distribution whose standard deviation is cv times its mean (bursty; with a cv of 1 that is poisson). One seed gives one sequence.
func NewArrivals(kind string, rate, cv float64, seed uint64) (Arrivals, error) {
	if !(rate > 0) || math.IsInf(rate, 0) {
		return nil, fmt.Errorf("a rate of %v requests a second; write a number above 0", rate)
	}
	if kind == ArriveBursty && (!(cv > 0) || cv > 100) {
		return nil, fmt.Errorf("a coefficient of variation of %v; write a number above 0 and at most 100, such as 3", cv)
	}
	r := newRand(seed)
	var gap func() float64 // in mean gaps
	switch kind {
	case ArriveConstant:
		gap = func() float64 { return 1 }
	case ArrivePoisson:
		gap = r.ExpFloat64
	case ArriveBursty:
		shape := 1 / (cv * cv)
		gap = func() float64 { return gamma(r, shape) / shape }
	default:
		return nil, fmt.Errorf("no arrivals %q; there are %s, %s and %s", kind, ArriveConstant, ArrivePoisson, ArriveBursty)
	}
	at, first := 0.0, true // in mean gaps: equal gaps add up without an error
	return func() time.Duration {
		if !first || kind != ArriveConstant {
			at += gap()
		}
		first = false
		return seconds(at / rate)
	}, nil
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

// seconds makes a span of a number of seconds, as long as a span can be at most.
func seconds(s float64) time.Duration {
	return time.Duration(min(s*1e9, math.MaxInt64/2))
}

// gamma draws from a gamma distribution of scale 1, by the method of Marsaglia and Tsang (2000).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(1-r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
