package autoscaler

import (
	"fmt"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	hybridBins  = 240              // of a minute
	hybridLeast = 10               // gaps before the histogram is believed
	hybridElse  = 10 * time.Minute // kept so long where it is not
	hybridBid   = 0.05             // seconds of waiting that a pre-wake may cost others
)

// HybridConfig tunes the hybrid policy.
type HybridConfig struct {
	Park bool // what is let go is parked where its pool can, else it is stopped
}

// Hybrid is the hybrid histogram policy of Shahrad et al., "Serverless in the Wild" (ATC '20): per model a histogram of idle times by the
// minute. Where these cluster, the instance is let go at once, woken before the 5th percentile, and kept to the 99th; else it is kept ten minutes.
type Hybrid struct {
	cfg    HybridConfig
	models map[string]*idleTimes // model ID -> its idle times
}

type idleTimes struct {
	bins   [hybridBins]int
	n      int
	beyond int
	idle   time.Time // since then; zero while busy, or before the first request
	awake  time.Duration
	keep   time.Duration
}

// NewHybrid makes the policy.
func NewHybrid(cfg HybridConfig) *Hybrid {
	return &Hybrid{cfg: cfg, models: make(map[string]*idleTimes)}
}

// Observe learns idle times.
func (h *Hybrid) Observe(e fleet.Event) {
	m := h.models[e.Model]
	if m == nil {
		m = &idleTimes{keep: hybridElse}
		h.models[e.Model] = m
	}
	switch e.Kind {
	case fleet.EventIdle:
		m.idle = e.At
	case fleet.EventBusy:
		if !m.idle.IsZero() {
			m.add(e.At.Sub(m.idle))
		}
		m.idle = time.Time{}
	}
}

func (m *idleTimes) add(gap time.Duration) {
	if i := int(gap / time.Minute); i < hybridBins {
		m.bins[i]++
		m.n++
	} else {
		m.beyond++
	}
	m.awake, m.keep = 0, hybridElse
	if m.n < hybridLeast || m.beyond > m.n || m.variation() < 2 {
		return
	}
	m.awake = time.Duration(0.9 * float64(m.percentile(0.05)) * float64(time.Minute))
	m.keep = time.Duration(1.1 * float64(m.percentile(0.99)+1) * float64(time.Minute))
}

// variation gives the coefficient of variation of the bins' counts.
func (m *idleTimes) variation() float64 {
	mean := float64(m.n) / hybridBins
	sum := 0.0
	for _, x := range m.bins {
		sum += (float64(x) - mean) * (float64(x) - mean)
	}
	return math.Sqrt(sum/hybridBins) / mean
}

// percentile gives the minute in which it lies.
func (m *idleTimes) percentile(p float64) int {
	sum := 0
	for i, x := range m.bins {
		if sum += x; float64(sum) >= p*float64(m.n) {
			return i
		}
	}
	return hybridBins
}

// Decide says how many instances the model should have now.
func (h *Hybrid) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := fleet.Desired{Model: v.Model.ID, HotValue: leastRecentlyUsed(now, v), Reason: "no requests"}
	d.Parked, d.ParkedValue = parked(h.cfg.Park, now, v)
	if n := demand(v); n > 0 {
		d.Hot, d.Reason = atLeast(float64(n), 0.8*float64(capacity(v.Model))), fmt.Sprintf("%s, 80 %% of %d slots an instance", requests(n), capacity(v.Model))
		d.Need = d.Hot
	}
	m := h.models[v.Model.ID]
	if m == nil {
		m = &idleTimes{keep: hybridElse}
	}
	h.keep(now, v, m, &d)
	bound(now, v, &d)
	return d
}

// keep adds what the histogram says of idle instances, and of one that should be woken.
func (h *Hybrid) keep(now time.Time, v *fleet.ModelView, m *idleTimes, d *fleet.Desired) {
	since, ok := v.IdleSince, true
	if since.IsZero() {
		since, ok = lastIdle(v)
	}
	if !ok {
		return
	}
	wake, until := since.Add(m.awake), since.Add(m.keep)
	switch early := m.awake >= time.Minute; {
	case early && now.Before(wake):
		d.ReviewAt = wake
		d.Reason = fmt.Sprintf("its next request is not expected for %s", round(wake.Sub(now)))
	case now.Before(until):
		d.Hot, d.ReviewAt = max(d.Hot, len(v.Hot)), until
		d.Reason = fmt.Sprintf("idle %s, kept for %s", round(now.Sub(since)), round(m.keep))
		if early && demand(v) == 0 && len(v.Hot) == 0 {
			d.Hot, d.HotValue = 1, hybridBid
			d.Reason = fmt.Sprintf("a request is expected from %s after the last", round(m.awake))
		}
	}
}
