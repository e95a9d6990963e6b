package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// BenchmarkReads asks a ledger with many records while more arrive: `go run ./benchmarks ledger`. These variables size it.
const (
	readsRecords = "PILOTLIGHT_BENCH_RECORDS" // in the store before the first query; default 100,000
	readsRate    = "PILOTLIGHT_BENCH_RATE"    // appended each second meanwhile; default 5,000
	readsDays    = 60                         // over which the records are spread, up to now
	readsOrgs    = 100
	readsTokens  = 4 // of an organisation
	readsModels  = 2 // that an organisation uses
)

func benchSize(b *testing.B, name string, usual int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s: %q is no whole number above 0", name, text)
	}
	return n
}

// traffic makes records as a router would, of organisations in random order. The requests of a tenth have names.
type traffic struct {
	random *rand.Rand
	n      int
}

func (s *traffic) record(at time.Time) *ledger.Record {
	org, took := s.random.IntN(readsOrgs), time.Duration(s.random.IntN(20_000_000))*time.Microsecond
	r := &ledger.Record{
		Org: fmt.Sprint("org-", org), TokenID: fmt.Sprintf("tok_%d_%d", org, s.random.IntN(readsTokens)),
		Model: fmt.Sprint("vendor/model-", (org+s.random.IntN(readsModels))%8), Instance: ledger.NewID(), GPUs: 1 << s.random.IntN(4), Start: fleet.Hot,
		ReceivedAt: at.Add(-took), DispatchedAt: at.Add(-took), TTFT: took / 10, Upstream: took, Billed: took,
		PromptTokens: int64(s.random.IntN(4000)), CompletionTokens: int64(s.random.IntN(1000)), Price: 8_250_000_000, Status: ledger.Complete,
	}
	if s.n++; s.random.IntN(10) == 0 {
		r.RequestID = fmt.Sprint("request-", s.n)
	}
	return r
}

func BenchmarkReads(b *testing.B) {
	records, rate := benchSize(b, readsRecords, 100_000), benchSize(b, readsRate, 5000)
	dir := b.TempDir()
	l := openLedger(b, ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: openStore(b, filepath.Join(dir, "p.db"))})
	source := &traffic{random: rand.New(rand.NewPCG(1, 2))}
	began := time.Now()
	var known []*ledger.Record // some of them
	for n := range records {
		r := source.record(began.Add(-readsDays * 24 * time.Hour * time.Duration(records-n) / time.Duration(records)))
		appendAll(b, l, r)
		if n%1250 == 0 {
			move(b, l)
			if err := l.SortSome(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		if n%(records/1000+1) == 0 {
			known = append(known, r)
		}
	}
	move(b, l)
	b.Logf("%d records in %s", records, time.Since(began).Round(time.Second))

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { l.Run(ctx) })
	appends := make(chan []time.Duration, 1)
	running.Go(func() { appends <- arrive(ctx, b, l, source, rate) })
	time.Sleep(2 * time.Second) // until blocks are being sorted
	ask(b, l, known)
	cancel()
	report(b, "append", "ms", <-appends)
}

// arrive appends records at a steady rate until ctx is done, and gives how long each took.
func arrive(ctx context.Context, b *testing.B, l *ledger.Ledger, source *traffic, rate int) (took []time.Duration) {
	began := time.Now()
	for n := 1; ctx.Err() == nil; n++ {
		if early := time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate))); early > time.Millisecond {
			time.Sleep(early)
		}
		r, at := source.record(time.Now()), time.Now()
		if err := l.Append(r); err != nil {
			b.Error(err)
		}
		took = append(took, time.Since(at))
	}
	return took
}

// ask asks b.N rounds of all queries, in random order, and reports how long each kind took.
func ask(b *testing.B, l *ledger.Ledger, known []*ledger.Record) {
	ctx := context.Background()
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	some := func() *ledger.Record { return known[rand.IntN(len(known))] }
	var cursors []string // of pages of all organisations
	for range min(len(known), 100) {
		page, err := l.Records(ctx, "", some().ID, 1)
		if err != nil {
			b.Fatal(err)
		}
		cursors = append(cursors, page.Next)
	}
	usage := func(q ledger.Query) func() error {
		return func() error { _, _, err := l.Usage(ctx, q); return err }
	}
	kinds := map[string]func() error{
		"month":      usage(ledger.Query{From: month, To: month.AddDate(0, 1, 0)}),
		"last-month": usage(ledger.Query{From: month.AddDate(0, -1, 0), To: month}),
		"month-of-org": func() error {
			return usage(ledger.Query{Org: some().Org, From: month, To: month.AddDate(0, 1, 0), By: ledger.ByDay})()
		},
		"all-time":      usage(ledger.Query{}),
		"of-no-records": usage(ledger.Query{Org: "none", From: now.Add(-36 * time.Hour)}),
		"page": func() error {
			r := some()
			page, err := l.Records(ctx, r.Org, r.ID, 100)
			if err == nil && len(page.Records) == 0 {
				err = fmt.Errorf("nothing after %s", r.ID)
			}
			return err
		},
		"page-of-all":       func() error { _, err := l.Records(ctx, "", cursors[rand.IntN(len(cursors))], 100); return err },
		"page-of-all-by-id": func() error { _, err := l.Records(ctx, "", some().ID, 100); return err },
		"receipt": func() error {
			r := some()
			_, err := l.Receipt(ctx, r.Org, r.TokenID, r.RequestID)
			return err
		},
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took, used := map[string][]time.Duration{}, map[string][]time.Duration{}
	for b.Loop() {
		for kind, query := range kinds {
			at, before := time.Now(), threadTime()
			if err := query(); err != nil {
				b.Fatalf("%s: %v", kind, err)
			}
			took[kind], used[kind] = append(took[kind], time.Since(at)), append(used[kind], threadTime()-before)
		}
	}
	for kind := range kinds {
		report(b, kind, "ms", took[kind])
		report(b, kind, "cpu-ms", used[kind])
	}
}

// threadTime is how long this thread has been on a CPU: what a query takes on a machine that does nothing else.
func threadTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

const rusageThread = 1 // RUSAGE_THREAD of Linux

// report reports the median and the 99th of a hundred.
func report(b *testing.B, kind, unit string, took []time.Duration) {
	slices.Sort(took)
	for name, at := range map[string]int{"p50": len(took) / 2, "p99": len(took) * 99 / 100} {
		b.ReportMetric(float64(took[at].Microseconds())/1000, kind+"/"+name+"-"+unit)
	}
}
