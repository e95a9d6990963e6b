// Package plot draws plots as SVG text for pages that need nothing else: no script, no font, no other file. It never decides what is drawn.
package plot

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// Width and Height are those of the field, in its own units.
const (
	Width, Height         = 900.0, 300.0
	marginLeft, marginTop = 60.0, 12.0
	marginRight           = 150.0
	marginBottom          = 40.0
)

// Plot draws on a field of fixed size; x and y run from 0 to 1, to the right and up.
type Plot struct {
	strings.Builder
	series []string // in the legend
}

var palette = []string{"#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#cb912f", "#787774", "#d44c47"}

// New begins a plot with its frame.
func New() *Plot {
	p := &Plot{}
	fmt.Fprintf(p, `<svg viewBox="0 0 %g %g" role="img">`, Width, Height)
	fmt.Fprintf(p, `<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#bbb"/>`,
		marginLeft, marginTop, Width-marginLeft-marginRight, Height-marginTop-marginBottom)
	return p
}

// Done ends the plot and gives it.
func (p *Plot) Done() template.HTML {
	p.WriteString("</svg>")
	return template.HTML(p.String())
}

// X is where x, from 0 to 1, lies in the field.
func X(x float64) float64 { return marginLeft + x*(Width-marginLeft-marginRight) }

// Y is where y lies.
func Y(y float64) float64 {
	return Height - marginBottom - y*(Height-marginTop-marginBottom)
}

// Text writes s at a place of the field; anchor is start, middle or end.
func (p *Plot) Text(x, y float64, anchor, s string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(s))
}

// TickX writes a label below x.
func (p *Plot) TickX(x float64, label string) {
	fmt.Fprintf(p, `<path d="M%.1f %.1fv5" stroke="#bbb"/>`, X(x), Y(0))
	p.Text(X(x), Y(0)+17, "middle", label)
}

// TickY writes a label left of y, with a line through the field.
func (p *Plot) TickY(y float64, label string) {
	fmt.Fprintf(p, `<path d="M%.1f %.1fh%.1f" stroke="#eee"/>`, X(0), Y(y), X(1)-X(0))
	p.Text(X(0)-6, Y(y)+4, "end", label)
}

// Legend writes the entry i of the legend.
func (p *Plot) Legend(i int, colour, label string) {
	y := marginTop + 10 + 16*float64(i)
	fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="10" height="10" fill="%s"/>`, X(1)+8, y-9, colour)
	p.Text(X(1)+22, y, "start", label)
}

// Colour gives that of a series, and adds a new one to the legend.
func (p *Plot) Colour(series string) string {
	i := slices.Index(p.series, series)
	if i < 0 {
		i = len(p.series)
		p.series = append(p.series, series)
		p.Legend(i, palette[i%len(palette)], series)
	}
	return palette[i%len(palette)]
}

// Line draws points from left to right in the colour of a series.
func (p *Plot) Line(series string, points []Point) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(p, `<path fill="none" stroke-width="1.5" stroke="%s" d="`, p.Colour(series))
	for i, at := range points {
		fmt.Fprintf(p, "%c%.1f %.1f", "ML"[min(i, 1)], X(at.X), Y(at.Y))
	}
	p.WriteString(`"/>`)
}

// Point is a place in the field, each from 0 to 1.
type Point struct{ X, Y float64 }

// Log maps a positive value to 0 to 1.
type Log struct{ Low, High float64 }

// At is where v lies, from 0 to 1; what is outside lies at the edge.
func (s Log) At(v float64) float64 {
	return (math.Log10(min(max(v, s.Low), s.High)) - math.Log10(s.Low)) / (math.Log10(s.High) - math.Log10(s.Low))
}

// Decades calls f for each power of ten in the scale.
func (s Log) Decades(f func(at, value float64)) {
	for v := math.Pow(10, math.Ceil(math.Log10(s.Low)-1e-9)); v <= s.High*1.0001; v *= 10 {
		f(s.At(v), v)
	}
}

// NiceTop gives a round number that is not below v.
func NiceTop(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, k := range []float64{1, 2, 4, 6, 8, 10} {
		if k*unit >= v {
			return k * unit
		}
	}
	return 10 * unit
}
