package autoscaler

import "time"

const (
	cellLength = 2 * time.Second
	cells      = 30
	stableSpan = cells * cellLength // Knative's stable window
	panicSpan  = 6 * time.Second    // and its panic window
)

// window remembers how many requests a model had over the last minute, in cells of two seconds. A level holds until another is told, so
// that silence is never taken for no requests.
type window struct {
	level int
	at    time.Time // when the level was told
	since time.Time // nothing is known of what was before
	ring  [cells]cell
}

type cell struct {
	index int64   // of the two seconds since the epoch
	sum   float64 // request-seconds
}

// set tells the level from now on.
func (w *window) set(now time.Time, level int) {
	if w.since.IsZero() || w.level == 0 && level > 0 && w.mean(now, stableSpan) == 0 {
		*w = window{since: now}
	} else {
		w.fold(now)
	}
	w.level, w.at = level, now
}

// fold enters the time since the level was told.
func (w *window) fold(now time.Time) {
	from := w.at
	if oldest := now.Add(-stableSpan); from.Before(oldest) {
		from = oldest
	}
	for from.Before(now) {
		index := from.UnixNano() / int64(cellLength)
		end := time.Unix(0, (index+1)*int64(cellLength))
		if end.After(now) {
			end = now
		}
		c := &w.ring[index%cells]
		if c.index != index {
			*c = cell{index: index}
		}
		c.sum += float64(w.level) * end.Sub(from).Seconds()
		from = end
	}
}

// mean gives the mean number of requests over a span before now, or over what is known of it.
func (w *window) mean(now time.Time, span time.Duration) float64 {
	begin := now.Add(-span)
	if begin.Before(w.since) {
		begin = w.since
	}
	known := now.Sub(begin).Seconds()
	if known <= 0 {
		return float64(w.level)
	}
	sum := 0.0
	if w.level > 0 {
		from := w.at
		if from.Before(begin) {
			from = begin
		}
		sum = float64(w.level) * now.Sub(from).Seconds()
	}
	first, last := begin.UnixNano()/int64(cellLength), now.UnixNano()/int64(cellLength)
	for i := range w.ring {
		switch c := &w.ring[i]; {
		case c.index > first && c.index <= last, c.index == first && begin.Equal(w.since):
			sum += c.sum
		case c.index == first: // the part of it that lies in the span
			sum += c.sum * float64((first+1)*int64(cellLength)-begin.UnixNano()) / float64(cellLength)
		}
	}
	return sum / known
}

// full reports whether a whole span is known.
func (w *window) full(now time.Time, span time.Duration) bool {
	return !w.since.IsZero() && now.Sub(w.since) >= span
}

// quiet reports whether there was nothing in the whole window.
func (w *window) quiet(now time.Time) bool { return w.level == 0 && w.mean(now, stableSpan) == 0 }

// nextCell gives the moment at which the next cell begins: the same for all models, so that they are looked at together.
func nextCell(now time.Time) time.Time { return now.Truncate(cellLength).Add(cellLength) }
