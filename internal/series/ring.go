package series

import "math"

// ring holds the latest points of one subject: so many columns each, by the number of their tick.
type ring struct {
	columns int
	points  int // that are held at most
	next    uint64
	first   uint64 // the oldest that is held
	data    []float32
}

func newRing(columns, points int, now uint64) *ring {
	return &ring{columns: columns, points: points, next: now, first: now, data: make([]float32, columns*points)}
}

// add keeps the values of the tick that is next.
func (r *ring) add(values []float32) {
	copy(r.at(r.next), values)
	r.next++
	r.first = max(r.first, r.next-min(r.next, uint64(r.points)))
}

func (r *ring) at(tick uint64) []float32 {
	i := int(tick%uint64(r.points)) * r.columns
	return r.data[i : i+r.columns]
}

// read gives a column from one tick on and before another; NaN where there is nothing.
func (r *ring) read(column int, from, to uint64) []float32 {
	values := make([]float32, 0, to-min(from, to))
	for tick := from; tick < to; tick++ {
		if tick < r.first || tick >= r.next {
			values = append(values, float32(math.NaN()))
			continue
		}
		values = append(values, r.at(tick)[column])
	}
	return values
}
