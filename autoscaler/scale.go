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
	peak       float64 // the highest mean of the panic window since panic began
}

// tell takes the number of requests from now on.
func (s *scale) tell(now time.Time, level int) {
	s.set(now, level)
	if !now.Before(s.panicUntil) {
		s.peak = 0
	}
	if burst := s.mean(now, panicSpan); burst >= panicAt*s.mean(now, stableSpan) {
		s.panicUntil, s.peak = now.Add(panicFor), max(s.peak, burst)
	}
}

// want gives the number of instances, each of which should serve so many requests.
func (s *scale) want(now time.Time, each float64) int {
	stable, burst := atLeast(s.mean(now, stableSpan), each), s.mean(now, panicSpan)
	if now.Before(s.panicUntil) {
		burst = max(burst, s.peak)
	}
	if n := atLeast(burst, each); n >= panicAt*max(1, stable) {
		return n
	}
	return stable
}
