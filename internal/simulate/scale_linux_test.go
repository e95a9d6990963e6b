package simulate_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pilotlight-io/pilotlight/internal/simulate"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

const (
	scaleRequests = 12 // of each model, on average
	scaleSpan     = 2 * time.Hour
	scaleModels   = 10 // for each node of eight GPUs, as in the committed traces of many models
)

// scaled is a trace of so many models of one to eight GPUs, some of which are asked a hundred times as often as others, on a cluster that grows with them.
func scaled(b *testing.B, count int) (simulate.Config, int) {
	random := rand.New(rand.NewPCG(7, uint64(count)))
	cfg := simulate.Default()
	cfg.Warmup, cfg.Nodes, cfg.Trace = 0, count/scaleModels, filepath.Join(b.TempDir(), "scale.csv.gz")
	type arrival struct {
		at    time.Duration
		model int
	}
	var arrivals []arrival
	for k := range count {
		gpus := []int{1, 1, 1, 1, 1, 2, 2, 2, 4, 8}[k%10]
		cfg.Profiles = append(cfg.Profiles, trace.Profile{
			Model: fmt.Sprintf("m%05d", k), GPUs: gpus, ParkedRAM: 26e9, Cold: time.Duration(50+10*gpus) * time.Second, Wake: 1500 * time.Millisecond,
			Park: 1500 * time.Millisecond, Stop: 2 * time.Second, Prefill: 25000, TokenTime: 8 * time.Millisecond, MaxConcurrency: 64,
		})
		for range 1 + random.IntN(2*scaleRequests-1) {
			arrivals = append(arrivals, arrival{time.Duration(random.Int64N(int64(scaleSpan))), k})
		}
	}
	slices.SortFunc(arrivals, func(x, y arrival) int { return int(x.at - y.at) })
	var text bytes.Buffer
	z := gzip.NewWriter(&text)
	fmt.Fprintln(z, "t_ms,model,input_tokens,output_tokens")
	for _, a := range arrivals {
		fmt.Fprintf(z, "%d,m%05d,500,200\n", a.at.Milliseconds(), a.model)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(cfg.Trace, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return cfg, len(arrivals)
}

// BenchmarkScale_Request is what a simulated request costs, by the number of models.
func BenchmarkScale_Request(b *testing.B) {
	for _, count := range []int{1000, 3000, 8000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			cfg, requests := scaled(b, count)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			before := cpu()
			for b.Loop() {
				if _, err := simulate.Run(b.Context(), cfg); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*requests), "us/request")
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N*requests), "cpu-us/request")
		})
	}
}

// cpu gives the time that this thread has been on a CPU.
func cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
