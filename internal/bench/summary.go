package bench

import "time"

// Summary is what a result comes to.
type Summary struct {
	Requests     int64                 `json:"requests"`
	Failed       int64                 `json:"failed"`
	Interrupted  int64                 `json:"interrupted"`
	Failures     map[string]int64      `json:"failures"` // code -> requests
	Seconds      float64               `json:"seconds"`
	RequestsPerS float64               `json:"requests_per_s"` // whole answers
	InputTokens  int64                 `json:"input_tokens"`
	OutputTokens int64                 `json:"output_tokens"`
	OutputPerS   float64               `json:"output_tokens_per_s"`
	SLO          string                `json:"slo,omitempty"`
	Good         int64                 `json:"good"`          // of the requests, those that met it
	GoodputPerS  float64               `json:"goodput_per_s"` // good answers a second
	Starts       map[string]int64      `json:"starts"`        // hot, parked, cold -> requests
	BilledUS     int64                 `json:"billed_us"`
	CostNanoUSD  int64                 `json:"cost_nano_usd"`
	Unpriced     int64                 `json:"unpriced"`
	Latency      map[string]LatencyRow `json:"latency"` // metric -> what it came to
}

// LatencyRow is one metric in milliseconds.
type LatencyRow struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// Summarize adds a result up.
func (r *Result) Summarize() (*Summary, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	all := newBlock()
	for _, b := range r.blocks() {
		all.merge(b)
	}
	s := &Summary{
		Requests: all.Requests, Interrupted: all.Interrupted, Failures: all.Failures, Seconds: r.seconds(), InputTokens: all.InputTokens, OutputTokens: all.OutputTokens,
		SLO: r.Runs[0].SLO, Good: all.Good, Starts: all.Starts, BilledUS: all.BilledUS, CostNanoUSD: all.CostNanoUSD, Unpriced: all.Unpriced,
		Latency: make(map[string]LatencyRow),
	}
	s.Failed = all.failed()
	if s.Seconds > 0 {
		s.RequestsPerS = float64(s.Requests-s.Failed) / s.Seconds
		s.OutputPerS = float64(s.OutputTokens) / s.Seconds
		s.GoodputPerS = float64(s.Good) / s.Seconds
	}
	for metric, h := range all.Latency {
		s.Latency[metric] = h.row()
	}
	return s, nil
}

func (b *Block) failed() (n int64) {
	for _, of := range b.Failures {
		n += of
	}
	return n
}

func (h *Histogram) row() LatencyRow {
	return LatencyRow{
		Count: h.Count(), Mean: millis(h.Mean()), P50: millis(h.Quantile(0.5)), P90: millis(h.Quantile(0.9)), P95: millis(h.Quantile(0.95)),
		P99: millis(h.Quantile(0.99)), P999: millis(h.Quantile(0.999)), Max: millis(h.Max()),
	}
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }
