package console_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/series"
)

// fakeSeries has ten minutes of one model and of the fleet, up to a fixed moment.
type fakeSeries struct{}

var seriesEnd = time.Date(2026, 3, 1, 12, 10, 0, 0, time.UTC)

func (f *fakeSeries) Read(model string, _ series.Span, after time.Time) (series.Series, bool) {
	s := series.Series{At: []int64{}, Values: map[string][]float32{}}
	if model != "" && model != "m/one" {
		return s, false
	}
	for at := seriesEnd.Add(-10*time.Minute + 2*time.Second); !at.After(seriesEnd); at = at.Add(2 * time.Second) {
		if !at.After(after) {
			continue
		}
		s.At = append(s.At, at.Unix())
		s.Values["requests"] = append(s.Values["requests"], 2.5)
		for _, name := range []string{"failed", "waiting", "hot", "starting", "parked", "gpus_busy", "gpus_idle", "gpus_starting", "gpus_stopping", "gpus_free"} {
			s.Values[name] = append(s.Values[name], 0)
		}
		for _, name := range []string{"ttft_p50", "ttft_p99"} {
			s.Values[name] = append(s.Values[name], float32(math.NaN()))
		}
	}
	return s, true
}

// Without JavaScript the series are a table.
func TestSeries_AreATableToo(t *testing.T) {
	w := newWorld(t)
	b := w.operatorAt()
	for _, path := range []string{"/fleet", "/model/m/one"} {
		page := b.wants(path, http.StatusOK, "<details id=\"plots-table\" open>", ">12:00<", ">12:05<", `<td class="number">2.5</td>`, `<td class="number">–</td>`, "uPlot.iife.min.js")
		if strings.Contains(page, ">12:10<") {
			t.Errorf("%s: the table has a row for the moment at which the last stretch ends", path)
		}
	}
	b.wants("/model/m/two", http.StatusOK, "Nothing is known yet")
}

func TestSeries_AsJSON(t *testing.T) {
	w := newWorld(t)
	b := w.operatorAt()
	r := b.get("/series?model=m%2Fone&after=" + strconv.FormatInt(seriesEnd.Add(-4*time.Second).Unix(), 10))
	var got struct {
		Step   int
		At     []int64
		Values map[string][]*float64
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 200 {
		t.Fatalf("got %d, %v: %s", r.status, err, r.body)
	}
	if len(got.At) != 2 || got.At[1] != seriesEnd.Unix() || got.Step != 2 || *got.Values["requests"][1] != 2.5 || got.Values["ttft_p50"][0] != nil {
		t.Errorf("got %s, want the two points behind, null where nothing is known", r.body)
	}
	b.wants("/series?span=year", http.StatusBadRequest, "hour and day")
	b.wants("/series?after=noon", http.StatusBadRequest, "seconds since 1970")
	if r := b.get("/series?model=m%2Ftwo"); r.status != 200 || !strings.Contains(r.body, `"at":[]`) {
		t.Errorf("of a model that is not in use: got %d %s", r.status, r.body)
	}
	secret, _ := w.token("acme", "inference", "usage:read")
	c := w.browser(w.operator)
	c.signIn(secret)
	if r := c.get("/series"); r.status != http.StatusForbidden {
		t.Errorf("a caller: got %d, want no rights: traffic is everybody's", r.status)
	}
	if r := c.get("/model/m/one"); strings.Contains(r.body, "plots-table") {
		t.Error("a caller is shown everybody's traffic")
	}
}
