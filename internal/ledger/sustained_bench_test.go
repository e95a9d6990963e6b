package ledger_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

const (
	sustainedRate  = "PILOTLIGHT_BENCH_RATE" // records appended each second; default 20,000
	sustainedFor   = 20 * time.Second
	sustainedEvery = 10 * time.Millisecond // a look at what the log still holds
)

// BenchmarkSustained appends at a steady rate to a ledger that runs, and looks at how long what is in the log has to wait for the store. A log that
// grows shows in the second half. Its iterations do not count: it takes as long as sustainedFor, and fails where the log grows.
func BenchmarkSustained(b *testing.B) {
	rate := benchSize(b, sustainedRate, 20_000)
	dir := b.TempDir()
	l := openLedger(b, ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: openStore(b, filepath.Join(dir, "p.db"))})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	b.ResetTimer()
	used := cpu(b)
	began := time.Now()
	var appending sync.WaitGroup
	for n := range 4 {
		appending.Go(func() {
			source := &traffic{random: rand.New(rand.NewPCG(uint64(n), 7))}
			for i := n; i < rate*int(sustainedFor/time.Second); i += 4 {
				if due := began.Add(time.Duration(i) * time.Second / time.Duration(rate)); time.Until(due) > 0 {
					time.Sleep(time.Until(due))
				}
				if err := l.Append(source.record(time.Now())); err != nil {
					b.Error(err)
				}
			}
		})
	}
	var waits []time.Duration // of the oldest record in the log, about
	for time.Since(began) < sustainedFor {
		time.Sleep(sustainedEvery)
		waits = append(waits, time.Duration(backlog(b, l))*time.Second/time.Duration(rate))
	}
	appending.Wait()
	took := time.Since(began)
	b.StopTimer()
	used = cpu(b) - used
	records := rate * int(sustainedFor/time.Second)
	b.ReportMetric(float64(records)/took.Seconds(), "records/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(records), "cpu-ns/record")
	half := len(waits) / 2
	for name, some := range map[string][]time.Duration{"in-log-first-half": waits[:half], "in-log-second-half": waits[half:]} {
		slices.Sort(some)
		b.ReportMetric(some[len(some)/2].Seconds()*1000, name+"/p50-ms")
		b.ReportMetric(some[len(some)*99/100].Seconds()*1000, name+"/p99-ms")
	}
	stop()
	running.Wait()
	if late := waits[len(waits)-1]; late > 2*time.Second { // the greatest of the second half
		b.Errorf("records wait for %v for the store: the log grows", late)
	}
}

var backlogLine = regexp.MustCompile(`pilotlight_ledger_wal_records (\d+)`)

// backlog is how many records are in the log and not in the store.
func backlog(b *testing.B, l *ledger.Ledger) int {
	b.Helper()
	var out bytes.Buffer
	l.Metrics().WritePrometheus(&out)
	line := backlogLine.FindSubmatch(out.Bytes())
	if line == nil {
		b.Fatal("the ledger does not tell what is in the log")
	}
	n, err := strconv.Atoi(string(line[1]))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// cpu is the time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
