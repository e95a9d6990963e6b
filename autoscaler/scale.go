package autoscaler

import "time"

const (
	scaleTarget = 0.7 // of an instance's slots
	panicAt     = 2   // times as many instances as the stable window asks for
	panicFor    = time.Minute
)

// scale says how many instances a model's demand is worth, by Knative's rule: the mean of a minute, but the mean of six seconds once that asks
// for twice as many, and then for a minute never fewer than that.
type scale struct {
	window
	panicUntil time.Time
	peak       int // the most that the panic window has asked for since panic began
}

// tell takes the number of requests from now on.
func (s *scale) tell(now time.Time, level int, each float64) {
	s.set(now, level)
	if !now.Before(s.panicUntil) {
		s.peak = 0
	}
	stable, burst := s.asks(now, each)
	if burst >= panicAt*max(1, stable) {
		s.panicUntil, s.peak = now.Add(panicFor), max(s.peak, burst)
	}
}

func (s *scale) asks(now time.Time, each float64) (stable, burst int) {
	return atLeast(s.mean(now, stableSpan), each), atLeast(s.mean(now, panicSpan), each)
}

// want gives the number of instances, each of which should serve so many requests.
func (s *scale) want(now time.Time, each float64) int {
	stable, burst := s.asks(now, each)
	if burst >= panicAt*max(1, stable) {
		stable = burst
	}
	if now.Before(s.panicUntil) {
		return max(stable, burst, s.peak)
	}
	return stable
}
