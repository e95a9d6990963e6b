package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir, os.Getenv(childMode))
		return
	}
	goleak.VerifyTestMain(storetest.OnBoth(m))
}

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	return storetest.Open(t, path)
}

func openLedger(t testing.TB, c ledger.Config) *ledger.Ledger {
	t.Helper()
	if c.Retention == 0 {
		c.Retention = 100 * 365 * 24 * time.Hour // the tests' records have fixed times
	}
	l, err := ledger.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newLedger gives a ledger and its config, over a new store and directory.
func newLedger(t testing.TB) (*ledger.Ledger, ledger.Config) {
	t.Helper()
	dir := t.TempDir()
	c := ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: openStore(t, filepath.Join(dir, "p.db"))}
	return openLedger(t, c), c
}

// record is a usage record with every field set; n makes it one of its own.
func record(n int) *ledger.Record {
	return &ledger.Record{
		RequestID: fmt.Sprintf("req-%d", n), Org: "acme", TokenID: "tok_1", Model: "m/one", Instance: "i-1", GPUs: 4,
		Start: fleet.Parked, ReceivedAt: noon, DispatchedAt: noon.Add(3 * time.Second),
		Queue: time.Second, Activate: 2 * time.Second, TTFT: 250 * time.Millisecond, Upstream: 2100 * time.Millisecond,
		Billed: 2 * time.Second, PromptTokens: 500, CompletionTokens: 100, Price: 8_250_000_000, Status: ledger.Complete,
	}
}

func appendAll(t testing.TB, l *ledger.Ledger, records ...*ledger.Record) {
	t.Helper()
	for _, r := range records {
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

// move brings what was appended into the store, as a ledger that runs does.
func move(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// sorted makes runs of all blocks of a ledger.
func sorted(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	if err := l.Sort(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// inStore counts the records of a store.
func inStore(t testing.TB, s *store.Store) (records int) {
	t.Helper()
	err := s.DB().QueryRow("SELECT COALESCE(SUM(records), 0) FROM (SELECT records FROM usage_blocks UNION ALL SELECT records FROM usage_runs) AS kept").Scan(&records)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// all gives every record of a ledger, page by page.
func all(t testing.TB, l *ledger.Ledger) []ledger.Record {
	t.Helper()
	move(t, l)
	var records []ledger.Record
	for cursor := ""; ; {
		page, err := l.Records(context.Background(), "", cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, page.Records...)
		if cursor = page.Next; cursor == "" {
			return records
		}
	}
}

func requests(records []ledger.Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.RequestID)
	}
	return ids
}

// run runs a ledger until the returned function is called.
func run(t *testing.T, l *ledger.Ledger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { cancel(); running.Wait() }
}

// logged collects what a ledger logs.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
