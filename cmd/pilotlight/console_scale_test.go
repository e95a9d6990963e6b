package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/console"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/series"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const (
	largeModels, largeSlots = 1000, 500 // with eight instances each
	changesEach             = 100 * time.Millisecond
	sentAtMost              = 48 << 10 // bytes a second
	changeAtMost            = 0.1      // of the main thread's work to draw the whole page, for one change
)

// largeFleet is a fleet of 1,000 models and 4,000 instances in 500 slots, one of which changes ten times a second.
type largeFleet struct {
	fleet.Control // what no test asks is nil
	mu            sync.Mutex
	now           fleet.Snapshot
	changes       int
	told          chan fleet.Notice
}

func newLargeFleet() *largeFleet {
	f := &largeFleet{told: make(chan fleet.Notice, 1000)}
	for m := range largeModels {
		id := fmt.Sprintf("organisation/model-%d-instruct", m)
		f.now.Models = append(f.now.Models, fleet.ModelStatus{State: "hot", Hot: 4, Model: &fleet.Model{ID: id, GPUs: 1, Endpoints: []fleet.Endpoint{fleet.EndpointChat}}})
	}
	pool := fleet.PoolStatus{Pool: fleet.Pool{Name: "h100", GPUsPerSlot: 8}}
	for s := range largeSlots {
		slot := fleet.SlotStatus{Slot: fleet.Slot{ID: fmt.Sprintf("slot-%d", s), Pool: "h100", Node: fmt.Sprintf("node-%d", s), GPUs: 8}}
		for g := range 8 {
			i := fleet.Instance{ID: fmt.Sprintf("i-%d-%d", s, g), Model: f.now.Models[(8*s+g)%largeModels].Model.ID, Slot: slot.ID, GPU: g, GPUs: 1, State: fleet.Ready}
			f.now.Instances = append(f.now.Instances, fleet.InstanceStatus{Instance: i, Leases: 1, Breaker: "closed"})
			slot.Occupants = append(slot.Occupants, i.ID)
		}
		pool.Slots = append(pool.Slots, slot)
	}
	f.now.Pools = []fleet.PoolStatus{pool}
	return f
}

// Snapshot gives the fleet as it is.
func (f *largeFleet) Snapshot() *fleet.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.now
	s.At = time.Now()
	s.Models, s.Instances = append([]fleet.ModelStatus(nil), s.Models...), append([]fleet.InstanceStatus(nil), s.Instances...)
	return &s
}

// Follow tells of the changes.
func (f *largeFleet) Follow(ctx context.Context, _ uint64, tell func(fleet.Notice) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case n := <-f.told:
			if err := tell(n); err != nil {
				return err
			}
		}
	}
}

// change moves one instance on: from ready to draining, or back, with another number of leases.
func (f *largeFleet) change() {
	f.mu.Lock()
	f.changes++
	i := &f.now.Instances[f.changes*7919%len(f.now.Instances)]
	from := i.State
	if i.State = fleet.Draining; from == fleet.Draining {
		i.State = fleet.Ready
	}
	i.Leases = f.changes % 10
	m := &f.now.Models[f.changes*7919%len(f.now.Models)]
	m.Inflight = f.changes % 50
	n := fleet.Notice{ID: uint64(f.changes), At: time.Now(), Model: i.Model, Instance: i.ID, From: from, To: i.State, Reason: "idle for 5m0s, and others wait for its GPUs"}
	f.mu.Unlock()
	f.told <- n
}

// noSeries has recorded nothing yet.
type noSeries struct{}

func (noSeries) Read(string, series.Span, time.Time) (series.Series, bool) {
	return series.Series{At: []int64{}, Values: map[string][]float32{}}, true
}

// counting is a listener that counts what is written to its connections.
type counting struct {
	net.Listener
	sent *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.sent}, err
}

type countingConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// serveConsole serves a console over a fleet, and gives a link that signs in, and how many bytes it has sent.
func serveConsole(t *testing.T, f fleet.Control) (link string, sent *atomic.Int64) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	tenants, err := tenant.New(t.Context(), s, tenant.Config{})
	if err != nil {
		t.Fatal(err)
	}
	records, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admins, err := access.New(access.Config{Root: "an-admin-token-of-a-test-0123456789"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := console.New(console.Config{
		Fleet: f, Tenants: tenants, Ledger: records, Key: [32]byte{1}, Admins: admins, API: "http://" + ln.Addr().String() + "/v1",
		Price: func() fleet.NanoUSD { return 8_250_000_000 }, Pools: struct{ console.Pools }{}, Series: noSeries{}, Audit: audit.New(s, nil),
		Budget:  func(string) (console.Budget, bool) { return console.Budget{}, false },
		Servers: func() []console.Server { return nil },
		Chat:    func(context.Context, string, []byte) (*console.Answer, error) { return nil, net.ErrClosed },
	})
	if err != nil {
		t.Fatal(err)
	}
	sent = &atomic.Int64{}
	server := &fasthttp.Server{Handler: c.Operator()}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	running.Go(func() { _ = server.Serve(counting{ln, sent}) })
	t.Cleanup(func() {
		cancel()
		_ = server.Shutdown()
		_ = ln.Close() // a server that has not begun to serve does not know it yet
		running.Wait()
	})
	return "http://" + ln.Addr().String() + c.SignInLink(""), sent
}

// mainThread gives how long the page's main thread has worked since the page began to load, in seconds of its CPU time.
func (b *browser) mainThread() float64 {
	b.t.Helper()
	all, err := chromedp.Call(b.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range all.Metrics {
		if m.Name == "TaskDuration" {
			return m.Value
		}
	}
	b.t.Fatalf("the browser gives no TaskDuration: %+v", all.Metrics)
	return 0
}

// TestConsole_LargeFleetIsSmooth: the page of a fleet of 1,000 models and 4,000 instances with ten changes a second stays live, for few bytes a second, and a
// change is little work for the browser's main thread beside drawing the page, however fast the machine is. With PILOTLIGHT_MEASURE=FILE the figures are
// written there.
func TestConsole_LargeFleetIsSmooth(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs a browser")
	}
	f := newLargeFleet()
	link, sent := serveConsole(t, f)
	b := startBrowser(t)
	if _, err := chromedp.Call(b.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(link+"&to=/fleet"), chromedp.WaitVisible("#slots .slot"))
	first := sent.Load()
	if n := get(b, chromedp.Evaluate[int64](`document.querySelectorAll("#slots .slot").length`)); n != largeSlots {
		t.Fatalf("the page has %d slots, want %d", n, largeSlots)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`window.tasks = []; new PerformanceObserver((l) => { for (const e of l.getEntries()) window.tasks.push(e.duration) }).observe({type: "longtask"})`))
	time.Sleep(2 * time.Second) // what loading has left is not what is measured

	const span = 10 * time.Second
	drawn, bytes, began := b.mainThread(), sent.Load(), time.Now()
	for ticker := time.NewTicker(changesEach); time.Since(began) < span; <-ticker.C {
		f.change()
	}
	last := fmt.Sprint("i-", f.changes*7919%len(f.now.Instances)/8, "-", f.changes*7919%len(f.now.Instances)%8)
	b.until(fmt.Sprintf(`document.querySelector('.gpu[title="%s"].draining') !== null`, last)) // the last change has come
	took := time.Since(began).Seconds()
	busy := b.mainThread() - drawn
	figures := map[string]any{
		"models": largeModels, "instances": len(f.now.Instances), "changes_per_second": float64(f.changes) / took,
		"page_bytes": first, "sent_bytes_per_second": float64(sent.Load()-bytes) / took,
		"page_drawn_in_cpu_seconds": drawn, "change_over_page": busy / float64(f.changes) / drawn, "main_thread_share": busy / took,
		"tasks_over_50_ms": get(b, chromedp.Evaluate[[]float64]("window.tasks")),
		"bounds":           map[string]any{"sent_bytes_per_second": sentAtMost, "change_over_page": changeAtMost},
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	if file := os.Getenv("PILOTLIGHT_MEASURE"); file != "" {
		if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := figures["sent_bytes_per_second"].(float64); got > sentAtMost || got == 0 {
		t.Errorf("the page is sent %.0f bytes a second, want at most %d, and some", got, sentAtMost)
	}
	if got := figures["change_over_page"].(float64); got > changeAtMost || got <= 0 {
		t.Errorf("a change is %.3f of the work to draw the page, want at most %.1f, and some", got, changeAtMost)
	}
	b.quiet()
}
