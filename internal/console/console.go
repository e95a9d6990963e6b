package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Answer is the public API's answer to a chat: a stream of events, or an error.
type Answer struct {
	Status      int
	ContentType string
	Body        io.ReadCloser // closing it ends the request
}

// Server is one server of the cluster.
type Server struct {
	Name, Version string
	Standing      string    // leads, unsure or waits
	Term          uint64    // of its lead; 0 = it has none
	Since         time.Time // it has stood so
	Lost          string    // what it cannot hear, for operators; "" = it hears everything
}

// Config is what New needs. All of it is required but Version, Now and Log.
type Config struct {
	Fleet   fleet.Control
	Tenants *tenant.Tenants
	Ledger  *ledger.Ledger
	Audit   *audit.Log
	Key     [32]byte                                                               // seals what browsers keep; who has it can sign in as anybody
	Price   func() fleet.NanoUSD                                                   // of a GPU-hour, now
	API     string                                                                 // base URL of the public API, as callers are told it
	Chat    func(ctx context.Context, secret string, body []byte) (*Answer, error) // sends a chat to the public API
	Pools   Pools
	Series  Series
	Budget  func(org string) (Budget, bool) // of an organisation, in its present period; false = it has none
	Admins  *access.Admins                  // sign in for all organisations, at the admin address
	Servers func() []Server                 // of the cluster
	Version string
	Now     func() time.Time // nil = time.Now
	Log     *slog.Logger     // nil = discard
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	c      Config
	seal   sealer
	hub    *Hub
	codes  codes
	common common
}

// New checks the config. It starts nothing.
func New(c Config) (*Console, error) {
	if c.Fleet == nil || c.Tenants == nil || c.Ledger == nil || c.Audit == nil || c.Admins == nil || c.Chat == nil || c.Price == nil || c.Pools == nil || c.Series == nil || c.Budget == nil || c.Servers == nil || c.Key == ([32]byte{}) {
		return nil, errors.New("console: all of the config but Version, Now and Log is required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	_, _ = templates(), assets() // one that is broken is noticed here, and by no visitor
	seal, err := newSealer(c.Key)
	if err != nil {
		return nil, err
	}
	console := &Console{c: c, seal: seal}
	console.hub = newHub(c.Fleet, c.Servers, c.Log)
	return console, nil
}

// Run looks at the fleet for the pages that are open, until ctx is done; it then ends their live parts and returns nil.
func (c *Console) Run(ctx context.Context) error { return c.hub.run(ctx) }

// side is one of the two places that the console is at.
type side struct {
	*Console
	base     string // before every path; "" or "/console"
	operator bool   // operators may sign in here
}

// Operator gives the handler of the admin listener, at "/". Bodies have to be read by then.
func (c *Console) Operator() fasthttp.RequestHandler { return (&side{c, "", true}).handler() }

// Caller gives the handler of the public listener, at CallerBase. Bodies have to be read by then.
func (c *Console) Caller() fasthttp.RequestHandler { return (&side{c, CallerBase, false}).handler() }

// CallerBase is where the console is on the public listener.
const CallerBase = "/console"

// BodyLimit bounds what a form or a chat sends, in bytes.
const BodyLimit = 256 << 10

func (s *side) handler() fasthttp.RequestHandler {
	app := fiber.New(fiber.Config{
		CaseSensitive: true, Immutable: true, DisableStartupMessage: true, BodyLimit: BodyLimit, ErrorHandler: s.failed,
	})
	app.Use(s.secure)
	at := app.Group(s.base)
	at.Get("/assets/:hash/:name", asset)
	at.Get("/signin", s.showSignIn)
	at.Post("/signin", s.signIn)
	at.Post("/signout", s.signOut)
	for _, p := range pages {
		if p.operator && !s.operator {
			continue
		}
		handle := s.visited(p)
		if p.post {
			at.Post(p.path, handle)
		} else {
			at.Get(p.path, handle)
		}
	}
	app.Use(func(*fiber.Ctx) error { return errNoPage })
	return app.Handler()
}

// page is one route that needs a visitor who is signed in.
type page struct {
	path     string
	post     bool
	operator bool         // for those with an admin token only
	bills    bool         // for those of the role billing, too
	scope    tenant.Scope // that a caller's token needs; "" = any token
	action   string       // what the audit log calls it, a noun and a verb; "" = it changes nothing of the server's
	handle   func(*visit) error
}

var pages = []page{
	{path: "/", handle: (*visit).models},
	{path: "/models", handle: (*visit).models},
	{path: "/model/*", handle: (*visit).model},
	{path: "/chat", post: true, scope: tenant.ScopeInference, handle: (*visit).chat},
	{path: "/payer", post: true, operator: true, handle: (*visit).setPayer},
	{path: "/hold/*", post: true, operator: true, action: "model.start", handle: (*visit).hold},
	{path: "/stop/*", post: true, operator: true, action: "model.stop", handle: (*visit).stop},
	{path: "/tokens", scope: tenant.ScopeTokensManage, handle: (*visit).tokens},
	{path: "/tokens", post: true, scope: tenant.ScopeTokensManage, action: "token.create", handle: (*visit).createToken},
	{path: "/tokens/:id/revoke", post: true, scope: tenant.ScopeTokensManage, action: "token.revoke", handle: (*visit).revokeToken},
	{path: "/usage", bills: true, scope: tenant.ScopeUsageRead, handle: (*visit).usage},
	{path: "/usage.csv", bills: true, scope: tenant.ScopeUsageRead, handle: (*visit).usageCSV},
	{path: "/requests", bills: true, scope: tenant.ScopeUsageRead, handle: (*visit).requests},
	{path: "/request/:id", bills: true, scope: tenant.ScopeUsageRead, handle: (*visit).request},
	{path: "/invoices", bills: true, scope: tenant.ScopeUsageRead, handle: (*visit).invoices},
	{path: "/invoice/:org/:month", bills: true, scope: tenant.ScopeUsageRead, handle: (*visit).invoice},
	{path: "/queue", operator: true, handle: (*visit).queue},
	{path: "/queue", post: true, operator: true, action: "queue.change", handle: (*visit).changeQueue},
	{path: "/fleet", operator: true, handle: (*visit).fleet},
	{path: "/decisions", operator: true, handle: (*visit).decisions},
	{path: "/activations", operator: true, handle: (*visit).activations},
	{path: "/pools", operator: true, handle: (*visit).pools},
	{path: "/pools/:name", post: true, operator: true, action: "pool.tune", handle: (*visit).tunePool},
	{path: "/audit", operator: true, handle: (*visit).audit},
	{path: "/pools/:name/what-if", post: true, operator: true, handle: (*visit).whatIf},
	{path: "/series", operator: true, handle: (*visit).series},
	{path: "/kit", operator: true, handle: (*visit).kit},
	{path: "/live", handle: (*visit).live},
}
