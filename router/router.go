package router

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/telemetry"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// Config is what New needs. Activator, Tenants and Ledger are required.
type Config struct {
	Activator *activator.Activator
	Tenants   *tenant.Tenants
	Ledger    *ledger.Ledger
	Models    []*fleet.Model
	Price     fleet.NanoUSD // of one GPU for one hour; both are as of the start, see Configure

	PathAliases     []string                // prefixes that stand for /v1 too, such as "/api/integrations/dgx/v1"
	TLS             *tls.Config             // that callers have to speak; nil = none
	CORSOrigins     []string                // origins whose pages may read answers in a browser, such as "https://chat.example.com", or "*"; empty = none
	BodyLimit       fleet.Bytes             // of one request; 0 = 32 MiB
	Accounts        *account.Accounts       // of all organisations; nil = its own, with memory for 32 bodies of BodyLimit
	MaxConnections  int                     // of callers at once; 0 = no limit
	MaxBoth         int                     // callers' connections and those to engines, together, with MaxConnections; 0 = no limit
	Keepalive       string                  // off, comment or chunk, for tokens that name none; empty = comment
	StreamHeartbeat time.Duration           // silence after which a stream gets a keep-alive; 0 = 15 s
	EventLimit      fleet.Bytes             // of one event of a stream; 0 = 32 MiB
	DrainTimeout    time.Duration           // how long live requests may go on after Serve's ctx is done; 0 = 30 s
	OpenAPI         []byte                  // served at /openapi.json; nil = 404
	Ready           func() error            // why /readyz must not say 200 yet, for anybody to read; nil = ready while Serve runs
	Console         fasthttp.RequestHandler // of /console, with bodies of up to consoleBody; nil = 404
	Degraded        func() []string         // what is lacking of a server that is ready, for anybody to read; nil = nothing ever is

	AccessLog *telemetry.AccessLog // gets a line for each request; nil = there is none
	Tracer    *telemetry.Tracer    // makes a trace of each request to a model; nil = there are none

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // to engines; nil = TCP
	Log  *slog.Logger                                                      // nil = discard
}

// Router serves the public API. It is safe for concurrent use.
type Router struct {
	c        Config
	app      *fiber.App
	offer    atomic.Pointer[offer]
	asks     map[string]fasthttp.RequestHandler // path -> its endpoint; complete once New has returned
	engines  *upstream.Client
	conns    *edge.Connections
	lost     losses
	draining atomic.Bool
	handed   atomic.Bool    // another process has this one's place
	leaving  atomic.Bool    // answers may be the last of their connections
	adopted  sync.WaitGroup // connections that another process has accepted
	metrics  *routerMetrics
	unknown  *modelMetrics // of requests that name no model of ours
	salts    sync.Map      // org -> its cache salt
	idle     sync.Pool     // of *exchange; a pool per router, because timers and channels must not cross a test's bubble
	asking   sync.WaitGroup

	accepting accepting
}

// New makes a Router. It starts nothing.
func New(c Config) (*Router, error) {
	if c.Activator == nil || c.Tenants == nil || c.Ledger == nil {
		return nil, errors.New("making a router: Activator, Tenants and Ledger are required")
	}
	c = c.withDefaults()
	if !validKeepalive(c.Keepalive) {
		return nil, errors.New("making a router: keep-alive must be off, comment or chunk")
	}
	r := &Router{
		c:       c,
		asks:    map[string]fasthttp.RequestHandler{},
		metrics: newMetrics(),
	}
	r.connect()
	r.unknown = r.metrics.forModel("")
	r.idle.New = func() any { return newExchange(r) }
	r.Configure(c.Models, c.Price)
	r.applyBudgets()
	r.app = r.routes()
	return r, nil
}

// connect makes the two ends, callers' connections and those to engines, which share the process's descriptors.
func (r *Router) connect() {
	callers := edge.Config{Listener: "public", Max: r.c.MaxConnections, TLS: r.c.TLS, Metrics: r.metrics.set, Log: r.c.Log}
	engines := upstream.Config{Dial: r.c.Dial}
	if both := r.c.MaxBoth; both > 0 {
		callers.Room = func() int { return both - r.engines.Open() }
		engines.MaxConns = func() int { return both - r.conns.Count() }
	}
	r.conns, r.engines = edge.New(callers), upstream.New(engines)
}

func (c Config) withDefaults() Config {
	if c.BodyLimit == 0 {
		c.BodyLimit = 32 << 20
	}
	if c.Accounts == nil {
		c.Accounts = account.New(account.Config{Memory: 32 * int64(c.BodyLimit), Cost: ledger.Cost})
	}
	if c.Keepalive == "" {
		c.Keepalive = keepComment
	}
	if c.StreamHeartbeat == 0 {
		c.StreamHeartbeat = 15 * time.Second
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 30 * time.Second
	}
	if c.Ready == nil {
		c.Ready = func() error { return nil }
	}
	if c.Degraded == nil {
		c.Degraded = func() []string { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Metrics gives the router's metrics.
func (r *Router) Metrics() *metrics.Set { return r.metrics.set }
