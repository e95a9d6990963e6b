package bench_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

// oneAtATime is a server that takes so long for each request, and serves them in turn.
func oneAtATime(takes time.Duration) http.HandlerFunc {
	var turn chan struct{}
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { turn = make(chan struct{}, 1) }) // in the bubble: time stands still while one waits for a channel of another
		turn <- struct{}{}
		defer func() { <-turn }()
		script(nil, piece{takes, token("a") + done})(w, r)
	}
}

func constant(t *testing.T, rate float64) bench.Arrivals {
	t.Helper()
	a, err := bench.NewArrivals(bench.ArriveConstant, rate, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A server that is too slow for the rate: each request waits for all before it, and that is what a caller who came at its time would have seen.
func TestRun_OpenLoopCountsFromTheIntendedTime(t *testing.T) {
	inBubble(t, oneAtATime(100*ms), func(t *testing.T, c *bench.Client) {
		const n = 20
		_, samples := drive(t, t.Context(), bench.Config{
			Plan: bench.First(n, bench.Repeat(bench.Request{Model: "m"}, constant(t, 20))), Sender: c,
		}, bench.SLO{})
		if len(samples) != n {
			t.Fatalf("got %d samples, want %d", len(samples), n)
		}
		for i, s := range samples {
			if got, want := s.First.Sub(s.Intended), time.Duration(i+1)*100*ms-time.Duration(i)*50*ms; got != want {
				t.Errorf("request %d: first token after %v, want %v", i, got, want)
			}
		}
	})
}

// With a bound on requests at once the generator itself falls behind. That is said as lag, and counted as latency all the same.
func TestRun_BoundOnRequestsAtOnceHidesNothing(t *testing.T) {
	inBubble(t, oneAtATime(100*ms), func(t *testing.T, c *bench.Client) {
		result, samples := drive(t, t.Context(), bench.Config{
			Plan: bench.First(10, bench.Repeat(bench.Request{Model: "m"}, constant(t, 20))), Sender: c, AtOnce: 1,
		}, bench.SLO{})
		for i, s := range samples {
			if got, want := s.End.Sub(s.Intended), time.Duration(i+1)*100*ms-time.Duration(i)*50*ms; got != want {
				t.Errorf("request %d: took %v, want %v", i, got, want)
			}
		}
		if got := summarize(t, result).Latency[bench.MetricLag].Max; got < 449 || got > 451 {
			t.Errorf("lag: got %v ms at most, want 450", got)
		}
	})
}

func TestRun_ClosedLoopKeepsSoManyUnderWay(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		script(nil, piece{100 * ms, token("a") + done})(w, r)
		mu.Lock()
		now--
		mu.Unlock()
	}, func(t *testing.T, c *bench.Client) {
		result, samples := drive(t, t.Context(), bench.Config{
			Plan: bench.Repeat(bench.Request{Model: "m"}, nil), Sender: c, Closed: true, AtOnce: 4, For: time.Second, Warmup: 4,
		}, bench.SLO{})
		if most != 4 {
			t.Errorf("%d at once, want 4", most)
		}
		if len(samples) != 36 { // ten rounds of four, of which the first is no warm server's
			t.Errorf("got %d samples, want 36", len(samples))
		}
		if s := summarize(t, result); s.Seconds != 1 || s.RequestsPerS != 36 {
			t.Errorf("got %v a second in %v s, want 36 in 1", s.RequestsPerS, s.Seconds)
		}
	})
}

func TestRun_StopLetsWhatIsUnderWayEnd(t *testing.T) {
	for _, closed := range []bool{true, false} {
		inBubble(t, script(nil, piece{300 * ms, token("a") + done}), func(t *testing.T, c *bench.Client) {
			stop := make(chan struct{})
			time.AfterFunc(time.Second+50*ms, func() { close(stop) })
			cfg := bench.Config{Plan: bench.Repeat(bench.Request{Model: "m"}, constant(t, 10)), Sender: c, Stop: stop}
			want := 11 // at 0, 100, … 1000 ms
			if closed {
				cfg.Plan, cfg.Closed, cfg.AtOnce, want = bench.Repeat(bench.Request{Model: "m"}, nil), true, 2, 8
			}
			result, _ := drive(t, t.Context(), cfg, bench.SLO{})
			if s := summarize(t, result); s.Requests != int64(want) || s.Failed+s.Interrupted != 0 {
				t.Errorf("closed %t: got %d requests, %d failed, %d interrupted, want %d, 0, 0", closed, s.Requests, s.Failed, s.Interrupted, want)
			}
		})
	}
}

func TestRun_EndedRunStillReports(t *testing.T) {
	inBubble(t, script(nil, piece{300 * ms, token("a") + done}), func(t *testing.T, c *bench.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 1050*ms)
		defer cancel()
		result, _ := drive(t, ctx, bench.Config{Plan: bench.Repeat(bench.Request{Model: "m"}, constant(t, 10)), Sender: c}, bench.SLO{})
		if s := summarize(t, result); s.Requests != 8 || s.Failed != 0 || s.Interrupted != 3 {
			t.Errorf("got %d requests, %d failed, %d interrupted, want 8, 0, 3", s.Requests, s.Failed, s.Interrupted)
		}
	})
}

func TestRun_SaysWhatIsMissing(t *testing.T) {
	plan := bench.Repeat(bench.Request{}, nil)
	for _, c := range []bench.Config{{}, {Plan: plan, Sender: &bench.Client{}, Keep: func(*bench.Sample) {}, Closed: true}} {
		if err := bench.Run(t.Context(), c); err == nil {
			t.Errorf("%+v: got no error", c)
		}
	}
}
