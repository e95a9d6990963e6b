package console_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/console"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestMain(m *testing.M) {
	storetest.Quick()
	m.Run()
}

const adminToken = "an-admin-token-of-a-test-0123456789"

// tokens are those of the other roles.
var tokens = map[access.Role]string{access.Auditor: "an-auditor-of-a-test-0123456789", access.Billing: "billing-of-a-test-0123456789"}

// admins are root, and one of each other role.
func admins(t *testing.T, root string) *access.Admins {
	t.Helper()
	env := map[string]string{"A": tokens[access.Auditor], "B": tokens[access.Billing]}
	a, err := access.New(access.Config{Root: root, Getenv: func(name string) string { return env[name] }, Tokens: []access.Token{
		{Name: "ana", Role: access.Auditor, Env: "A"}, {Name: "bill", Role: access.Billing, Env: "B"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fakeFleet is a fleet that a test sets.
type fakeFleet struct {
	mu      sync.Mutex // guards what follows
	now     fleet.Snapshot
	looks   int
	held    []string
	waiting []fleet.Waiting
	notices []fleet.Notice // to be told
	change  chan struct{}
}

func (f *fakeFleet) Snapshot() *fleet.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	s := f.now
	s.Models = append([]fleet.ModelStatus(nil), f.now.Models...)
	return &s
}

func (f *fakeFleet) set(change func(s *fleet.Snapshot)) {
	f.mu.Lock()
	change(&f.now)
	f.mu.Unlock()
	select {
	case f.change <- struct{}{}:
	default:
	}
}

// tell has those who follow hear of a notice.
func (f *fakeFleet) tell(n fleet.Notice) {
	f.mu.Lock()
	f.notices = append(f.notices, n)
	f.mu.Unlock()
	f.change <- struct{}{}
}

func (f *fakeFleet) Explain(string) (fleet.Explanation, error) { return fleet.Explanation{}, nil }

func (f *fakeFleet) Hold(model string, _ time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, model)
	return nil
}

func (f *fakeFleet) Waiting(string, int) ([]fleet.Waiting, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting, len(f.waiting)
}

func (f *fakeFleet) ServeFirst(_, org, _ string) bool { return org == "acme" }

func (f *fakeFleet) EndWaiting(_, org, _ string) int {
	if org == "acme" {
		return 1
	}
	return 0
}

func (f *fakeFleet) StopModel(string) error { return nil }

func (f *fakeFleet) Follow(ctx context.Context, _ uint64, tell func(fleet.Notice) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.change:
			f.mu.Lock()
			notices := append(f.notices, fleet.Notice{})
			f.notices = nil
			f.mu.Unlock()
			for _, n := range notices {
				if err := tell(n); err != nil {
					return err
				}
			}
		}
	}
}

// world is a console over real tenants and a real ledger.
type world struct {
	t        *testing.T
	store    *store.Store
	fleet    *fakeFleet
	pools    *fakePools
	series   *fakeSeries
	tenants  *tenant.Tenants
	ledger   *ledger.Ledger
	audit    *audit.Log
	admins   *access.Admins // of the console that was opened last
	console  *console.Console
	now      time.Time
	operator http.RoundTripper // to the admin side
	caller   http.RoundTripper
}

func models() []fleet.ModelStatus {
	var all []fleet.ModelStatus
	for _, id := range []string{"m/one", "m/two"} {
		all = append(all, fleet.ModelStatus{State: "cold", Model: &fleet.Model{ID: id, GPUs: 2, Endpoints: []fleet.Endpoint{fleet.EndpointChat}, IdleAfter: time.Minute}})
	}
	return all
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	s, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, store: s, now: time.Now().UTC(), fleet: &fakeFleet{change: make(chan struct{}, 1)}, pools: &fakePools{}, series: &fakeSeries{}}
	w.fleet.now.Models = models()
	w.fleet.now.Pools = []fleet.PoolStatus{{
		Pool:  fleet.Pool{Name: "h100", GPUsPerSlot: 8},
		Slots: []fleet.SlotStatus{{Slot: fleet.Slot{ID: "slot-1", Pool: "h100", GPUs: 8}, Occupants: make([]string, 8)}},
	}}
	if w.tenants, err = tenant.New(t.Context(), s, tenant.Config{}); err != nil {
		t.Fatal(err)
	}
	if w.ledger, err = ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: s}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.ledger.Close() })
	w.audit = audit.New(s, nil)
	w.console = w.open(adminToken, [32]byte{1})
	w.operator, w.caller = w.serve(w.console.Operator()), w.serve(w.console.Caller())
	return w
}

// open makes a console over the same fleet, tenants and ledger.
func (w *world) open(admin string, key [32]byte) *console.Console {
	w.t.Helper()
	w.admins = admins(w.t, admin)
	c, err := console.New(console.Config{
		Fleet: w.fleet, Tenants: w.tenants, Ledger: w.ledger, Audit: w.audit, Key: key, Admins: w.admins, API: "http://api.test/v1",
		Price: func() fleet.NanoUSD { return 8_250_000_000 }, Now: func() time.Time { return w.now },
		Servers: func() []console.Server {
			return []console.Server{{Name: "here", Standing: "leads", Term: 7, Since: w.now}}
		},
		Pools: w.pools, Series: w.series,
		Budget: func(org string) (console.Budget, bool) {
			return console.Budget{Period: "monthly", Limit: 10e9, Spent: 4e9, Left: 6e9, Begins: w.now.AddDate(0, 0, -10), Resets: w.now.AddDate(0, 0, 20)}, org == "acme"
		},
		Chat: func(_ context.Context, secret string, body []byte) (*console.Answer, error) {
			return &console.Answer{Status: 200, ContentType: "text/event-stream", Body: io.NopCloser(strings.NewReader("data: " + secret + " " + string(body) + "\n\n"))}, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// serve answers requests of the transport that it gives.
func (w *world) serve(handler fasthttp.RequestHandler) http.RoundTripper {
	ln := fasthttputil.NewInmemoryListener()
	server := &fasthttp.Server{Handler: handler}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.Dial() }}
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		ln.Close()
		serving.Wait()
	})
	return transport
}

// browser keeps cookies as a browser does, and follows no redirect.
type browser struct {
	*http.Client
	t    *testing.T
	base string
}

func (w *world) browser(side http.RoundTripper) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &browser{t: w.t, base: "http://console.test", Client: &http.Client{
		Transport: side, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if side == w.caller {
		b.base += console.CallerBase
	}
	return b
}

type response struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (b *browser) do(method, path string, form url.Values, header ...string) response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header.Get("Location"), answer.Header, string(body)}
}

func (b *browser) get(path string) response { return b.do(http.MethodGet, path, nil) }

func (b *browser) signIn(token string) response {
	b.t.Helper()
	return b.do(http.MethodPost, "/signin", url.Values{"token": {token}})
}

// token makes one of an organisation, which is made where it is not there.
func (w *world) token(org string, scopes ...tenant.Scope) (secret string, t *tenant.Token) {
	w.t.Helper()
	if _, err := w.tenants.EnsureOrg(w.t.Context(), org); err != nil {
		w.t.Fatal(err)
	}
	secret, t, err := w.tenants.CreateToken(w.t.Context(), tenant.NewToken{Org: org, Scopes: scopes})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret, t
}

// used appends the record of one request of an organisation.
func (w *world) used(org, model string) *ledger.Record {
	w.t.Helper()
	r := &ledger.Record{
		Org: org, TokenID: "tok_1", Model: model, Instance: "i-1", GPUs: 2, Start: fleet.Hot, ReceivedAt: w.now, DispatchedAt: w.now,
		Billed: time.Second, Upstream: time.Second, TTFT: time.Millisecond, Price: 8_250_000_000, Status: ledger.Complete,
	}
	if err := w.ledger.Append(r); err != nil {
		w.t.Fatal(err)
	}
	return r
}
