package bench_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sampleAt is a whole answer: meant to be sent at, with its first token after ttft and its end after e2e.
func sampleAt(at, ttft, e2e time.Duration, r bench.Receipt) *bench.Sample {
	intended := epoch.Add(at)
	return &bench.Sample{
		Intended: intended, Sent: intended, First: intended.Add(ttft), Last: intended.Add(e2e), End: intended.Add(e2e), Status: http.StatusOK,
		InputTokens: 10, OutputTokens: 5, Receipt: r,
	}
}

func measured(took time.Duration, slo bench.SLO, samples ...*bench.Sample) *bench.Result {
	c := bench.NewCollector(epoch, slo)
	for _, s := range samples {
		c.Add(s)
	}
	return &bench.Result{Runs: []bench.Measurement{{Command: "load", SLO: slo.String(), StartedAt: epoch, Seconds: took.Seconds(), Blocks: c.Blocks(epoch.Add(took))}}}
}

// The wait for a start is the server's, and what is left is the model's: neither is in the other.
func TestSummary_TellsTheWaitFromTheModel(t *testing.T) {
	cold := bench.Receipt{Start: "cold", QueueUS: 1_000_000, ActivateUS: 60_000_000, BilledUS: 2_000_000, Cost: 4_583_333, Priced: true}
	hot := bench.Receipt{Start: "hot", BilledUS: 1_000_000, Cost: 2_291_667, Priced: true}
	s := summarize(t, measured(
		10*time.Second, bench.SLO{TTFT: time.Second},
		sampleAt(0, 61*time.Second+200*ms, 63*time.Second, cold), sampleAt(time.Second, 200*ms, 1200*ms, hot), sampleAt(2*time.Second, 200*ms, 1200*ms, hot),
		&bench.Sample{Intended: epoch.Add(3 * time.Second), Failure: "429 queue_full", Status: 429},
		&bench.Sample{Intended: epoch.Add(3 * time.Second), Failure: bench.Interrupted},
	))
	for metric, want := range map[string]float64{
		bench.MetricTTFT + " cold": 61200, bench.MetricTTFT + " hot": 200, bench.MetricModelTTFT: 200, bench.MetricActivate: 60000, bench.MetricQueue: 1000,
	} {
		if got := s.Latency[metric].Max; math.Abs(got/want-1) > 0.001 {
			t.Errorf("%s: got %v ms at most, want %v", metric, got, want)
		}
	}
	if s.BilledUS != 4_000_000 || s.CostNanoUSD != 9_166_667 || s.Unpriced != 0 {
		t.Errorf("got %d us and %d nano-USD, want 4000000 and 9166667", s.BilledUS, s.CostNanoUSD)
	}
	if s.Requests != 4 || s.Failed != 1 || s.Failures["429 queue_full"] != 1 || s.Interrupted != 1 || s.Good != 2 || s.GoodputPerS != 0.2 || s.OutputPerS != 1.5 {
		t.Errorf("got %+v", s)
	}
	if diff := cmp.Diff(map[string]int64{"cold": 1, "hot": 2}, s.Starts); diff != "" {
		t.Error(diff)
	}
}

func TestSLO_IsWhatIsWritten(t *testing.T) {
	slo, err := bench.ParseSLO("e2e=10s, ttft=500ms,inter_token=50ms")
	if want := (bench.SLO{TTFT: 500 * ms, InterToken: 50 * ms, E2E: 10 * time.Second}); err != nil || slo != want {
		t.Fatalf("got %+v, %v; want %+v", slo, err, want)
	}
	if got, want := slo.String(), "e2e=10s,inter_token=50ms,ttft=500ms"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, wrong := range []string{"ttft", "ttft=5", "itl=5ms", "ttft=-1s", "ttft=1s,"} {
		if _, err := bench.ParseSLO(wrong); err == nil {
			t.Errorf("%q: got no error", wrong)
		}
	}
	whole := sampleAt(0, 100*ms, 100*ms+4*50*ms, bench.Receipt{}) // five tokens, 50 ms each
	for text, want := range map[string]int64{"": 1, "ttft=100ms": 1, "ttft=99ms": 0, "inter_token=50ms": 1, "inter_token=49ms": 0, "e2e=299ms": 0} {
		slo, _ := bench.ParseSLO(text)
		if got := summarize(t, measured(time.Second, slo, whole)).Good; got != want {
			t.Errorf("%q: got %d good, want %d", text, got, want)
		}
	}
}

// However long a run is, it is a bounded number of blocks, and no sample is lost or moved.
func TestCollector_KeepsItsBlocksBounded(t *testing.T) {
	for _, span := range []time.Duration{time.Second, time.Minute, 26 * time.Hour} {
		const n = 5000
		c := bench.NewCollector(epoch, bench.SLO{})
		order := rand.New(rand.NewPCG(1, 2)).Perm(n)
		for _, i := range order {
			c.Add(sampleAt(time.Duration(i)*span/n, ms, 2*ms, bench.Receipt{}))
		}
		blocks := c.Blocks(epoch.Add(span))
		var requests int64
		var long float64
		for _, b := range blocks {
			requests += b.Requests
			long += b.Seconds
		}
		if len(blocks) < 16 || len(blocks) > 32 || requests != n || math.Abs(long-span.Seconds()) > 1e-6 {
			t.Errorf("%v: got %d blocks, %d requests, %v s; want 16 to 32, %d, all of it", span, len(blocks), requests, long, n)
		}
	}
}

func TestResult_IsTheSameWhenReadBack(t *testing.T) {
	r := measured(4*time.Second, bench.SLO{E2E: time.Second}, sampleAt(0, ms, 2*ms, bench.Receipt{Start: "hot"}), sampleAt(3*time.Second, 500*ms, 2*time.Second, bench.Receipt{}))
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	read, err := bench.Read(&text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(summarize(t, r), summarize(t, read)); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"", "[]", `{"schema":"other/1"}`, `{"schema":"pilotlight-bench/1","runs":[{"blocks":[null]}]}`} {
		if _, err := bench.Read(strings.NewReader(wrong)); err == nil {
			t.Errorf("%q: got no error", wrong)
		}
	}
}

// Two generators of one load are twice the rate; two runs one after the other are twice as long.
func TestMerge_KnowsRunsThatOverlap(t *testing.T) {
	a, b := measured(10*time.Second, bench.SLO{}, sampleAt(0, ms, ms, bench.Receipt{})), measured(10*time.Second, bench.SLO{}, sampleAt(0, 3*ms, 3*ms, bench.Receipt{}))
	for later, want := range map[time.Duration]float64{0: 10, 4 * time.Second: 14, time.Hour: 20} {
		b.Runs[0].StartedAt = epoch.Add(later)
		merged, err := bench.Merge(a, b)
		if err != nil {
			t.Fatal(err)
		}
		s := summarize(t, merged)
		if math.Abs(s.Seconds-want) > 1e-9 || s.Requests != 2 || s.Latency["ttft"].Count != 2 {
			t.Errorf("%v later: got %v s and %d requests, want %v and 2", later, s.Seconds, s.Requests, want)
		}
	}
	other := measured(time.Second, bench.SLO{TTFT: ms})
	if _, err := bench.Merge(a, other); err == nil {
		t.Error("results with other objectives were put together")
	}
	if _, err := bench.Merge(); err == nil {
		t.Error("nothing was put together")
	}
}

// drawn is a run of which the first tokens come after an exponential time; each block has a pace of its own, as machines do.
func drawn(r *rand.Rand, mean time.Duration) *bench.Result {
	var all []*bench.Sample
	for block := range 20 {
		pace := math.Exp(0.2 * r.NormFloat64())
		for i := range 40 {
			ttft := time.Duration(float64(mean) * pace * r.ExpFloat64())
			all = append(all, sampleAt(time.Duration(block)*time.Second+time.Duration(i)*25*ms, ttft, ttft, bench.Receipt{}))
		}
	}
	return measured(20*time.Second, bench.SLO{}, all...)
}

func ratioOf(t *testing.T, a, b *bench.Result, name string) bench.Ratio {
	t.Helper()
	ratios, enough, err := bench.Compare(a, b, 1)
	if err != nil || !enough {
		t.Fatalf("got %t, %v; want enough blocks", enough, err)
	}
	for _, r := range ratios {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no ratio of %s in %+v", name, ratios)
	return bench.Ratio{}
}

// An interval of 95 % has to hold the true ratio in about 95 of 100 comparisons. With 20 blocks a bootstrap is a little too narrow.
func TestCompare_IntervalsHoldTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("forty comparisons; not in short runs")
	}
	r := rand.New(rand.NewPCG(3, 4))
	const trials, truth = 40, 1.3
	held := 0
	for range trials {
		got := ratioOf(t, drawn(r, 100*ms), drawn(r, 130*ms), "ttft mean")
		if got.Low <= truth && truth <= got.High {
			held++
		}
	}
	t.Logf("held in %d of %d", held, trials)
	if held < 34 {
		t.Errorf("the interval held the truth in %d of %d, want at least 34", held, trials)
	}
}

func TestCompare_SaysWhatDiffers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	a, same, twice := drawn(r, 100*ms), drawn(r, 100*ms), drawn(r, 200*ms)
	if got := ratioOf(t, a, same, "ttft p50"); got.Verdict() != "no difference shown" {
		t.Errorf("the same: got %+v, %s", got, got.Verdict())
	}
	if got := ratioOf(t, a, twice, "ttft p50"); got.Verdict() != "worse" || got.Low < 1.5 || got.High > 2.6 {
		t.Errorf("twice as long: got %+v, %s", got, got.Verdict())
	}
	if got := ratioOf(t, twice, a, "ttft p99"); got.Verdict() != "better" {
		t.Errorf("half as long: got %+v, %s", got, got.Verdict())
	}
	if got := ratioOf(t, a, twice, "answers per second"); got.Ratio != 1 || got.Different {
		t.Errorf("answers: got %+v, want 1", got)
	}
	short := measured(time.Second, bench.SLO{}, sampleAt(0, ms, ms, bench.Receipt{}))
	short.Runs[0].Blocks = short.Runs[0].Blocks[:1]
	if _, enough, err := bench.Compare(short, short, 1); enough || err != nil {
		t.Errorf("one block: got %t, %v; want not enough", enough, err)
	}
}

func TestWriteHTML_NeedsNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	a, b := drawn(r, 100*ms), drawn(r, 200*ms)
	a.Runs[0].Models = []string{"<script>alert(1)</script>"}
	ratios, _, err := bench.Compare(a, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, results := range [][]*bench.Result{{a, b}, {measured(time.Second, bench.SLO{})}} {
		var page bytes.Buffer
		if err := bench.WriteHTML(&page, ratios, results...); err != nil {
			t.Fatal(err)
		}
		text := page.String()
		if strings.Count(text, "<svg") != 3 || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("got a page with %d plots, want 3, of numbers", strings.Count(text, "<svg"))
		}
		for _, foreign := range []string{"<script", "http://", "https://", "<link", "src="} {
			if strings.Contains(text, foreign) {
				t.Errorf("the page holds %q", foreign)
			}
		}
	}
}
