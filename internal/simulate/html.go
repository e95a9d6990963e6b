package simulate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// Report is what the HTML page shows.
type Report struct {
	Trace   string
	Nodes   int
	GPUs    int // of a node
	Lambda  float64
	Bound   trace.Bound
	Results []*Result
}

//go:embed report.html.tmpl
var reportText string

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"f1":      func(x float64) string { return fmt.Sprintf("%.1f", x) },
	"f2":      func(x float64) string { return fmt.Sprintf("%.2f", x) },
	"percent": func(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) },
}).Parse(reportText))

// WriteHTML writes one page that needs nothing else: the table, and plots as inline SVG.
func WriteHTML(w io.Writer, r Report) error {
	page := struct {
		Report
		Percentiles, Frontier template.HTML
		Timelines             []labelled
	}{Report: r, Percentiles: percentiles(r.Results), Frontier: frontier(r.Results, r.Bound.IdleGPUHours)}
	shown := make(map[string]bool)
	for _, res := range r.Results {
		if !shown[res.Policy] { // seeds look alike
			shown[res.Policy] = true
			page.Timelines = append(page.Timelines, labelled{res.Policy, gpuTimeline(&res.Timeline)})
		}
	}
	return reportPage.Execute(w, page)
}

type labelled struct {
	Label string
	Plot  template.HTML
}
