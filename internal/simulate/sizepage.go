package simulate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/plot"
)

// SizeColumns are the heads of the text table of fleet sizes; those to be set to the right begin with ">".
var SizeColumns = []string{"POLICY", ">GPUS", ">NODES", ">OF DEDICATED", ">P99 S", ">MODELS WITHIN"}

// Row gives the policy's line of the text table.
func (f *FleetSize) Row() []any {
	row := []any{f.Policy, "none", "", "", fmt.Sprintf("%.2f", f.WaitP99), fmt.Sprintf("%d of %d", f.ModelsIn, f.Models)}
	if f.Met {
		row[1], row[2], row[3] = f.GPUs, f.Nodes, fmt.Sprintf("%.0f%%", 100*f.Share)
	}
	return row
}

// SizeReport is what the HTML page of fleet sizes shows.
type SizeReport struct {
	Trace string
	For   time.Duration
	GPUs  int // of a node
	Seeds []uint64
	Sizes []*FleetSize
}

//go:embed sizes.html.tmpl
var sizesText string

var sizesPage = template.Must(template.New("sizes").Funcs(template.FuncMap{
	"f2":      func(x float64) string { return fmt.Sprintf("%.2f", x) },
	"percent": func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
	"span":    fleet.FormatDuration,
}).Parse(sizesText))

// WriteSizesHTML writes one page that needs nothing else: the table, and what was waited with each fleet as inline SVG.
func WriteSizesHTML(w io.Writer, r SizeReport) error {
	return sizesPage.Execute(w, struct {
		SizeReport
		Plot template.HTML
	}{r, fleetWaits(&r)})
}

// fleetWaits draws the p99 of the wait against the fleet, a line a policy, and the wait that was asked for.
func fleetWaits(r *SizeReport) template.HTML {
	p := plot.New()
	most := 1
	for _, s := range r.Sizes {
		most = max(most, s.Looked[len(s.Looked)-1].GPUs)
	}
	top := plot.NiceTop(float64(most))
	for i := range 5 {
		p.TickX(float64(i)/4, fmt.Sprintf("%g", math.Round(float64(i)/4*top)))
	}
	waitScale.Decades(func(at, v float64) { p.TickY(at, fmt.Sprintf("%g s", v)) })
	p.Text((plot.X(0)+plot.X(1))/2, plot.Height-6, "middle", "GPUs of the fleet")
	fmt.Fprintf(p, `<path d="M%.1f %.1fh%.1f" stroke="#888" stroke-dasharray="4 4"/>`, plot.X(0), plot.Y(waitScale.At(r.For.Seconds())), plot.X(1)-plot.X(0))
	for _, s := range r.Sizes {
		var points []plot.Point
		for _, w := range s.Looked {
			at := plot.Point{X: float64(w.GPUs) / top, Y: waitScale.At(w.WaitP99)}
			points = append(points, at)
			fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, plot.X(at.X), plot.Y(at.Y), p.Colour(s.Policy))
		}
		p.Line(s.Policy, points)
	}
	return p.Done()
}
