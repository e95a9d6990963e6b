package simulate

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/plot"
)

var waitScale = plot.Log{Low: 0.1, High: 10000} // seconds

// percentiles draws what requests waited, one bar a run.
func percentiles(results []*Result) template.HTML {
	p := plot.New()
	waitScale.Decades(func(at, v float64) { p.TickY(at, fmt.Sprintf("%g s", v)) })
	labels := []string{"mean", "p50", "p99", "p99.9"}
	for i, l := range labels {
		p.TickX((float64(i)+0.5)/float64(len(labels)), l)
	}
	for n, r := range results {
		colour := p.Colour(r.Policy)
		for i, v := range []float64{r.WaitMean, r.WaitP50, r.WaitP99, r.WaitP999} {
			x := (float64(i) + 0.15 + 0.7*(float64(n)+0.5)/float64(len(results))) / float64(len(labels))
			width := 0.6 / float64(len(results)*len(labels)) * (plot.X(1) - plot.X(0))
			fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, plot.X(x)-width/2, plot.Y(waitScale.At(v)), width, plot.Y(0)-plot.Y(waitScale.At(v)), colour)
		}
	}
	return p.Done()
}

// frontier draws GPU-hours not busy against p99, one point a run.
func frontier(results []*Result, bound float64) template.HTML {
	p := plot.New()
	most := bound
	for _, r := range results {
		most = max(most, r.Idle+r.Switch)
	}
	top := plot.NiceTop(most)
	for i := range 5 {
		y := float64(i) / 4
		p.TickY(y, fmt.Sprintf("%g", y*top))
	}
	waitScale.Decades(func(at, v float64) { p.TickX(at, fmt.Sprintf("%g s", v)) })
	p.Text((plot.X(0)+plot.X(1))/2, plot.Height-6, "middle", "p99 of the wait")
	p.Text(plot.X(0)+4, plot.Y(1)+14, "start", "GPU-hours not busy")
	fmt.Fprintf(p, `<path d="M%.1f %.1fh%.1f" stroke="#888" stroke-dasharray="4 4"/>`, plot.X(0), plot.Y(bound/top), plot.X(1)-plot.X(0))
	for _, r := range results {
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`, plot.X(waitScale.At(r.WaitP99)), plot.Y((r.Idle+r.Switch)/top), p.Colour(r.Policy))
	}
	return p.Done()
}

// gpuTimeline draws what GPUs were held for, stacked.
func gpuTimeline(t *Timeline) template.HTML {
	p := plot.New()
	layers := []struct {
		label, colour string
		held          []float64
	}{
		{"busy", "#448361", t.Busy},
		{"idle", "#cb912f", t.Idle},
		{"waking", "#0b6e99", t.Waking},
		{"starting", "#d44c47", t.Starting},
		{"parking, stopping", "#9065b0", t.Leaving},
	}
	for i := range 5 {
		p.TickY(float64(i)/4, fmt.Sprintf("%g", float64(i)/4*float64(t.GPUs)))
	}
	n := len(t.Busy)
	for i := range 8 {
		x := float64(i) / 7
		p.TickX(x, fmt.Sprintf("%.1f h", x*float64(n)*t.Stretch/3600))
	}
	below := make([]float64, n)
	for i, l := range layers {
		var up, down strings.Builder
		for k := range n {
			x0, x1 := plot.X(float64(k)/float64(n)), plot.X(float64(k+1)/float64(n))
			fmt.Fprintf(&up, "L%.1f %.1fL%.1f %.1f", x0, plot.Y((below[k]+l.held[k])/float64(t.GPUs)), x1, plot.Y((below[k]+l.held[k])/float64(t.GPUs)))
		}
		for k := n - 1; k >= 0; k-- {
			x0, x1 := plot.X(float64(k)/float64(n)), plot.X(float64(k+1)/float64(n))
			fmt.Fprintf(&down, "L%.1f %.1fL%.1f %.1f", x1, plot.Y(below[k]/float64(t.GPUs)), x0, plot.Y(below[k]/float64(t.GPUs)))
			below[k] += l.held[k]
		}
		if n > 0 {
			fmt.Fprintf(p, `<path d="M%s%sZ" fill="%s"/>`, strings.TrimPrefix(up.String(), "L"), down.String(), l.colour)
		}
		p.Legend(i, l.colour, l.label)
	}
	return p.Done()
}
