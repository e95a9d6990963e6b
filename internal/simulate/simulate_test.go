package simulate_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/simulate"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

const (
	modelsHead = "model,gpus,weights_gb,parked_ram_gb,cold_s,wake_s,park_s,stop_s,prefill_tok_s,tpot_ms,max_concurrency\n"
	traceHead  = "t_ms,model,input_tokens,output_tokens\n"
	one        = "one,1,16,26,60,1.5,1.5,2,25000,8,64\n"
	two        = "two,2,65,85,100,2.5,2.5,3,15000,16,64\n"
)

// tiny writes a trace and gives a config for it: one node of two GPUs, no jitter, everything scored.
func tiny(t *testing.T, models, requests string) simulate.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.csv.gz")
	writeZipped(t, path, traceHead+requests)
	if err := os.WriteFile(trace.ProfilesBeside(path), []byte(modelsHead+models), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := simulate.Default()
	cfg.Trace, cfg.Nodes, cfg.GPUsPerNode, cfg.Seed, cfg.Warmup, cfg.Share = path, 1, 2, 0, 0, 1
	return profiled(t, cfg)
}

func profiled(t *testing.T, cfg simulate.Config) simulate.Config {
	t.Helper()
	var err error
	if cfg.Profiles, err = trace.ReadProfiles(trace.ProfilesBeside(cfg.Trace)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func writeZipped(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cfg simulate.Config, policy string) *simulate.Result {
	t.Helper()
	cfg.Policy = policy
	r, err := simulate.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near fails unless two amounts are the same but for rounding.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1, want) {
		t.Errorf("%s: got %.6f, want %.6f", what, got, want)
	}
}

// Each second of input is one second of service, and the last request comes at the end of what is scored.
func TestRun_CostsWorkedOutByHand(t *testing.T) {
	const thrice = "100000,one,25000,0\n200000,one,25000,0\n300000,one,25000,0\n"
	rows := []struct {
		name, policy, models, requests string
		idle, switched, waited, busy   float64 // GPU-seconds, and seconds
		resumes, colds                 int
		cold                           bool // nothing is parked at the start
	}{
		{
			name: "parked after ten idle seconds, woken in 1.5", policy: "fixed-10+park", models: one, requests: thrice,
			idle: 20, switched: 2 * (1.5 + 1.5), waited: 3 * 1.5, busy: 2, resumes: 3,
		},
		{
			name: "stopped after ten idle seconds, started in 60", policy: "fixed-10", models: one, requests: thrice,
			idle: 20, switched: 2 * (60 + 2), waited: 3 * 60, busy: 2, colds: 3,
		},
		{
			name: "kept hot for longer than the gaps", policy: "fixed-100+park", models: one, requests: thrice,
			idle: 97.5 + 99, switched: 1.5, waited: 1.5, busy: 2, resumes: 1,
		},
		{
			name: "the oracle parks at once, and wakes just in time", policy: "oracle", models: one, requests: thrice,
			idle: 3 * 0.6, switched: 2*(1.5+1.5) + 1.5, waited: 0, busy: 2, resumes: 3,
		},
		{
			name: "two GPUs cost twice", policy: "fixed-10+park", models: two, requests: "100000,two,15000,0\n200000,two,15000,0\n",
			idle: 2 * 10, switched: 2 * (2.5 + 2.5), waited: 2 * 2.5, busy: 2, resumes: 2,
		},
		{
			name: "the first park of an engine that was started takes three times as long", policy: "fixed-10+park", models: one, requests: thrice, cold: true,
			idle: 20, switched: 60 + 4.5 + 1.5 + 1.5, waited: 60 + 2*1.5, busy: 2, resumes: 2, colds: 1,
		},
		{
			name: "an idle one is parked for another that has no room", policy: "fixed-100+park", models: one + two,
			requests: "100000,two,15000,0\n110000,one,25000,0\n200000,two,15000,0\n",
			// two: wakes to 102.5, serves to 103.5, idle to 110, parks to 112.5. one: wakes to 114, serves to 115, idle to 200.
			idle: 2*6.5 + 85, switched: 2*(2.5+2.5) + 1.5, waited: 2.5 + (2.5 + 1.5) + (1.5 + 2.5), busy: 2*1 + 1, resumes: 3,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := tiny(t, row.models, row.requests)
			cfg.StartParked = !row.cold
			r := run(t, cfg, row.policy)
			near(t, "idle GPU-seconds", r.Idle*3600, row.idle)
			near(t, "switching GPU-seconds", r.Switch*3600, row.switched)
			near(t, "seconds waited", r.WaitHours*3600, row.waited)
			near(t, "busy GPU-seconds", r.Busy*3600, row.busy)
			near(t, "cost", r.Cost*3600, row.idle+row.switched+10*row.waited)
			near(t, "held", r.Held, r.Idle+r.Switch+r.Busy)
			if r.Resumes != row.resumes || r.ColdStarts != row.colds {
				t.Errorf("got %d resumes and %d cold starts, want %d and %d", r.Resumes, r.ColdStarts, row.resumes, row.colds)
			}
		})
	}
}

func TestRun_WaitsByWhatTheyWaitedFor(t *testing.T) {
	const oneAtATime = "two,2,65,85,100,2.5,2.5,3,15000,16,1\n"
	rows := []struct {
		name, policy, models, requests string
		want                           simulate.WaitedFor // in seconds
	}{
		{"a resume", "fixed-10+park", one, "100000,one,25000,0\n", simulate.WaitedFor{Wake: 1.5}},
		{"a start", "fixed-10", one, "100000,one,25000,0\n", simulate.WaitedFor{Start: 60}},
		{"its own park, half a second old", "fixed-10+park", one, "100000,one,25000,0\n113000,one,25000,0\n", simulate.WaitedFor{Wake: 3, Park: 1}},
		{"the only place", "fixed-10+park", oneAtATime, "100000,two,15000,0\n100000,two,15000,0\n", simulate.WaitedFor{Wake: 5, Place: 1}},
		{
			"parks of others", "fixed-100+park", one + two, "100000,two,15000,0\n110000,one,25000,0\n200000,two,15000,0\n",
			simulate.WaitedFor{Wake: 2.5 + 1.5 + 2.5, Room: 2.5 + 1.5},
		},
		{"in the warm-up", "fixed-10+park", one, "9000,one,25000,0\n", simulate.WaitedFor{}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := tiny(t, row.models, row.requests)
			cfg.Warmup = 10 * time.Second
			r := run(t, cfg, row.policy)
			near(t, "for a wake", r.WaitFor.Wake*3600, row.want.Wake)
			near(t, "for a start", r.WaitFor.Start*3600, row.want.Start)
			near(t, "for a place", r.WaitFor.Place*3600, row.want.Place)
			near(t, "for a park", r.WaitFor.Park*3600, row.want.Park)
			near(t, "for room", r.WaitFor.Room*3600, row.want.Room)
			all := 0.0
			for _, size := range r.ByGPUs {
				w := size.WaitFor
				all += w.Wake + w.Start + w.Place + w.Park + w.Room
			}
			near(t, "in all", all, r.WaitHours)
		})
	}
}

func TestRun_WarmupIsNotScored(t *testing.T) {
	cfg := tiny(t, one, "100000,one,25000,0\n200000,one,25000,0\n300000,one,25000,0\n")
	cfg.Warmup = 150 * time.Second
	r := run(t, cfg, "fixed-10+park")
	near(t, "idle GPU-seconds", r.Idle*3600, 10)
	near(t, "seconds waited", r.WaitHours*3600, 2*1.5)
	if r.Requests != 2 || r.Resumes != 2 {
		t.Errorf("got %d requests and %d resumes, want 2 and 2", r.Requests, r.Resumes)
	}
}

func TestRun_Percentiles(t *testing.T) {
	r := run(t, tiny(t, one, "100000,one,25000,0\n200000,one,25000,0\n"+strings.Repeat("200100,one,0,0\n", 98)), "fixed-1000+park")
	// The first waits 1.5 s, all others find it hot.
	if r.WaitP50 != 0 || math.Abs(r.WaitP999/1.5-1) > 0.005 || math.Abs(r.WaitMean-0.015) > 1e-9 {
		t.Errorf("got p50 %.4f, p99.9 %.4f, mean %.4f, want 0, 1.5, 0.015", r.WaitP50, r.WaitP999, r.WaitMean)
	}
	if r.Over1 != 0.01 || r.Models1 != 0.01 || r.Over10 != 0 {
		t.Errorf("got %.3f over 1 s (%.3f of the model), %.3f over 10 s, want 0.01, 0.01, 0", r.Over1, r.Models1, r.Over10)
	}
}

// slice copies the first requests of a committed trace.
func slice(t *testing.T, name string, lines int) simulate.Config {
	t.Helper()
	from := filepath.Join("..", "..", "benchmarks", "traces", name)
	cfg := simulate.Default()
	cfg.Trace, cfg.Nodes, cfg.Warmup = filepath.Join(t.TempDir(), "slice.csv.gz"), 1, time.Hour
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	writeZipped(t, cfg.Trace, strings.Join(strings.SplitAfterN(string(text), "\n", lines+2)[:lines+1], ""))
	models, err := os.ReadFile(trace.ProfilesBeside(from))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(trace.ProfilesBeside(cfg.Trace), models, 0o600); err != nil {
		t.Fatal(err)
	}
	return profiled(t, cfg)
}

func TestRun_OneSeedGivesOneResult(t *testing.T) {
	lines := 4000
	if testing.Short() {
		lines = 1000
	}
	cfg := slice(t, "node8_dev.csv.gz", lines)
	for _, policy := range []string{"fixed-60", "fixed-60+park", "kpa", "kpa+park", "hybrid", "hybrid+park", "adaptive", "oracle"} {
		asJSON := func(seed uint64) []byte {
			cfg.Seed = seed
			b, err := json.Marshal(run(t, cfg, policy))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		first, again, other := asJSON(7), asJSON(7), asJSON(8)
		if !bytes.Equal(first, again) {
			t.Errorf("%s: one seed gave two results", policy)
		}
		if bytes.Equal(first, bytes.Replace(other, []byte(`"seed":8`), []byte(`"seed":7`), 1)) {
			t.Errorf("%s: two seeds gave one result", policy)
		}
	}
}

// A model is called every ten minutes, within half a second, and so is one that shares its GPUs, at other times.
func TestRun_ARhythmIsAwaited(t *testing.T) {
	var requests strings.Builder
	for k := range 200 {
		fmt.Fprintf(&requests, "%d,one,25000,0\n", 600_000*k+k*7919%1000)
		fmt.Fprintf(&requests, "%d,two,15000,0\n", 600_000*k+300_000+k*6007%1000)
	}
	cfg := tiny(t, one+two, requests.String())
	cfg.Warmup = 3 * time.Hour
	r := run(t, cfg, "adaptive")
	if r.WaitHours*3600 > 0.05*float64(r.Requests) {
		t.Errorf("%d requests waited %.1f s in all, want next to none: a wake takes 1.5 and 2.5 s", r.Requests, r.WaitHours*3600)
	}
	if idle := r.Idle * 3600 / float64(r.Requests); idle > 10 {
		t.Errorf("got %.1f idle GPU-seconds a request, want a few", idle)
	}
}

// A model is called at random, and another three seconds behind it: about what waking it takes.
func TestRun_AFollowerIsAwake(t *testing.T) {
	noise := rand.New(rand.NewPCG(5, 6))
	var requests strings.Builder
	at := 0
	for range 200 {
		at += 300_000 + noise.IntN(600_000)
		fmt.Fprintf(&requests, "%d,one,25000,0\n%d,two,15000,0\n", at, at+2700+noise.IntN(600))
	}
	cfg := tiny(t, one+two, requests.String())
	cfg.GPUsPerNode, cfg.Warmup = 4, 12*time.Hour
	for _, m := range run(t, cfg, "adaptive").ByModel {
		if mean := m.WaitHours * 3600 / float64(m.Requests); m.Model == "two" && mean > 0.3 || m.Model == "one" && mean < 1 {
			t.Errorf("%s waited %.2f s on average, want 1.5 s for the first, which nothing foretells, and next to none for its follower", m.Model, mean)
		}
	}
}

// A model is called every five minutes, and nobody else wants its GPUs; then somebody does.
func TestRun_IdleTimeThatCostsNothingIsKept(t *testing.T) {
	var requests strings.Builder
	for k := range 100 {
		fmt.Fprintf(&requests, "%d,one,25000,0\n", 300_000*k)
	}
	fmt.Fprintf(&requests, "%d,two,15000,0\n", 300_000*99+10_000)
	cfg := tiny(t, one+two, requests.String())
	for cost, want := range map[float64]int{0: 2, 1: 60} { // each once; and mostly parked
		cfg.IdleCost = cost
		if r := run(t, cfg, "adaptive"); r.Resumes < want || cost == 0 && r.Resumes > want || r.WaitP999 > 4 { // 1.5 s to park, 2.5 s to wake
			t.Errorf("idle cost %g: got %d resumes, and up to %.1f s of waiting, want %d and 4 s", cost, r.Resumes, r.WaitP999, want)
		}
	}
}

// One of three engines is always awake, and two are parked; there is host memory for two. Where the first keeps its copy, one of the others has to go.
func TestRun_ACopyThatIsKeptTakesHostMemory(t *testing.T) {
	var requests strings.Builder
	for at := 1; at < 600; at++ {
		fmt.Fprintf(&requests, "%d,a,25000,0\n", 1000*at)
		if name, ok := map[int]string{100: "c", 300: "b", 400: "c"}[at]; ok {
			fmt.Fprintf(&requests, "%d,%s,25000,0\n", 1000*at, name)
		}
	}
	models := strings.Replace(one, "one", "a", 1) + strings.Replace(one, "one", "b", 1) + strings.Replace(one, "one", "c", 1)
	cfg := tiny(t, models, requests.String())
	cfg.HostMemory = 60e9
	for keeps, colds := range map[bool]int{false: 1, true: 3} { // c was not parked at the start; then each of b and c goes for the other
		cfg.KeepsCopy = keeps
		if r := run(t, cfg, "fixed-10+park"); r.ColdStarts != colds {
			t.Errorf("keeps its copy %t: got %d cold starts, want %d", keeps, r.ColdStarts, colds)
		}
	}
}

func TestRun_ParkingBeatsStopping(t *testing.T) {
	cfg := slice(t, "node8_dev.csv.gz", 4000)
	for _, policy := range []string{"fixed-60", "kpa", "hybrid"} {
		stopping, parking := run(t, cfg, policy), run(t, cfg, policy+"+park")
		if parking.Cost > stopping.Cost/2 {
			t.Errorf("%s: costs %.0f with parking and %.0f without, want less than half", policy, parking.Cost, stopping.Cost)
		}
	}
	if fixed, ours := run(t, cfg, "fixed-60+park"), run(t, cfg, "adaptive"); ours.Cost > fixed.Cost {
		t.Errorf("adaptive costs %.0f, more than fixed-60+park with %.0f", ours.Cost, fixed.Cost)
	}
}

// The costs are those of an independent simulator on this trace, as means of three seeds. One burst of one model, on the third day, makes most of what differs.
func TestRun_AgreesWithTheReference(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole trace a dozen times")
	}
	cfg := simulate.Default()
	cfg.Trace, cfg.Nodes = filepath.Join("..", "..", "benchmarks", "traces", "node8_dev.csv.gz"), 1
	cfg.FirstPark = 1 // it knows no first parks
	cfg = profiled(t, cfg)
	rows := []struct {
		policy      string
		least, most float64
	}{
		{"fixed-60+park", 489 * 0.88, 489 * 1.12},
		{"kpa+park", 588 * 0.9, 588 * 1.1},
		{"oracle", 278 * 0.85, 278 * 1.15},
		{"adaptive", 0, 365},
	}
	for _, row := range rows {
		mean := 0.0
		for _, cfg.Seed = range []uint64{7, 8, 9} {
			mean += run(t, cfg, row.policy).Cost / 3
		}
		if mean < row.least || mean > row.most {
			t.Errorf("%s: got a mean cost of %.1f, want %.1f to %.1f", row.policy, mean, row.least, row.most)
		}
	}
}

func TestRun_Refuses(t *testing.T) {
	rows := []struct {
		name, want string
		change     func(*simulate.Config)
	}{
		{"an unknown policy", "no policy \"magic\"; there are", func(c *simulate.Config) { c.Policy = "magic" }},
		{"a fixed policy without a time", "is not a time", func(c *simulate.Config) { c.Policy = "fixed-" }},
		{"a negative time", "is not a time", func(c *simulate.Config) { c.Policy = "fixed--5" }},
		{"no nodes", "0 nodes", func(c *simulate.Config) { c.Nodes = 0 }},
		{"nodes that are too small", "needs 2 GPUs and a node has 1", func(c *simulate.Config) { c.GPUsPerNode = 1 }},
		{"idle time that counts for more than it is", "idle cost 1.5", func(c *simulate.Config) { c.IdleCost = 1.5 }},
		{"idle time that counts for nothing known", "idle cost NaN", func(c *simulate.Config) { c.IdleCost = math.NaN() }},
		{"a first park that takes no known time", "first parks that take NaN times", func(c *simulate.Config) { c.FirstPark = math.NaN() }},
		{"no share", "share 0", func(c *simulate.Config) { c.Share = 0 }},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			cfg := tiny(t, two, "1,two,1,1\n")
			r.change(&cfg)
			if _, err := simulate.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("got %v, want %q", err, r.want)
			}
		})
	}
}

func TestRun_Cancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := simulate.Run(ctx, tiny(t, one, "1,one,1,1\n")); !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
}

func TestWriteHTML_NeedsNothingElse(t *testing.T) {
	r := run(t, tiny(t, one, "100000,one,25000,0\n200000,one,25000,0\n"), "fixed-10+park")
	var page bytes.Buffer
	if err := simulate.WriteHTML(&page, simulate.Report{Trace: "a<b", Nodes: 1, GPUs: 2, Lambda: 10, Results: []*simulate.Result{r}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a&lt;b", "fixed-10+park", "<svg", "Share of models"} {
		if !strings.Contains(page.String(), want) && !strings.Contains(page.String(), strings.ReplaceAll(want, "+", "&#43;")) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(page.String(), "<svg"); n != 3 {
		t.Errorf("got %d plots, want 3", n)
	}
	for _, no := range []string{"http://", "https://", "<script", "NaN"} {
		if strings.Contains(page.String(), no) {
			t.Errorf("the page has %q", no)
		}
	}
}
