package series

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

var bounds = []float64{0.1, 1, 10}

// fed is a recorder that is fed by hand: one sample each two seconds.
type fed struct {
	*Recorder
	at time.Time
}

func feeding(t *testing.T) *fed {
	t.Helper()
	r, err := New(Config{Sample: func() Sample { return Sample{} }, Bounds: bounds})
	if err != nil {
		t.Fatal(err)
	}
	r.began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &fed{r, r.began}
}

func (f *fed) feed(models ...Model) {
	f.at = f.at.Add(fineStep)
	for i := range models {
		if models[i].TTFT == nil {
			models[i].TTFT = make([]uint64, len(bounds)+1)
		}
	}
	f.add(Sample{Models: models, GPUs: GPUs{Busy: len(models), Free: 8 - len(models)}}, f.at)
}

func (f *fed) read(t *testing.T, model string, span Span) Series {
	t.Helper()
	s, ok := f.Read(model, span, time.Time{})
	if !ok {
		t.Fatalf("nothing is kept of %q", model)
	}
	return s
}

func last(values []float32) float32 { return values[len(values)-1] }

func TestRecorder_RatesLevelsAndFirstTokens(t *testing.T) {
	f := feeding(t)
	f.feed(Model{ID: "a", Answered: 100, Hot: 1, TTFT: []uint64{50, 0, 0, 0}})
	f.feed(Model{ID: "a", Answered: 110, Failed: 4, Hot: 2, Waiting: 3, TTFT: []uint64{55, 5, 0, 0}}, Model{ID: "b", Answered: 2})
	s := f.read(t, "a", Hour)
	if len(s.At) != 2 || s.At[1] != f.at.Unix() {
		t.Fatalf("got moments %v, want two, the second now", s.At)
	}
	for name, want := range map[string]float32{"requests": 5, "failed": 2, "hot": 2, "waiting": 3, "ttft_p50": 0.1, "ttft_p99": 0.982} {
		if got := last(s.Values[name]); math.Abs(float64(got-want)) > 1e-3 {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got := s.Values["requests"][0]; got != 0 {
		t.Errorf("what was counted before the first sample is a rate of %v", got)
	}
	all := f.read(t, "", Hour)
	if got := last(all.Values["waiting"]); got != 3 || last(all.Values["gpus_busy"]) != 2 || last(all.Values["gpus_free"]) != 6 {
		t.Errorf("the fleet: got %v", all.Values)
	}
}

// A minute has the mean of its ticks, and the percentiles of all its first tokens.
func TestRecorder_MinutesAreOfTheirTicks(t *testing.T) {
	f := feeding(t)
	for i := range uint64(coarseTicks) {
		f.feed(Model{ID: "a", Answered: 4 * i, Hot: 1, Waiting: int(i % 2), TTFT: []uint64{i, 0, i, 0}})
	}
	s := f.read(t, "a", Day)
	if len(s.At) != 1 || s.At[0] != f.at.Unix() {
		t.Fatalf("got moments %v, want one", s.At)
	}
	if got := s.Values["requests"][0]; math.Abs(float64(got)-2*29.0/30) > 1e-4 {
		t.Errorf("got %v requests a second, want the mean of the minute", got)
	}
	if got := s.Values["waiting"][0]; got != 0.5 {
		t.Errorf("got %v waiting, want the mean", got)
	}
	if p50, p99 := s.Values["ttft_p50"][0], s.Values["ttft_p99"][0]; math.Abs(float64(p50)-0.1) > 1e-4 || p99 < 9 {
		t.Errorf("got percentiles %v and %v", p50, p99)
	}
}

// However long it runs, and however many models there are, it holds as much.
func TestRecorder_IsBounded(t *testing.T) {
	f := feeding(t)
	for tick := range finePoints + 500 {
		f.feed(Model{ID: "always", Answered: uint64(tick), Hot: 1}, Model{ID: fmt.Sprint("once", tick/10), Hot: 1})
	}
	if len(f.models) > modelsMost {
		t.Errorf("got series of %d models, want %d at most", len(f.models), modelsMost)
	}
	s := f.read(t, "always", Hour)
	if len(s.At) != finePoints || s.At[0] != f.at.Add(-(finePoints-1)*fineStep).Unix() || last(s.Values["requests"]) != 0.5 {
		t.Errorf("got %d points from %d on, want the last hour", len(s.At), s.At[0])
	}
}

// A model that is in use is not dropped for another; one that is not in use begins nothing.
func TestRecorder_KeepsWhatIsInUse(t *testing.T) {
	f := feeding(t)
	var busy []Model
	for i := range modelsMost {
		busy = append(busy, Model{ID: fmt.Sprint("m", i), Hot: 1})
	}
	for range 3 {
		f.feed(append(append([]Model{}, busy...), Model{ID: "late", Hot: 1}, Model{ID: "cold"})...)
	}
	if _, ok := f.Read("late", Hour, time.Time{}); ok {
		t.Error("a model was dropped that is in use")
	}
	if _, ok := f.Read("m5", Hour, time.Time{}); !ok {
		t.Error("a model that is in use is not kept")
	}
	busy[7].Hot = 0
	for range 3 {
		f.feed(append(append([]Model{}, busy...), Model{ID: "late", Hot: 1}, Model{ID: "cold"})...)
	}
	s, ok := f.Read("late", Hour, time.Time{})
	if _, idle := f.Read("m7", Hour, time.Time{}); idle || !ok {
		t.Error("no room was made where a model is not in use any more")
	}
	if first := s.Values["hot"][0]; first == first {
		t.Errorf("got %v from before it was kept, want nothing", first)
	}
}

// A counter that begins anew is no rate below zero.
func TestRecorder_CountersBeginAnew(t *testing.T) {
	f := feeding(t)
	f.feed(Model{ID: "a", Answered: 100, Hot: 1})
	f.feed(Model{ID: "a", Answered: 6, Hot: 1})
	if got := last(f.read(t, "a", Hour).Values["requests"]); got != 3 {
		t.Errorf("got %v requests a second, want 3", got)
	}
}

func TestRead_AfterAMoment(t *testing.T) {
	f := feeding(t)
	for i := range uint64(5) {
		f.feed(Model{ID: "a", Answered: i, Hot: 1})
	}
	s, _ := f.Read("a", Hour, f.at.Add(-fineStep))
	if len(s.At) != 1 || len(s.Values["hot"]) != 1 {
		t.Errorf("got %v, want the last point", s)
	}
	if s, _ := f.Read("a", Hour, f.at); len(s.At) != 0 {
		t.Errorf("got %v, want nothing new", s)
	}
}

func TestRun_SamplesEachTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r, err := New(Config{Sample: func() Sample { n++; return Sample{} }, Bounds: bounds})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		stop()
		if err := <-done; err != nil || n != 30 {
			t.Errorf("got %v and %d samples in a minute, want 30", err, n)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	r, _ := New(Config{Sample: func() Sample { return Sample{} }, Bounds: bounds})
	var s Sample
	for i := range 1000 {
		s.Models = append(s.Models, Model{ID: fmt.Sprint("m", i), Hot: 1, TTFT: make([]uint64, len(bounds)+1)})
	}
	for b.Loop() {
		r.add(s, time.Now())
	}
}
