package series

import "math"

// subject is what series are of: one model, or the whole fleet.
type subject struct {
	fine, coarse *ring
	minute       sums // of the present minute
	last         Model
	known        bool   // last is of an earlier tick
	active       uint64 // tick at which it was last in use
}

// sums add up ticks.
type sums struct {
	values []float64 // of each column
	ttft   []uint64  // first tokens by bucket
	ticks  int
}

func newSubject(columns, buckets int, fine, coarse uint64) *subject {
	return &subject{
		fine: newRing(columns, finePoints, fine), coarse: newRing(columns, coarsePoints, coarse),
		minute: sums{values: make([]float64, columns), ttft: make([]uint64, buckets)},
	}
}

// delta gives what has been counted since the tick before; what was counted in an earlier life of a counter is nothing.
func delta(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// add keeps one tick: levels, and where they stand what has been counted since the tick before.
func (s *subject) add(m *Model, levels []float32, bounds []float64, bought []uint64) {
	values := append([]float32{0, 0, nan, nan}, levels...)
	clear(bought)
	if s.known {
		for i, n := range m.TTFT {
			bought[i] = delta(n, s.last.TTFT[i])
		}
		values[colRequests] = float32(delta(m.Answered, s.last.Answered)) / float32(fineStep.Seconds())
		values[colFailed] = float32(delta(m.Failed, s.last.Failed)) / float32(fineStep.Seconds())
		values[colP50], values[colP99] = quantile(bounds, bought, 0.5), quantile(bounds, bought, 0.99)
	}
	s.last.Answered, s.last.Failed, s.known = m.Answered, m.Failed, true
	s.last.TTFT = append(s.last.TTFT[:0], m.TTFT...)
	s.fine.add(values)
	for i, v := range values {
		if v == v {
			s.minute.values[i] += float64(v)
		}
	}
	for i, n := range bought {
		s.minute.ttft[i] += n
	}
	s.minute.ticks++
}

// close ends a minute.
func (s *subject) close(bounds []float64) {
	values := make([]float32, len(s.minute.values))
	for i, v := range s.minute.values {
		values[i] = float32(v / float64(max(s.minute.ticks, 1)))
	}
	values[colP50], values[colP99] = quantile(bounds, s.minute.ttft, 0.5), quantile(bounds, s.minute.ttft, 0.99)
	s.coarse.add(values)
	clear(s.minute.values)
	clear(s.minute.ttft)
	s.minute.ticks = 0
}

var nan = float32(math.NaN())

// quantile estimates from counts by bucket, as Prometheus does: within a bucket evenly, and above the last bound that bound. NaN = nothing was counted.
func quantile(bounds []float64, counts []uint64, q float64) float32 {
	var all uint64
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return nan
	}
	rank, below, low := q*float64(all), 0.0, 0.0
	for i, high := range bounds {
		n := float64(counts[i])
		if below+n >= rank && n > 0 {
			return float32(low + (high-low)*(rank-below)/n)
		}
		below += n
		low = high
	}
	return float32(bounds[len(bounds)-1])
}
