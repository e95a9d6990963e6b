package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp/fasthttputil"
	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/admin/spec"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/router"
)

func TestMain(m *testing.M) {
	storetest.Quick()
	document()
	// fasthttp starts a goroutine for its clock with the first server, which must not be born in a bubble.
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/", func(c *fiber.Ctx) error { return nil })
	ln := fasthttputil.NewInmemoryListener()
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	c, err := ln.Dial()
	if err != nil {
		panic(err)
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if _, err := io.ReadAll(c); err != nil {
		panic(err)
	}
	if err := errors.Join(app.Shutdown(), <-done); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const (
	chatModel = "meta-llama/Meta-Llama-3-8B-Instruct"
	rareModel = "mistralai/Mixtral-8x7B-Instruct-v0.1"
	hugeModel = "acme/never-fits"
	heartbeat = 15 * time.Second
)

// world is the real router, activator, ledger and tenants around a fake host and fake engines.
type world struct {
	testing.TB
	net     network
	host    *host
	engines *engines
	act     *activator.Activator
	tenants *tenant.Tenants
	audit   *audit.Log
	ledger  *ledger.Ledger
	router  *router.Router
	client  *http.Client
	secret  string // of a token of org acme with all scopes
	token   string // its ID

	probes     atomic.Int32 // requests of the server's own
	listener   net.Listener // the router's
	stopRouter context.CancelFunc
	served     chan error
}

// setup says how a world differs from the usual one.
type setup struct {
	tcp    bool // real sockets; else in memory, for bubbles
	router func(*router.Config)
	model  func(*fleet.Model)
	ledger func(*ledger.Config)
	load   time.Duration // of an engine
	gpus   int           // of the host; 0 = 8
	ended  bool          // the router is told to end before it serves
	parks  bool          // engines are parked after a minute
	proof  time.Duration // of the host
}

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{TB: t, net: newMemory(), served: make(chan error, 1)}
	if s.tcp {
		w.net = &sockets{}
	}
	if s.gpus == 0 {
		s.gpus = 8
	}
	models := testModels()
	if s.model != nil {
		for _, m := range models {
			s.model(m)
		}
	}
	w.engines = &engines{tb: t, net: w.net, handler: answerChat}
	w.host = newHost(ctx, s.gpus, s.load, w.engines)
	w.host.parks, w.host.proof = s.parks, s.proof
	policy, pool := activator.Policy(autoscaler.NewFixed(autoscaler.FixedConfig{})), fleet.Pool{Name: fleet.LocalPool, GPUsPerSlot: s.gpus, Slots: fleet.Range{Min: 1, Max: 1}}
	if s.parks {
		policy, pool.MaxParkedPerGPU, pool.ParkedGPUMemory = keeper{policy}, 4, 4<<30
		for _, m := range models {
			m.IdleAfter = time.Minute
		}
	}
	st, err := storetest.TryOpen(t, t.TempDir()+"/test.db")
	w.must(err)
	w.audit = audit.New(st, nil)
	w.tenants, err = tenant.New(ctx, st, tenant.Config{})
	w.must(err)
	lc := ledger.Config{Dir: t.TempDir(), Store: st}
	if s.ledger != nil {
		s.ledger(&lc)
	}
	w.ledger, err = ledger.Open(ctx, lc)
	w.must(err)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.act, err = activator.New(activator.Config{
		Backend: w.host, Observers: []activator.Observer{w.host}, Policy: policy,
		Models: models, Probe: w.probe, Pools: []fleet.Pool{pool}, Log: log, Seed: 1,
	})
	w.must(err)
	rc := router.Config{
		Activator: w.act, Tenants: w.tenants, Ledger: w.ledger, Models: models, Price: 8_250_000_000,
		StreamHeartbeat: heartbeat, DrainTimeout: 10 * time.Second, PathAliases: []string{"/api/integrations/dgx/v1"},
		OpenAPI: admin.PublicOpenAPI(), Log: log, Dial: w.net.dial,
	}
	if spoken != nil {
		rc.TLS = spoken.listener
	}
	if s.router != nil {
		s.router(&rc)
	}
	w.router, err = router.New(rc)
	w.must(err)

	var g sync.WaitGroup
	g.Go(func() { w.must(w.act.Run(ctx)) })
	g.Go(func() { w.must(w.ledger.Run(ctx)) })
	g.Go(func() { w.must(w.tenants.Run(ctx)) })
	routing, stop := context.WithCancel(ctx)
	w.stopRouter = stop
	if s.ended {
		stop()
	}
	ln := w.net.listen("router")
	w.listener = ln
	g.Go(func() { w.served <- w.router.Serve(routing, ln) })
	w.client = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 1024,
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return w.reach(ctx) },
	}}
	w.secret, w.token = w.newToken("acme", tenant.NewToken{Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeModelsRead, tenant.ScopeUsageRead}})
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		stop()
		if err := <-w.served; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
		cancel()
		g.Wait()
		w.host.wait()
		w.engines.close()
		w.net.close()
		w.must(w.ledger.Close())
		w.must(st.Close())
		if !s.tcp {
			time.Sleep(time.Minute) // fasthttp's pool of workers looks every 10 s whether it has been stopped
		}
	})
	return w
}

// keeper is a policy that wishes everything parked.
type keeper struct{ activator.Policy }

func (k keeper) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := k.Policy.Decide(now, v)
	d.Parked, d.ParkedValue = 8, 1
	return d
}

// probe sends a request of the server's own to an engine, whose handler can tell it by its one message, "probe".
func (w *world) probe(ctx context.Context, m *fleet.Model, addr string) error {
	w.probes.Add(1)
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, network, _ string) (net.Conn, error) { return w.net.dial(ctx, network, addr) },
	}}
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"probe"}],"max_tokens":1}`, m.ID)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v1/chat/completions", strings.NewReader(body))
	w.must(err)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct{ Choices []any }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Choices) == 0 {
		return fmt.Errorf("the engine answered %d and no token: %v", resp.StatusCode, err)
	}
	return nil
}

func testModels() []*fleet.Model {
	limits := func(id string, gpus int) *fleet.Model {
		return &fleet.Model{
			ID: id, GPUs: gpus, Pool: fleet.LocalPool, Endpoints: []fleet.Endpoint{fleet.EndpointChat, fleet.EndpointCompletions},
			ContextLength: 8192, MaxConcurrency: 64, IdleAfter: time.Hour, Instances: fleet.Range{Max: 4},
			Queue:    fleet.QueueLimits{Limit: 2048, PerOrg: 1024, MaxWait: 9 * time.Minute},
			Timeouts: fleet.Timeouts{Start: 30 * time.Minute, FirstByte: 10 * time.Minute, Idle: time.Minute, Total: 30 * time.Minute},
			Engine:   fleet.EngineSpec{Kind: fleet.EngineTRTLLM},
		}
	}
	rare := limits(rareModel, 2)
	rare.Endpoints = []fleet.Endpoint{fleet.EndpointChat}
	rare.Engine.Kind = fleet.EngineOpenAI
	rare.Allow = []string{"lora_request"}
	return []*fleet.Model{limits(chatModel, 1), rare, limits(hugeModel, 64)}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// newToken makes a token in an organisation, which is created where it does not exist.
func (w *world) newToken(org string, n tenant.NewToken) (secret, id string) {
	w.Helper()
	_, err := w.tenants.EnsureOrg(context.Background(), org)
	w.must(err)
	n.Org = org
	secret, token, err := w.tenants.CreateToken(context.Background(), n)
	w.must(err)
	return secret, token.ID
}

// named runs f with a name before each of its errors. Bubbles have no subtests.
func (w *world) named(name string, f func()) {
	w.Helper()
	outer := w.TB
	defer func() { w.TB = outer }()
	w.TB = named{outer, name}
	f()
}

type named struct {
	testing.TB
	name string
}

func (n named) Errorf(format string, args ...any) {
	n.Helper()
	n.TB.Errorf(n.name+": "+format, args...)
}

func (n named) Fatalf(format string, args ...any) {
	n.Helper()
	n.TB.Fatalf(n.name+": "+format, args...)
}

// call is one request of a test.
type call struct {
	method, path string // POST, /v1/chat/completions
	body         string
	secret       string // "-" = none; "" = the world's
	header       map[string]string
	ctx          context.Context
}

type answer struct {
	*http.Response
	text string
	err  error // of reading the body
}

func (w *world) do(c call) answer {
	w.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = "/v1/chat/completions"
	}
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	req, err := http.NewRequestWithContext(c.ctx, c.method, "http://router"+c.path, body)
	w.must(err)
	switch c.secret {
	case "":
		req.Header.Set("Authorization", "Bearer "+w.secret)
	case "-":
	default:
		req.Header.Set("Authorization", "Bearer "+c.secret)
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && c.method != http.MethodHead && c.method != http.MethodOptions {
		w.documented(req, c.body, resp, text)
	}
	return answer{Response: resp, text: string(text), err: err}
}

// documented holds an answer, and the request if it was taken, against the OpenAPI document. An alias has the paths of /v1.
func (w *world) documented(req *http.Request, sent string, resp *http.Response, text []byte) {
	w.Helper()
	asked := *req
	asked.URL, _ = url.Parse(strings.Replace(req.URL.String(), "/api/integrations/dgx/v1/", "/v1/", 1))
	if err := document().Check(&asked, []byte(sent), resp, text); err != nil {
		w.Errorf("not as the OpenAPI document has it: %v", err)
	}
}

// document is what the public listener serves. TestMain makes it, outside of bubbles.
var document = sync.OnceValue(func() *spec.Spec {
	s, err := spec.Load(admin.PublicOpenAPI())
	if err != nil {
		panic(err)
	}
	return s
})

func chat(model string, more ...string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]%s}`, model, strings.Join(more, ""))
}

const (
	stream    = `,"stream":true`
	withUsage = `,"stream_options":{"include_usage":true}`
)

// wantCode asserts an error answer in OpenAI's shape, or Anthropic's.
func (w *world) wantCode(a answer, status int, code string) {
	w.Helper()
	if a.err != nil {
		w.Fatalf("got error %v, want %d %s", a.err, status, code)
	}
	var e struct {
		Error struct {
			Message, Type, Code string
			Param               *string
			Details             struct {
				Code string `json:"error_code"`
			}
		}
	}
	if err := json.Unmarshal([]byte(a.text), &e); err != nil {
		w.Fatalf("got %d %q, want an error in OpenAI's shape: %v", a.StatusCode, a.text, err)
	}
	if a.StatusCode != status || e.Error.Code+e.Error.Details.Code != code {
		w.Errorf("got %d %s (%s), want %d %s", a.StatusCode, e.Error.Code+e.Error.Details.Code, e.Error.Message, status, code)
	}
	if e.Error.Message == "" || e.Error.Type == "" {
		w.Errorf("got %q, want a message and a type", a.text)
	}
	if a.Header.Get("X-Request-Id") == "" {
		w.Errorf("got no X-Request-Id on %d %s", a.StatusCode, e.Error.Code)
	}
}

// heat brings a model to hot.
func (w *world) heat(model string) {
	w.Helper()
	before := w.engines.swap(answerChat)
	if a := w.do(call{body: chat(model)}); a.err != nil || a.StatusCode != 200 {
		w.Fatalf("got %+v, want the model hot", a)
	}
	w.engines.swap(before)
	w.records(1)
}

// records waits for n records of the ledger in all and gives them, oldest first.
func (w *world) records(n int) []ledger.Record {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		page, err := w.ledger.Records(context.Background(), "", "", 1000)
		w.must(err)
		got := page.Records
		if len(got) >= n || time.Now().After(end) {
			if len(got) != n {
				w.Fatalf("got %d records, want %d: %+v", len(got), n, got)
			}
			return got
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) lastRecord(n int) ledger.Record {
	w.Helper()
	return w.records(n)[n-1]
}

func (w *world) metric(line string) string {
	var b bytes.Buffer
	w.router.Metrics().WritePrometheus(&b)
	for l := range strings.Lines(b.String()) {
		if v, ok := strings.CutPrefix(l, line+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
