package bench

import (
	"encoding/json"
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram counts spans of time to three digits, from a nanosecond to a day. Its JSON is what other HDR histogram tools read: base64 of
// the compressed V2 encoding, with nanoseconds as its unit. It is not safe for concurrent use.
type Histogram struct{ packed *hdr.PackedHistogram }

const (
	longest = 24 * time.Hour
	digits  = 3
)

// Add counts one span. None is below zero or longer than a day.
func (h *Histogram) Add(d time.Duration) {
	if h.packed == nil {
		h.packed = newPacked()
	}
	_ = h.packed.RecordValue(int64(min(max(d, 0), longest))) // it is in the range
}

func newPacked() *hdr.PackedHistogram { return hdr.NewPacked(1, int64(longest), digits) }

// Merge counts what another has counted.
func (h *Histogram) Merge(other *Histogram) {
	if other.packed == nil {
		return
	}
	if h.packed == nil {
		h.packed = newPacked()
	}
	h.packed.Merge(other.packed)
}

// Count is the number of spans.
func (h *Histogram) Count() int64 {
	if h.packed == nil {
		return 0
	}
	return h.packed.TotalCount()
}

// Mean of the spans, to about 0.05 %.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.packed.Mean())
}

// Quantile is the span that a share q of all do not exceed, to 0.1 %.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.packed.ValueAtPercentile(100 * q))
}

// Max is the longest span, to 0.1 %.
func (h *Histogram) Max() time.Duration { return h.Quantile(1) }

// each calls f with every span that was counted, in rising order, and how often.
func (h *Histogram) each(f func(d time.Duration, n int64)) {
	if h.packed == nil {
		return
	}
	h.packed.ForEachBucket(func(value, count int64) bool {
		f(time.Duration(value), count)
		return true
	})
}

// MarshalJSON gives the encoding as a string.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	p := h.packed
	if p == nil {
		p = newPacked()
	}
	encoded, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("encoding a histogram: %w", err)
	}
	return json.Marshal(string(encoded))
}

// UnmarshalJSON reads what MarshalJSON has written.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var encoded string
	if err := json.Unmarshal(b, &encoded); err != nil {
		return fmt.Errorf("a histogram is a string: %w", err)
	}
	p, err := hdr.DecodePacked([]byte(encoded))
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	h.packed = p
	return nil
}
