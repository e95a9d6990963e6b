package console

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/series"
)

// Series is what the console asks of the live series: of a model, "" = of the whole fleet.
type Series interface {
	Read(model string, span series.Span, after time.Time) (series.Series, bool)
}

// plot is one chart of live series.
type plot struct {
	Title, Unit string
	Lines       []plotLine
}

// plotLine is one line of a plot.
type plotLine struct {
	Key, Name string
	Colour    int // of the console's own, from 0
}

var (
	requestsPlot = plot{"Requests", "a second", []plotLine{{"requests", "answered", 1}, {"failed", "failed", 0}}}
	waitingPlot  = plot{"Waiting", "requests", []plotLine{{"waiting", "waiting", 4}}}
	ttftPlot     = plot{"Time to first token", "s", []plotLine{{"ttft_p50", "half within", 2}, {"ttft_p99", "99 of 100 within", 3}}}

	fleetPlots = []plot{requestsPlot, waitingPlot, {"GPUs by what they do", "GPUs", []plotLine{
		{"gpus_busy", "serve", 0}, {"gpus_idle", "hot and idle", 4}, {"gpus_starting", "start or wake", 1}, {"gpus_stopping", "park or stop", 3}, {"gpus_free", "free", 5},
	}}, ttftPlot}
	modelPlots = []plot{requestsPlot, waitingPlot, {"Instances", "number", []plotLine{{"hot", "hot", 0}, {"starting", "starting", 4}, {"parked", "parked", 1}}}, ttftPlot}
)

// plots are the charts of one subject, and the same as a table.
type plots struct {
	URL   string
	Of    string // for people
	Plots []plot
	Rows  []plotRow
}

// plotRow is a stretch of the last hour: the mean of each line of each plot, in their order.
type plotRow struct {
	At     time.Time
	Values []string
}

// tableStep is a row of the table.
const tableStep = 5 * time.Minute

// plotsOf gives the charts of a model, "" = of the whole fleet.
func (v *visit) plotsOf(model string) plots {
	p := plots{URL: v.base + "/series?model=" + url.QueryEscape(model), Of: "the fleet", Plots: fleetPlots}
	if model != "" {
		p.Of, p.Plots = model, modelPlots
	}
	s, _ := v.c.Series.Read(model, series.Hour, time.Time{})
	per := int64(tableStep / time.Second)
	for from := 0; from < len(s.At); {
		to := from
		for to < len(s.At) && (s.At[to]-1)/per == (s.At[from]-1)/per {
			to++
		}
		row := plotRow{At: time.Unix(((s.At[from]-1)/per)*per, 0).UTC()}
		for _, one := range p.Plots {
			for _, line := range one.Lines {
				row.Values = append(row.Values, meanOf(s.Values[line.Key][from:to]))
			}
		}
		p.Rows = append(p.Rows, row)
		from = to
	}
	return p
}

// meanOf writes the mean of what is known.
func meanOf(values []float32) string {
	sum, n := 0.0, 0
	for _, v := range values {
		if v == v {
			sum += float64(v)
			n++
		}
	}
	if n == 0 {
		return "–"
	}
	return shortNumber(sum / float64(n))
}

// shortNumber writes three digits, or all that are before the point.
func shortNumber(f float64) string {
	switch {
	case f == math.Trunc(f):
		return strconv.FormatFloat(f, 'f', -1, 64)
	case f < 1:
		return strconv.FormatFloat(f, 'f', 3, 64)
	case f < 100:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// series answers with the points after a moment, in JSON: seconds since 1970, and the values of each line; null = nothing is known.
func (v *visit) series() error {
	span := series.Hour
	switch v.Query("span", "hour") {
	case "hour":
	case "day":
		span = series.Day
	default:
		return &problem{http.StatusBadRequest, "No such span", "There are hour and day."}
	}
	after, err := strconv.ParseInt(v.Query("after", "0"), 10, 64)
	if err != nil {
		return &problem{http.StatusBadRequest, "No such moment", "after is in seconds since 1970."}
	}
	s, _ := v.c.Series.Read(v.Query("model"), span, time.Unix(after, 0))
	b := make([]byte, 0, 256+len(s.At)*len(s.Values)*5)
	b = append(b, `{"step":`...)
	b = strconv.AppendInt(b, int64(span.Step()/time.Second), 10)
	b = append(b, `,"at":[`...)
	for i, at := range s.At {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, at, 10)
	}
	b = append(b, `],"values":{`...)
	first := true
	for name, values := range s.Values { // names need no escape
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":[`...)
		for i, value := range values {
			if i > 0 {
				b = append(b, ',')
			}
			if value != value {
				b = append(b, "null"...)
			} else {
				b = strconv.AppendFloat(b, math.Round(float64(value)*1e4)/1e4, 'f', -1, 64)
			}
		}
		b = append(b, ']')
	}
	b = append(b, "}}"...)
	v.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return v.Send(b)
}
