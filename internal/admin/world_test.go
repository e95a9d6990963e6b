package admin_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/admin/spec"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const adminToken = "a-token-of-twenty-four-characters"

// TestMain has more tests run at once than there are cores: each waits for a tenth of a second until its server has ended.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
	storetest.Quick()
	// fasthttp keeps its Date header fresh for as long as the process lives, and its pool's cleaner notices its end only
	// when it next wakes, within 10 s.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// world is a served admin API over a real store, with a fleet that the test writes. Every answer that the client sees is
// held against the OpenAPI document.
type world struct {
	t       *testing.T
	base    string
	fleet   *fakeFleet
	tenants *tenant.Tenants
	ledger  *ledger.Ledger
	audit   *audit.Log
	client  *admin.Client
	server  *admin.Server
	http    *http.Client
	stop    func() // ends Serve and waits for it
}

// admins are root, and one of each other role.
func admins(t *testing.T) *access.Admins {
	t.Helper()
	env := map[string]string{"AUDITOR": tokens[access.Auditor], "BILLING": tokens[access.Billing], "OPERATOR": tokens[access.Operator]}
	a, err := access.New(access.Config{Root: adminToken, Getenv: func(name string) string { return env[name] }, Tokens: []access.Token{
		{Name: "ana", Role: access.Auditor, Env: "AUDITOR"}, {Name: "bill", Role: access.Billing, Env: "BILLING"}, {Name: "otto", Role: access.Operator, Env: "OPERATOR"},
	}})
	check(t, err)
	return a
}

// tokens are those of each role, but root's.
var tokens = map[access.Role]string{
	access.Auditor: "an-auditor-of-twenty-four-characters", access.Billing: "billing-of-twenty-four-characters", access.Operator: "an-operator-of-twenty-four-characters",
}

func newWorld(t *testing.T, adapt ...func(*admin.Config)) *world {
	t.Helper()
	ctx := context.Background()
	db, err := storetest.TryOpen(t, filepath.Join(t.TempDir(), "p.db"))
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	tenants, err := tenant.New(ctx, db, tenant.Config{Models: []string{"acme/a", "acme/b"}})
	check(t, err)
	records, err := ledger.Open(ctx, ledger.Config{Dir: filepath.Join(t.TempDir(), "ledger"), Store: db})
	check(t, err)
	t.Cleanup(func() { check(t, records.Close()) })

	w := &world{t: t, fleet: newFakeFleet(), tenants: tenants, ledger: records, audit: audit.New(db, nil)}
	set := metrics.NewSet()
	set.NewCounter(`pilotlight_test_total{model="acme/a"}`).Inc()
	c := admin.Config{Fleet: w.fleet, Tuner: w.fleet, Config: w.fleet, Tenants: tenants, Ledger: records, Audit: w.audit, Admins: admins(t), Metrics: []*metrics.Set{set}}
	for _, f := range adapt {
		f(&c)
	}
	server, err := admin.New(c)
	check(t, err)
	w.server = server
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	serving, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	var served error
	wait.Go(func() { served = server.Serve(serving, ln) })
	w.stop = sync.OnceFunc(func() { cancel(); wait.Wait(); check(t, served) })
	t.Cleanup(w.stop)

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.base = "http://" + ln.Addr().String()
	w.http = &http.Client{Transport: &checked{t: t, next: transport}}
	w.client = &admin.Client{BaseURL: w.base, Token: adminToken, HTTP: w.http}
	return w
}

// move runs the ledger until what was appended is in the store.
func (w *world) move() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { _ = w.ledger.Run(ctx) })
	defer wait.Wait()
	defer cancel()
}

// ask sends one request as it is and gives the status and the body.
func (w *world) ask(method, path, body string, headers ...string) (int, string, http.Header) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, bytes.NewReader([]byte(body)))
	check(w.t, err)
	request.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := w.http.Do(request)
	check(w.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	check(w.t, err)
	return response.StatusCode, string(answer), response.Header
}

// document is what the admin listener serves.
var document = sync.OnceValue(func() *spec.Spec {
	s, err := spec.Load(admin.OpenAPI())
	if err != nil {
		panic(err)
	}
	return s
})

// checked holds every complete answer, and each request that was taken, against the document.
type checked struct {
	t    *testing.T
	next http.RoundTripper
}

func (c *checked) RoundTrip(request *http.Request) (*http.Response, error) {
	var sent []byte
	if request.Body != nil {
		var err error
		if sent, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
		_ = request.Body.Close()
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(sent))
	}
	response, err := c.next.RoundTrip(request)
	if err != nil || request.Method == http.MethodHead {
		return response, err
	}
	if response.Header.Get("Content-Type") == "text/event-stream" { // which has no end
		response.Body = &followed{ReadCloser: response.Body, check: func(read []byte) { c.check(request, sent, response, read) }}
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	c.check(request, sent, response, body)
	return response, nil
}

func (c *checked) check(request *http.Request, sent []byte, response *http.Response, body []byte) {
	if err := document().Check(request, sent, response, body); err != nil {
		c.t.Errorf("not as the document has it: %v", err)
	}
}

// followed is a stream of events that is checked when its reader has had enough.
type followed struct {
	io.ReadCloser
	read  bytes.Buffer
	check func([]byte)
}

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.read.Write(p[:n])
	return n, err
}

func (f *followed) Close() error {
	f.check(f.read.Bytes())
	return f.ReadCloser.Close()
}

// fakeFleet is the fleet of a test: two models, of which one is hot.
type fakeFleet struct {
	mu        sync.Mutex // guards the fields below
	waiting   []fleet.Waiting
	snapshot  *fleet.Snapshot
	held      map[string]time.Duration
	tuned     map[string]string // key -> text, of the pool local
	stopped   []string
	files     []admin.ConfigFile // that were applied
	failure   error              // of Hold, StopModel, Explain, Tune and Configure
	notices   []fleet.Notice
	forgotten uint64        // so many of them
	news      chan struct{} // closed and replaced when notices grows
	follows   int           // running now
}

var began = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newFakeFleet() *fakeFleet {
	model := func(id string) *fleet.Model {
		return &fleet.Model{
			ID: id, GPUs: 2, Pool: "local", Endpoints: []fleet.Endpoint{fleet.EndpointChat}, ContextLength: 8192, MaxConcurrency: 64,
			IdleAfter: 5 * time.Minute, Instances: fleet.Range{Max: 4}, Engine: fleet.EngineSpec{Kind: fleet.EngineSim},
		}
	}
	instance := fleet.Instance{ID: "i-1", Model: "acme/a", Slot: "local-0", GPU: 2, GPUs: 2, State: fleet.Ready, Addr: "127.0.0.1:9000"}
	return &fakeFleet{
		held: map[string]time.Duration{}, tuned: map[string]string{}, news: make(chan struct{}),
		snapshot: &fleet.Snapshot{
			At: began,
			Models: []fleet.ModelStatus{
				{Model: model("acme/a"), State: "hot", Hot: 1, Inflight: 3, Outlook: fleet.Outlook{Answer: fleet.Serving}},
				{Model: model("acme/b"), State: "starting", Pending: 1, Waiting: 2, Outlook: fleet.Outlook{
					Answer: fleet.StartingUp, Phase: fleet.PhaseLoading, ETA: 12 * time.Second, Reason: "loading weights",
				}, Desired: fleet.Desired{Hot: 1, Reason: "2 requests wait", ReviewAt: began.Add(time.Hour)}},
				{Model: model("acme/a/start"), State: "cold"},
			},
			Instances: []fleet.InstanceStatus{{
				Instance: instance, Phase: fleet.PhaseReady, Leases: 3, Breaker: "closed", LaunchedAt: began, ReadyAt: began.Add(30 * time.Second),
			}},
			Pools: []fleet.PoolStatus{{
				Pool:  fleet.Pool{Name: "local", GPUsPerSlot: 8, HostMemory: 3 << 39, SlotIdle: 15 * time.Minute, Slots: fleet.Range{Min: 1, Max: 1}},
				Slots: []fleet.SlotStatus{{Slot: fleet.Slot{ID: "local-0", Node: "local", GPUs: 4}, Occupants: []string{"", "", "i-1", "i-1"}}},
			}},
			Activations: []fleet.Activation{{
				ID: 1, Model: "acme/a", Instance: "i-1", From: fleet.Cold, Reason: "1 request waits", Began: began, GPUSeconds: 40, Waited: time.Minute,
				Phases: []fleet.PhaseTime{{Phase: fleet.PhaseSubmitted, At: began}},
			}},
		},
	}
}

func (f *fakeFleet) Snapshot() *fleet.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot
}

func (f *fakeFleet) Explain(model string) (fleet.Explanation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fleet.Explanation{
		View: fleet.ModelView{
			Inflight: 3, IdleSince: time.Now().Add(-90 * time.Second), HeldUntil: time.Now().Add(time.Minute),
			Hot: []fleet.HotView{{ID: "i-1", Leases: 3, ReadyAt: began}, {ID: "i-2", IdleSince: time.Now().Add(-time.Minute), ReadyAt: began}},
		},
		Desired: fleet.Desired{Model: model, Hot: 1, Parked: 1 << 20, Reason: "one instance serves 64 at once, and 3 are in flight", ReviewAt: time.Now().Add(time.Minute)},
		Actions: []string{"stop i-2: idle for 5m0s"}, Request: "would be served at once", Ahead: "i-2 will be parked soon",
		Failure: fleet.Failure{At: time.Now().Add(-90 * time.Second), Instance: "i-0", Slot: "s-1", Node: "gpu-1", Cause: fleet.CauseMemory, Reason: "exit status 1; its log ends: out of memory"},
	}, f.failure
}

func (f *fakeFleet) Hold(model string, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[model] = d
	return f.failure
}

func (f *fakeFleet) StopModel(model string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = append(f.stopped, model)
	return f.failure
}

func (f *fakeFleet) Waiting(model string, limit int) (list []fleet.Waiting, all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.waiting {
		if model == "" || w.Model == model {
			if all++; len(list) < limit {
				list = append(list, w)
			}
		}
	}
	return list, all
}

func (f *fakeFleet) ServeFirst(model, org, request string) bool {
	return f.waits(model, org, request) > 0
}

func (f *fakeFleet) EndWaiting(model, org, request string) int {
	return f.waits(model, org, request)
}

func (f *fakeFleet) waits(model, org, request string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.waiting {
		if w.Model == model && w.Org == org && (request == "" || w.Request == request) {
			n++
		}
	}
	return n
}

func (f *fakeFleet) Tuned(string) []admin.Tuned {
	f.mu.Lock()
	defer f.mu.Unlock()
	var tuned []admin.Tuned
	for _, key := range slices.Sorted(maps.Keys(f.tuned)) {
		tuned = append(tuned, admin.Tuned{Key: key, Value: f.tuned[key], File: "as the file has it"})
	}
	return tuned
}

func (f *fakeFleet) Tune(_ context.Context, _ string, changes map[string]string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		maps.Copy(f.tuned, changes)
	}
	return f.failure
}

func (f *fakeFleet) Configure(_ context.Context, file admin.ConfigFile, dry bool) (*admin.Configured, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return nil, f.failure
	}
	if !dry {
		f.files = append(f.files, file)
	}
	change := admin.ConfigChange{
		Change: "changed", Block: "model", Name: "acme/a", Attribute: "gpus", Old: "2", New: "4", Effect: "its instances drain",
		Text: `~ model "acme/a": gpus 2 -> 4 (its instances drain)`,
	}
	return &admin.Configured{Changes: []admin.ConfigChange{change}, Applied: !dry, Warnings: []string{"a warning"}}, nil
}

func (f *fakeFleet) Follow(ctx context.Context, after uint64, tell func(fleet.Notice) error) error {
	f.mu.Lock()
	f.follows++
	if after > uint64(len(f.notices)) {
		after = uint64(len(f.notices))
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.follows--
		f.mu.Unlock()
	}()
	for {
		f.mu.Lock()
		pending, news := f.notices[max(after, f.forgotten):], f.news
		f.mu.Unlock()
		for _, n := range pending {
			if err := tell(n); err != nil {
				return err
			}
			after = n.ID
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// notice makes something happen.
func (f *fakeFleet) notice(model string, to fleet.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notices = append(f.notices, fleet.Notice{ID: uint64(len(f.notices) + 1), At: began, Model: model, Instance: "i-1", To: to, Reason: "test", GPUSeconds: 2.5, Waited: 3 * time.Second})
	close(f.news)
	f.news = make(chan struct{})
}

// forget drops the oldest notices.
func (f *fakeFleet) forget(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgotten = uint64(n)
}

func (f *fakeFleet) following() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.follows
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what another goroutine does without telling.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
