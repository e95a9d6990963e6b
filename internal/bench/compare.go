package bench

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Ratio is how one figure of a result B stands to the same of a result A.
type Ratio struct {
	Name      string  `json:"name"` // "ttft p99"
	Unit      string  `json:"unit"`
	A         float64 `json:"a"`
	B         float64 `json:"b"`
	Ratio     float64 `json:"ratio"` // B / A
	Low       float64 `json:"low"`   // the 95 % confidence interval of the ratio
	High      float64 `json:"high"`
	MoreBad   bool    `json:"more_is_worse"`
	Different bool    `json:"different"` // 1 is outside the interval
}

// Blocks that an interval needs of each result: of fewer it says little.
const fewestForInterval = 8

// Resamples are the number of times that blocks are drawn anew for the intervals of Compare.
const Resamples = 2000

// Compare holds B against A. Its intervals are those of a bootstrap by blocks of time: whole blocks are drawn, with replacement, because requests that were
// under way together are not independent of one another. They know of what changes within a run, and nothing of what changes from one day to
// the next: repeat the runs in turns, and put them together with Merge. It reports whether there were enough blocks for that.
func Compare(a, b *Result, seed uint64) (ratios []Ratio, enough bool, err error) {
	for _, r := range []*Result{a, b} {
		if err := r.check(); err != nil {
			return nil, false, err
		}
	}
	of := [2]*resampler{newResampler(a, seed), newResampler(b, seed+1)}
	for _, f := range figures() {
		x, y := of[0].value(&f, nil), of[1].value(&f, nil)
		if x <= 0 || y <= 0 {
			continue
		}
		r := Ratio{Name: f.name, Unit: f.unit, A: x, B: y, Ratio: y / x, MoreBad: f.moreBad}
		drawn := make([]float64, 0, Resamples)
		for i := range Resamples {
			if x, y := of[0].value(&f, of[0].weights[i]), of[1].value(&f, of[1].weights[i]); x > 0 && y > 0 {
				drawn = append(drawn, y/x)
			}
		}
		slices.Sort(drawn)
		if len(drawn) > 0 {
			r.Low, r.High = drawn[len(drawn)*25/1000], drawn[min(len(drawn)*975/1000, len(drawn)-1)]
		}
		r.Different = r.Low > 1 || r.High < 1
		ratios = append(ratios, r)
	}
	return ratios, len(of[0].blocks) >= fewestForInterval && len(of[1].blocks) >= fewestForInterval, nil
}

// figure is one number that results can be compared by: a quantile of a metric, or one count over another.
type figure struct {
	name, unit string
	moreBad    bool
	metric     string
	quantile   float64 // 0 = the mean
	per        func(*Block) (count, over float64)
}

func figures() []figure {
	var all []figure
	for _, metric := range Metrics {
		if metric == MetricLag {
			continue
		}
		for _, q := range []struct {
			name string
			at   float64
		}{{"mean", 0}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}} {
			all = append(all, figure{name: metric + " " + q.name, unit: "ms", moreBad: true, metric: metric, quantile: q.at})
		}
	}
	return append(all,
		figure{name: "answers per second", unit: "1/s", per: func(b *Block) (float64, float64) { return float64(b.Requests - b.failed()), b.Seconds }},
		figure{name: "output tokens per second", unit: "1/s", per: func(b *Block) (float64, float64) { return float64(b.OutputTokens), b.Seconds }},
		figure{name: "good of all requests", unit: "share", per: func(b *Block) (float64, float64) { return float64(b.Good), float64(b.Requests) }},
		figure{name: "failed of all requests", unit: "share", moreBad: true, per: func(b *Block) (float64, float64) { return float64(b.failed()), float64(b.Requests) }},
		figure{name: "cost per request", unit: "nano-USD", moreBad: true, per: func(b *Block) (float64, float64) {
			return float64(b.CostNanoUSD), float64(b.Requests - b.Unpriced)
		}},
	)
}

// resampler gives figures of a result's blocks, each counted as often as a draw says.
type resampler struct {
	blocks  []*Block
	weights [][]int32 // draw -> block -> how often it was drawn
	spans   map[string]*spans
}

// spans are those of one metric.
type spans struct {
	rising []counted
	n      []float64 // block -> how many
	sum    []float64 // block -> their sum in ns
}

// counted is how often one span came in one block.
type counted struct {
	ns    int64
	n     int64
	block int32
}

func newResampler(r *Result, seed uint64) *resampler {
	s := &resampler{spans: make(map[string]*spans), weights: make([][]int32, Resamples)}
	for _, b := range r.blocks() {
		if b.Requests > 0 || b.Seconds > 0 {
			s.blocks = append(s.blocks, b)
		}
	}
	random := newRand(seed)
	for i := range s.weights {
		s.weights[i] = make([]int32, len(s.blocks))
		for range s.blocks {
			s.weights[i][random.IntN(len(s.blocks))]++
		}
	}
	for _, metric := range Metrics {
		s.spans[metric] = s.gather(metric)
	}
	return s
}

func (s *resampler) gather(metric string) *spans {
	all := &spans{n: make([]float64, len(s.blocks)), sum: make([]float64, len(s.blocks))}
	for i, b := range s.blocks {
		h := b.Latency[metric]
		if h == nil {
			continue
		}
		h.each(func(d time.Duration, n int64) {
			all.rising = append(all.rising, counted{int64(d), n, int32(i)})
			all.n[i] += float64(n)
			all.sum[i] += float64(n) * float64(d)
		})
	}
	slices.SortFunc(all.rising, func(a, b counted) int { return cmp.Compare(a.ns, b.ns) })
	return all
}

// value is a figure of one draw; nil = of every block once. Zero = there is none.
func (s *resampler) value(f *figure, weights []int32) float64 {
	weight := func(block int) float64 {
		if weights == nil {
			return 1
		}
		return float64(weights[block])
	}
	all := s.spans[f.metric]
	var count, over float64
	for i, b := range s.blocks {
		if f.per != nil {
			c, o := f.per(b)
			count, over = count+c*weight(i), over+o*weight(i)
			continue
		}
		count, over = count+all.sum[i]*weight(i)/1e6, over+all.n[i]*weight(i)
	}
	switch {
	case over <= 0:
		return 0
	case f.quantile == 0:
		return count / over
	}
	rank := max(float64(int64(f.quantile*over+0.5)), 1)
	for i := range all.rising {
		if rank -= float64(all.rising[i].n) * weight(int(all.rising[i].block)); rank <= 0 {
			return float64(all.rising[i].ns) / 1e6
		}
	}
	return 0
}

// Verdict says in one word how B stands to A.
func (r *Ratio) Verdict() string {
	switch better := (r.Ratio < 1) == r.MoreBad; {
	case !r.Different:
		return "no difference shown"
	case better:
		return "better"
	}
	return "worse"
}

// Headline reports whether a ratio belongs into a short table: the mean, and quantiles other than p50 and p99, are left to the long one.
func (r *Ratio) Headline() bool {
	return !strings.HasSuffix(r.Name, " mean") && !strings.HasSuffix(r.Name, " p90")
}
