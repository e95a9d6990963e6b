package simulate

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

const (
	plotWidth, plotHeight = 900.0, 300.0
	marginLeft, marginTop = 60.0, 12.0
	marginRight           = 150.0
	marginBottom          = 40.0
)

// plot draws on a field of fixed size; x and y run from 0 to 1, to the right and up.
type plot struct {
	strings.Builder
	policies []string // in the legend
}

var palette = []string{"#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#cb912f", "#787774", "#d44c47"}

func newPlot() *plot {
	p := &plot{}
	fmt.Fprintf(p, `<svg viewBox="0 0 %g %g" role="img">`, plotWidth, plotHeight)
	fmt.Fprintf(p, `<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#bbb"/>`,
		marginLeft, marginTop, plotWidth-marginLeft-marginRight, plotHeight-marginTop-marginBottom)
	return p
}

func (p *plot) done() template.HTML {
	p.WriteString("</svg>")
	return template.HTML(p.String())
}

func atX(x float64) float64 { return marginLeft + x*(plotWidth-marginLeft-marginRight) }
func atY(y float64) float64 {
	return plotHeight - marginBottom - y*(plotHeight-marginTop-marginBottom)
}

func (p *plot) text(x, y float64, anchor, s string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(s))
}

func (p *plot) tickX(x float64, label string) {
	fmt.Fprintf(p, `<path d="M%.1f %.1fv5" stroke="#bbb"/>`, atX(x), atY(0))
	p.text(atX(x), atY(0)+17, "middle", label)
}

func (p *plot) tickY(y float64, label string) {
	fmt.Fprintf(p, `<path d="M%.1f %.1fh%.1f" stroke="#eee"/>`, atX(0), atY(y), atX(1)-atX(0))
	p.text(atX(0)-6, atY(y)+4, "end", label)
}

func (p *plot) legend(i int, colour, label string) {
	y := marginTop + 10 + 16*float64(i)
	fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="10" height="10" fill="%s"/>`, atX(1)+8, y-9, colour)
	p.text(atX(1)+22, y, "start", label)
}

// colour gives a policy's, which all its runs share, and adds a new policy to the legend.
func (p *plot) colour(policy string) string {
	i := slices.Index(p.policies, policy)
	if i < 0 {
		i = len(p.policies)
		p.policies = append(p.policies, policy)
		p.legend(i, palette[i%len(palette)], policy)
	}
	return palette[i%len(palette)]
}

// logScale maps a positive value to 0 to 1.
type logScale struct{ low, high float64 }

func (s logScale) at(v float64) float64 {
	return (math.Log10(min(max(v, s.low), s.high)) - math.Log10(s.low)) / (math.Log10(s.high) - math.Log10(s.low))
}

// decades calls f for each power of ten in the scale.
func (s logScale) decades(f func(at, value float64)) {
	for v := math.Pow(10, math.Ceil(math.Log10(s.low)-1e-9)); v <= s.high*1.0001; v *= 10 {
		f(s.at(v), v)
	}
}

var waitScale = logScale{0.1, 10000} // seconds

// percentiles draws what requests waited, one bar a run.
func percentiles(results []*Result) template.HTML {
	p := newPlot()
	waitScale.decades(func(at, v float64) { p.tickY(at, fmt.Sprintf("%g s", v)) })
	labels := []string{"mean", "p50", "p99", "p99.9"}
	for i, l := range labels {
		p.tickX((float64(i)+0.5)/float64(len(labels)), l)
	}
	for n, r := range results {
		colour := p.colour(r.Policy)
		for i, v := range []float64{r.WaitMean, r.WaitP50, r.WaitP99, r.WaitP999} {
			x := (float64(i) + 0.15 + 0.7*(float64(n)+0.5)/float64(len(results))) / float64(len(labels))
			width := 0.6 / float64(len(results)*len(labels)) * (atX(1) - atX(0))
			fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, atX(x)-width/2, atY(waitScale.at(v)), width, atY(0)-atY(waitScale.at(v)), colour)
		}
	}
	return p.done()
}

// frontier draws GPU-hours not busy against p99, one point a run.
func frontier(results []*Result, bound float64) template.HTML {
	p := newPlot()
	most := bound
	for _, r := range results {
		most = max(most, r.Idle+r.Switch)
	}
	top := niceTop(most)
	for i := range 5 {
		y := float64(i) / 4
		p.tickY(y, fmt.Sprintf("%g", y*top))
	}
	waitScale.decades(func(at, v float64) { p.tickX(at, fmt.Sprintf("%g s", v)) })
	p.text((atX(0)+atX(1))/2, plotHeight-6, "middle", "p99 of the wait")
	p.text(atX(0)+4, atY(1)+14, "start", "GPU-hours not busy")
	fmt.Fprintf(p, `<path d="M%.1f %.1fh%.1f" stroke="#888" stroke-dasharray="4 4"/>`, atX(0), atY(bound/top), atX(1)-atX(0))
	for _, r := range results {
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`, atX(waitScale.at(r.WaitP99)), atY((r.Idle+r.Switch)/top), p.colour(r.Policy))
	}
	return p.done()
}

// niceTop gives a round number that is not below v.
func niceTop(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, k := range []float64{1, 2, 4, 6, 8, 10} {
		if k*unit >= v {
			return k * unit
		}
	}
	return 10 * unit
}

// gpuTimeline draws what GPUs were held for, stacked.
func gpuTimeline(t *Timeline) template.HTML {
	p := newPlot()
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
		p.tickY(float64(i)/4, fmt.Sprintf("%g", float64(i)/4*float64(t.GPUs)))
	}
	n := len(t.Busy)
	for i := range 8 {
		x := float64(i) / 7
		p.tickX(x, fmt.Sprintf("%.1f h", x*float64(n)*t.Stretch/3600))
	}
	below := make([]float64, n)
	for i, l := range layers {
		var up, down strings.Builder
		for k := range n {
			x0, x1 := atX(float64(k)/float64(n)), atX(float64(k+1)/float64(n))
			fmt.Fprintf(&up, "L%.1f %.1fL%.1f %.1f", x0, atY((below[k]+l.held[k])/float64(t.GPUs)), x1, atY((below[k]+l.held[k])/float64(t.GPUs)))
		}
		for k := n - 1; k >= 0; k-- {
			x0, x1 := atX(float64(k)/float64(n)), atX(float64(k+1)/float64(n))
			fmt.Fprintf(&down, "L%.1f %.1fL%.1f %.1f", x1, atY(below[k]/float64(t.GPUs)), x0, atY(below[k]/float64(t.GPUs)))
			below[k] += l.held[k]
		}
		if n > 0 {
			fmt.Fprintf(p, `<path d="M%s%sZ" fill="%s"/>`, strings.TrimPrefix(up.String(), "L"), down.String(), l.colour)
		}
		p.legend(i, l.colour, l.label)
	}
	return p.done()
}
