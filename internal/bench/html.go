package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

//go:embed report.html.tmpl
var reportText string

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"three": func(v float64) string { return fmt.Sprintf("%.3g", v) },
	"usd":   func(n int64) string { return fleet.NanoUSD(n).String() },
}).Parse(reportText))

// page is what the template is filled with.
type page struct {
	Results                    []pageResult
	Ratios                     []Ratio
	Percentiles, Shares, Times template.HTML
}

type pageResult struct {
	Name    string
	Runs    []Measurement
	Summary *Summary
	Rows    []pageRow
	Counts  []pageCount
	result  *Result
	spans   map[string]*Histogram
}

type pageRow struct {
	Metric string
	LatencyRow
}

type pageCount struct{ Name, Value string }

// WriteHTML writes one page that needs nothing else: tables of results, and plots as inline SVG. ratios are those of the second to the first, nil = none.
func WriteHTML(w io.Writer, ratios []Ratio, results ...*Result) error {
	p := page{Ratios: ratios}
	for i, r := range results {
		one, err := newPageResult(string(rune('A'+i)), r)
		if err != nil {
			return err
		}
		p.Results = append(p.Results, one)
	}
	p.Percentiles, p.Shares, p.Times = plotPercentiles(p.Results), plotShares(p.Results), plotTimes(p.Results)
	return reportPage.Execute(w, p)
}

func newPageResult(name string, r *Result) (pageResult, error) {
	s, err := r.Summarize()
	if err != nil {
		return pageResult{}, err
	}
	one := pageResult{Name: name, Runs: r.Runs, Summary: s, result: r, spans: make(map[string]*Histogram)}
	all := newBlock()
	for _, b := range r.blocks() {
		all.merge(b)
	}
	one.spans = all.Latency
	for _, metric := range Metrics {
		if row, measured := s.Latency[metric]; measured {
			one.Rows = append(one.Rows, pageRow{metric, row})
		}
	}
	for _, of := range []struct {
		prefix string
		counts map[string]int64
	}{{"start ", s.Starts}, {"failed: ", s.Failures}} {
		for _, key := range slices.Sorted(maps.Keys(of.counts)) {
			one.Counts = append(one.Counts, pageCount{of.prefix + key, fmt.Sprint(of.counts[key])})
		}
	}
	return one, nil
}
