package bench

import (
	"fmt"
	"html/template"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/plot"
)

// latencyScale reaches from the shortest to the longest span of the results, in milliseconds and whole decades.
func latencyScale(results []pageResult, metrics ...string) plot.Log {
	low, high := math.Inf(1), 0.0
	for _, r := range results {
		for _, metric := range metrics {
			if row, measured := r.Summary.Latency[metric]; measured {
				low, high = min(low, r.Summary.Latency[metric].P50/3), max(high, row.Max)
			}
		}
	}
	if high == 0 {
		low, high = 1, 1
	}
	scale := plot.Log{Low: math.Pow(10, math.Floor(math.Log10(max(low, 1e-3)))), High: math.Pow(10, math.Ceil(math.Log10(high)))}
	if scale.High <= scale.Low {
		scale.High = 10 * scale.Low
	}
	return scale
}

func tickMillis(p *plot.Plot, scale plot.Log) {
	scale.Decades(func(at, v float64) {
		if v >= 1000 {
			p.TickY(at, fmt.Sprintf("%g s", v/1000))
			return
		}
		p.TickY(at, fmt.Sprintf("%g ms", v))
	})
}

// label names a series: with one result, by its metric alone.
func label(results []pageResult, r *pageResult, metric string) string {
	if len(results) == 1 {
		return metric
	}
	return r.Name + ": " + metric
}

// plotPercentiles draws which share of requests took how long at most, with more room for the rare ones.
func plotPercentiles(results []pageResult) template.HTML {
	metrics := []string{MetricTTFT, MetricModelTTFT, MetricE2E, MetricInterToken}
	scale := latencyScale(results, metrics...)
	p := plot.New()
	tickMillis(p, scale)
	const nines = 4.0
	at := func(q float64) float64 { return -math.Log10(1-q) / nines }
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9999} {
		p.TickX(at(q), fmt.Sprintf("p%g", 100*q))
	}
	for i := range results {
		for _, metric := range metrics {
			h := results[i].spans[metric]
			if h == nil {
				continue
			}
			var line []plot.Point
			for k := range 121 {
				x := float64(k) / 120
				q := 1 - math.Pow(10, -nines*x)
				if float64(h.Count())*(1-q) < 0.5 && k > 0 {
					break // so few have not been seen
				}
				line = append(line, plot.Point{X: x, Y: scale.At(millis(h.Quantile(q)))})
			}
			p.Line(label(results, &results[i], metric), line)
		}
	}
	return p.Done()
}

// plotTimes draws the first tokens of each block of the run, or the ends where there are no streams.
func plotTimes(results []pageResult) template.HTML {
	metric := MetricTTFT
	if len(results) == 0 || results[0].spans[metric] == nil {
		metric = MetricE2E
	}
	scale := latencyScale(results, metric)
	p := plot.New()
	tickMillis(p, scale)
	longest := 0.0
	for i := range results {
		for k := range results[i].Runs {
			longest = max(longest, results[i].Runs[k].Seconds)
		}
	}
	for i := range 5 {
		p.TickX(float64(i)/4, spanLabel(seconds(longest*float64(i)/4)))
	}
	for i := range results {
		for _, q := range []float64{0.5, 0.99} {
			name := label(results, &results[i], fmt.Sprintf("%s p%g", metric, 100*q))
			for k := range results[i].Runs {
				var line []plot.Point
				began := 0.0
				for _, b := range results[i].Runs[k].Blocks {
					if h := b.Latency[metric]; h != nil && longest > 0 {
						line = append(line, plot.Point{X: (began + b.Seconds/2) / longest, Y: scale.At(millis(h.Quantile(q)))})
					}
					began += b.Seconds
				}
				p.Line(name, line)
			}
		}
	}
	return p.Done()
}

func spanLabel(d time.Duration) string { return d.Round(time.Second / 10).String() }

// plotShares draws where the time of a mean request went: to the server's queue, to a start, to the model, as one bar a result.
func plotShares(results []pageResult) template.HTML {
	p := plot.New()
	most := 0.0
	for _, r := range results {
		most = max(most, r.Summary.Latency[MetricE2E].Mean)
	}
	top := plot.NiceTop(most)
	for i := range 5 {
		p.TickY(float64(i)/4, fmt.Sprintf("%.4g ms", top*float64(i)/4))
	}
	for i, r := range results {
		x, width := (float64(i)+0.5)/float64(len(results)), 0.4/float64(len(results))
		p.TickX(x, r.Name)
		below := 0.0
		l := r.Summary.Latency
		_, apart := l[MetricModelE2E]
		for _, part := range []struct {
			name string
			mean float64
		}{
			{MetricLag, l[MetricLag].Mean},
			{MetricQueue, l[MetricQueue].Mean},
			{MetricActivate, l[MetricActivate].Mean},
			{MetricWake, l[MetricWake].Mean * float64(l[MetricWake].Count) / float64(max(l[MetricE2E].Count, 1))},
			{"the rest", 0},
		} {
			if part.name == "the rest" {
				part.mean = l[MetricE2E].Mean - below
			} else if part.name != MetricLag && !apart {
				continue
			}
			colour := p.Colour(part.name)
			if part.mean = max(part.mean, 0); part.mean > 0 {
				fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
					plot.X(x-width/2), plot.Y((below+part.mean)/top), plot.X(width)-plot.X(0), plot.Y(below/top)-plot.Y((below+part.mean)/top), colour)
			}
			below += part.mean
		}
	}
	return p.Done()
}
