package bench_test

import (
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

func TestArrivals_ConstantNeverDrifts(t *testing.T) {
	next := constant(t, 3)
	for i := range 300_000 {
		if got, want := next(), time.Duration(float64(i)/3*1e9); max(got-want, want-got) > 1 {
			t.Fatalf("arrival %d: got %v, want %v", i, got, want)
		}
	}
}

func TestArrivals_HaveTheirRateAndVariation(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		cv, is float64
	}{{bench.ArrivePoisson, 0, 1}, {bench.ArriveBursty, 3, 3}, {bench.ArriveBursty, 0.5, 0.5}} {
		next, err := bench.NewArrivals(tt.kind, 50, tt.cv, 7)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := bench.NewArrivals(tt.kind, 50, tt.cv, 7)
		const n = 200_000
		var last time.Duration
		var sum, squares float64
		for range n {
			at := next()
			if other := again(); other != at {
				t.Fatalf("%s: one seed gave %v and %v", tt.kind, at, other)
			}
			gap := (at - last).Seconds()
			last, sum, squares = at, sum+gap, squares+gap*gap
		}
		mean := sum / n
		if cv := math.Sqrt(squares/n-mean*mean) / mean; math.Abs(mean*50-1) > 0.03 || math.Abs(cv/tt.is-1) > 0.03 {
			t.Errorf("%s: got %.2f a second with a variation of %.2f, want 50 and %v", tt.kind, 1/mean, cv, tt.is)
		}
	}
}

func TestArrivals_RefuseWhatIsNoRate(t *testing.T) {
	for _, tt := range []struct {
		kind     string
		rate, cv float64
	}{{bench.ArrivePoisson, 0, 0}, {bench.ArrivePoisson, math.NaN(), 0}, {bench.ArriveBursty, 1, 0}, {"uniform", 1, 1}} {
		if _, err := bench.NewArrivals(tt.kind, tt.rate, tt.cv, 1); err == nil {
			t.Errorf("%+v: got no error", tt)
		}
	}
}

func TestReplay_SendsATracesPartAtItsTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	_, _ = io.WriteString(z, "t_ms,model,input_tokens,output_tokens\n500,a,1,1\n1000,a,10,20\n2000,b,30,400\n2500,c,0,0\n4000,a,1,1\n")
	_ = z.Close()
	_ = f.Close()
	profiles := []trace.Profile{{Model: "a"}, {Model: "b"}, {Model: "c"}}
	r, err := trace.Open(path, profiles)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	plan, err := bench.Replay{From: time.Second, For: 3 * time.Second, Speed: 2, Rename: map[string]string{"a": "org/a", "": "rest"}, Output: 100}.Plan(r, profiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bench.Request{
		{At: 0, Model: "org/a", Input: 10, Output: 20},
		{At: 500 * ms, Model: "rest", Input: 30, Output: 100},
		{At: 750 * ms, Model: "rest", Input: 1, Output: 1},
	} {
		var got bench.Request
		if err := plan(&got); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if err := plan(&bench.Request{}); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}
