package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

var noon = time.Date(2026, 3, 31, 12, 0, 0, 123456000, time.UTC)

func TestAppend_KeepsEveryField(t *testing.T) {
	l, c := newLedger(t)
	r := record(1)
	appendAll(t, l, r)
	if r.ID == "" || r.Kind != ledger.KindUsage || r.Cost != 18_333_333 {
		t.Errorf("after Append: got %+v, want an ID, kind usage and the cost", r)
	}
	want := []ledger.Record{*r}
	if diff := cmp.Diff(want, all(t, l)); diff != "" {
		t.Errorf("appended and read (-want +got):\n%s", diff)
	}
	l.Close()
	l = openLedger(t, c)
	if diff := cmp.Diff(want, all(t, l)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	receipt, err := l.Receipt(t.Context(), "acme", "tok_1", "req-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want[0], receipt); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
}

func TestRecord_JSON(t *testing.T) {
	r := record(1)
	r.ID, r.Kind, r.Cost = "id", ledger.KindUsage, 18_333_333
	r.ReceivedAt = r.ReceivedAt.In(time.FixedZone("", 3600))
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"id","request_id":"req-1","kind":"usage","org":"acme","token_id":"tok_1","model":"m/one","instance":"i-1",` +
		`"gpus":4,"start":"parked","received_at":"2026-03-31T12:00:00.123456Z","dispatched_at":"2026-03-31T12:00:03.123456Z",` +
		`"queue_us":1000000,"activate_us":2000000,"ttft_us":250000,"upstream_us":2100000,"billed_us":2000000,` +
		`"prompt_tokens":500,"completion_tokens":100,"price_nano_usd_per_gpu_hour":8250000000,"cost_nano_usd":18333333,"status":"complete"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back ledger.Record
	if err := json.Unmarshal(got, &back); err != nil || !back.ReceivedAt.Equal(r.ReceivedAt) {
		t.Fatalf("read back: got %+v, %v", back, err)
	}
	back.ReceivedAt = r.ReceivedAt
	if diff := cmp.Diff(r, &back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestNewID_SortsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := ""
		for range 1000 {
			id := ledger.NewID()
			if id <= last || len(id) != 26 {
				t.Fatalf("got %s after %s", id, last)
			}
			last = id
			time.Sleep(time.Microsecond * time.Duration(1+rand.IntN(1e6)))
		}
	})
}

func TestAppend_PricesUsageButTakesACorrectionAsItIs(t *testing.T) {
	l, _ := newLedger(t)
	usage, correction := record(1), record(2)
	usage.Cost = 1
	usage.Billed = -time.Second
	correction.Kind, correction.Cost = ledger.KindCorrection, -500
	appendAll(t, l, usage, correction)
	rows, _, err := l.Usage(t.Context(), ledger.Query{})
	if err != nil || len(rows) != 1 || rows[0].Cost != -500 || rows[0].Requests != 1 || rows[0].BilledUS != 2_000_000 {
		t.Errorf("got %+v, %v, want one request, and the correction's cost", rows, err)
	}
}

func TestRun_ShowsRecordsToOthersWithinHalfASecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db"))}
		l := openLedger(t, c)
		stop := run(t, l)
		other := openStore(t, filepath.Join(dir, "p.db"))
		for n := range 20 {
			time.Sleep(time.Duration(n) * 37 * time.Millisecond)
			appendAll(t, l, record(n))
			time.Sleep(500 * time.Millisecond)
			if count := inStore(t, other); count != n+1 {
				t.Fatalf("half a second after Append %d: got %d records", n, count)
			}
		}
		stop()
	})
}

func TestRun_MovesTheRestBeforeItReturns(t *testing.T) {
	l, c := newLedger(t)
	stop := run(t, l)
	appendAll(t, l, record(1))
	stop()
	if count := inStore(t, c.Store); count != 1 {
		t.Errorf("got %d records, want 1", count)
	}
}

func TestClose_LeavesNoSegmentAndNothingIsAppendedAfter(t *testing.T) {
	l, c := newLedger(t)
	appendAll(t, l, record(1))
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Append(record(2)); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("got %v, want %v", err, ledger.ErrClosed)
	}
	if left := segments(t, c.Dir); len(left) != 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestOpen_OneProcessAtATime(t *testing.T) {
	l, c := newLedger(t)
	if _, err := ledger.Open(t.Context(), c); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("while open: got %v, want %v", err, ledger.ErrLocked)
	}
	l.Close()
	openLedger(t, c)
}

func TestOpen_RefusesBadConfigs(t *testing.T) {
	good := ledger.Config{Dir: t.TempDir(), Store: openStore(t, filepath.Join(t.TempDir(), "p.db"))}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ledger.Config){
		"no directory":       func(c *ledger.Config) { c.Dir = "" },
		"no store":           func(c *ledger.Config) { c.Store = nil },
		"durability":         func(c *ledger.Config) { c.Durability = "never" },
		"negative retention": func(c *ledger.Config) { c.Retention = -1 },
		"a file":             func(c *ledger.Config) { c.Dir = file },
	} {
		c := good
		change(&c)
		if l, err := ledger.Open(t.Context(), c); err == nil {
			l.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAppend_Concurrently(t *testing.T) {
	for _, durability := range []ledger.Durability{ledger.Async, ledger.Sync} {
		t.Run(string(durability), func(t *testing.T) {
			dir := t.TempDir()
			c := ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db")), Durability: durability}
			l := openLedger(t, c)
			stop := run(t, l)
			const goroutines, each = 16, 50
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for n := range each {
						if err := l.Append(record(g*each + n)); err != nil {
							t.Error(err)
						}
						if n%40 == 0 { // queries move too
							if _, _, err := l.Usage(context.Background(), ledger.Query{}); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
			rows, _, err := l.Usage(t.Context(), ledger.Query{})
			if err != nil || len(rows) != 1 || rows[0].Requests != goroutines*each || rows[0].Cost != goroutines*each*18_333_333 {
				t.Errorf("got %+v, %v, want %d requests and their cost", rows, err, goroutines*each)
			}
			stop()
		})
	}
}

func TestMetrics(t *testing.T) {
	l, _ := newLedger(t)
	other := record(3)
	other.Model, other.Billed = `odd"model`, 500*time.Millisecond
	appendAll(t, l, record(1), record(2), other)
	want := func(lines ...string) {
		t.Helper()
		var out bytes.Buffer
		l.Metrics().WritePrometheus(&out)
		for _, line := range lines {
			if !strings.Contains(out.String(), line+"\n") {
				t.Errorf("no line %s in:\n%s", line, out.String())
			}
		}
	}
	want("pilotlight_ledger_wal_records 3",
		`pilotlight_billed_gpu_seconds_total{model="m/one"} 16`, `pilotlight_billed_gpu_seconds_total{model="odd\"model"} 2`)
	all(t, l)
	want("pilotlight_ledger_wal_records 0")
}

func TestRetention_DeletesOldRecordsWhileRunning(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db")), Retention: 24 * time.Hour}
		l := openLedger(t, c)
		var records []*ledger.Record
		for n := range 2500 { // more than two batches
			r := record(n)
			r.DispatchedAt = time.Now()
			records = append(records, r)
		}
		appendAll(t, l, records...)
		time.Sleep(12 * time.Hour)
		young := record(9999)
		young.DispatchedAt = time.Now()
		appendAll(t, l, young)
		stop := run(t, l)
		time.Sleep(11*time.Hour + 59*time.Minute)
		if got := len(all(t, l)); got != 2501 {
			t.Errorf("before their time: got %d records, want 2501", got)
		}
		l.CloseAll(t)
		time.Sleep(2 * time.Hour)
		if got := requests(all(t, l)); !cmp.Equal(got, []string{"req-9999"}) {
			t.Errorf("after a day: got %d records, want the young one", len(got))
		}
		time.Sleep(24 * time.Hour)
		for _, table := range []string{"usage_blocks", "usage_runs", "usage_parts", "usage_extents", "usage_keys", "usage_days"} {
			var left int
			if err := c.Store.DB().QueryRow("SELECT count(*) FROM " + table).Scan(&left); err != nil || left != 0 {
				t.Errorf("when all days are over: got %d rows of %s, %v, want none", left, table, err)
			}
		}
		stop()
	})
}

func TestRun_KeepsRecordsInTheLogWhileTheStoreFails(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		broken, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
		if err != nil {
			t.Fatal(err)
		}
		var log logged
		l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Store: broken, Log: log.logger()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := l.Run(ctx); err == nil {
				t.Error("Run moved the rest into a closed store")
			}
		})
		broken.Close()
		appendAll(t, l, record(1), record(2))
		time.Sleep(time.Minute)
		if n := strings.Count(log.String(), "cannot move usage records"); n != 1 {
			t.Errorf("got %d lines about it in a minute, want 1:\n%s", n, log.String())
		}
		cancel()
		running.Wait()
		if err := l.Close(); err == nil {
			t.Error("Close says that all is well")
		}
		l = openLedger(t, ledger.Config{Dir: dir, Store: openStore(t, filepath.Join(dir, "p.db"))})
		if got := requests(all(t, l)); !cmp.Equal(got, []string{"req-1", "req-2"}) {
			t.Errorf("with a store again: got %v", got)
		}
	})
}
