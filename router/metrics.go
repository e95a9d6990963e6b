package router

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Buckets in seconds: a small model's hot answers take milliseconds, a large model's cold ones minutes.
var (
	requestBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
	ttftBuckets    = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
)

// routerMetrics makes the metrics of models. Labels are bounded: models are those of the config, and every other name that a
// caller may think of is counted as model="".
type routerMetrics struct{ set *metrics.Set }

func newMetrics() *routerMetrics { return &routerMetrics{set: metrics.NewSet()} }

// modelMetrics holds one model's handles, so that the hot path formats no names.
type modelMetrics struct {
	set      *metrics.Set
	model    string
	requests [600]atomic.Pointer[metrics.Counter] // by status
	seconds  *metrics.PrometheusHistogram
	ttft     map[fleet.Tier]*metrics.PrometheusHistogram
	tokens   [len(ttftBuckets) + 1]atomic.Uint64 // first tokens by bucket, of all tiers: the histograms cannot be read
}

func (m *routerMetrics) forModel(id string) *modelMetrics {
	of := &modelMetrics{set: m.set, model: id, ttft: make(map[fleet.Tier]*metrics.PrometheusHistogram)}
	if id == "" {
		return of
	}
	of.seconds = m.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("pilotlight_request_seconds{model=%q}", id), requestBuckets)
	for _, t := range []fleet.Tier{fleet.Hot, fleet.Parked, fleet.Cold} {
		of.ttft[t] = m.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("pilotlight_ttft_seconds{model=%q,start=%q}", id, t), ttftBuckets[:])
	}
	of.counter(http.StatusOK) // from the start, so that a rate sees the first request too
	return of
}

// answered counts a request by the status of its answer; behind a keep-alive, by the status that its error stands for.
func (m *modelMetrics) answered(status int) {
	if status < 0 || status >= len(m.requests) {
		return
	}
	c := m.requests[status].Load()
	if c == nil {
		c = m.counter(status)
	}
	c.Inc()
}

func (m *modelMetrics) counter(status int) *metrics.Counter {
	c := m.set.GetOrCreateCounter(fmt.Sprintf("pilotlight_requests_total{model=%q,code=\"%d\"}", m.model, status))
	m.requests[status].Store(c)
	return c
}

func (m *modelMetrics) took(d time.Duration) {
	if m.seconds != nil {
		m.seconds.Update(d.Seconds())
	}
}

// firstToken is told the time from the request's arrival to its first token: what the caller waited.
func (m *modelMetrics) firstToken(start fleet.Tier, d time.Duration) {
	h := m.ttft[start]
	if h == nil {
		return
	}
	seconds, bucket := d.Seconds(), 0
	h.Update(seconds)
	for bucket < len(ttftBuckets) && seconds > ttftBuckets[bucket] {
		bucket++
	}
	m.tokens[bucket].Add(1)
}
