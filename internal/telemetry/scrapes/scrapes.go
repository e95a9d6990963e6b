// Package scrapes is for tests: what Prometheus makes of scrapes. It reads them with Prometheus's own parser, and evaluates PromQL and alert rules over
// them with its own engine.
package scrapes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Series is one of a scrape.
type Series struct {
	Labels labels.Labels
	Value  float64
}

// Name is the metric's.
func (s *Series) Name() string { return s.Labels.Get(model.MetricNameLabel) }

// Scrape is what a target has shown at one moment.
type Scrape []Series

// Read reads a scrape of the job pilotlight, with honor_labels, and adds up.
func Read(text string) (Scrape, error) {
	p := textparse.NewPromParser([]byte(text), labels.NewSymbolTable(), false)
	all := Scrape{{labels.FromStrings(model.MetricNameLabel, "up", "job", "pilotlight", "instance", "target:8081"), 1}}
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("reading a scrape: %w", err)
		case entry != textparse.EntrySeries:
			continue
		}
		var own labels.Labels
		p.Labels(&own)
		_, _, value := p.Series()
		b := labels.NewBuilder(own)
		for name, of := range map[string]string{"job": "pilotlight", "instance": "target:8081"} {
			if own.Get(name) == "" {
				b.Set(name, of)
			}
		}
		all = append(all, Series{b.Labels(), value})
	}
}

// Fits gives the places of the series that all matchers fit.
func (s Scrape) Fits(matchers ...*labels.Matcher) (places []int) {
	for i := range s {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s[i].Labels.Get(m.Name)) }) {
			places = append(places, i)
		}
	}
	return places
}

// History is scrapes in the order of their moments. It can be queried.
type History struct {
	lines  map[string]*line // a series' labels as text -> it
	engine *promql.Engine
}

type line struct {
	labels  labels.Labels
	samples []chunks.Sample
}

// NewHistory gives an empty one.
func NewHistory() *History {
	return &History{lines: map[string]*line{}, engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1 << 24, Timeout: time.Minute})}
}

// Add adds a scrape, later than all before.
func (h *History) Add(at time.Time, s Scrape) {
	for _, one := range s {
		key := one.Labels.String()
		l := h.lines[key]
		if l == nil {
			l = &line{labels: one.Labels}
			h.lines[key] = l
		}
		l.samples = append(l.samples, sample{at.UnixMilli(), one.Value})
	}
}

// True reports whether an expression gives anything at a moment.
func (h *History) True(t testing.TB, expr string, at time.Time) bool {
	t.Helper()
	q, err := h.engine.NewInstantQuery(context.Background(), h, nil, expr, at)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	v, err := q.Exec(context.Background()).Vector()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return len(v) > 0
}

// Fires reports whether an alert fires at a moment: its expression has given something at each look for as long as it says.
func (h *History) Fires(t testing.TB, rule *rulefmt.Rule, at time.Time, every time.Duration) bool {
	t.Helper()
	for back := time.Duration(0); back <= time.Duration(rule.For); back += every {
		if !h.True(t, rule.Expr, at.Add(-back)) {
			return false
		}
	}
	return true
}

// Parser is PromQL's.
func Parser() parser.Parser { return parser.NewParser(parser.Options{}) }

// Rules reads a file of rules.
func Rules(path string) ([]rulefmt.Rule, error) {
	groups, problems := rulefmt.ParseFile(path, false, model.UTF8Validation, Parser(), slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

// Querier makes a History a storage of Prometheus's.
func (h *History) Querier(int64, int64) (storage.Querier, error) { return querier{h}, nil }

type querier struct{ *History }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for _, l := range q.lines {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(l.labels.Get(m.Name)) }) {
			set.all = append(set.all, storage.NewListSeries(l.labels, l.samples))
		}
	}
	slices.SortFunc(set.all, func(a, b *storage.SeriesEntry) int { return labels.Compare(a.Lset, b.Lset) })
	return set
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) Close() error { return nil }

type seriesSet struct {
	all []*storage.SeriesEntry
	at  int
}

func (s *seriesSet) Next() bool {
	s.at++
	return s.at < len(s.all)
}

func (s *seriesSet) At() storage.Series                { return s.all[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// sample is a number at a moment.
type sample struct {
	t int64
	v float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
