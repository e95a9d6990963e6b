package admin

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// route is one operation of the OpenAPI document.
type route struct {
	method, path string // as the document has it; {id} of a model may hold slashes, raw or as %2F
	handle       func(*Server, *fiber.Ctx) error
	roles        []access.Role // that may ask; nil = anybody, without a token
	query        []string      // the parameters that its query may have
	action       string        // what the audit log calls it, a noun and a verb; "" = it changes nothing
}

// methods are the route's, and HEAD for what is open: load balancers look with it.
func (r route) methods() []string {
	if r.roles == nil && r.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{r.method}
}

// Who may ask.
var (
	reads       = []access.Role{access.Operator, access.Auditor}
	readBills   = []access.Role{access.Operator, access.Auditor, access.Billing}
	changes     = []access.Role{access.Operator}
	changeBills = []access.Role{access.Operator, access.Billing}
)

// routes are tried in order: what is more exact comes first, so that a model may not be called by another route's name.
var routes = []route{
	{http.MethodGet, "/healthz", (*Server).healthz, nil, nil, ""},
	{http.MethodGet, "/readyz", (*Server).readyz, nil, nil, ""},
	{http.MethodGet, "/openapi.json", (*Server).openAPI, nil, nil, ""},
	{http.MethodGet, "/metrics", (*Server).metrics, reads, nil, ""},
	{http.MethodGet, "/api/orgs", (*Server).listOrgs, reads, nil, ""},
	{http.MethodPost, "/api/orgs", (*Server).createOrg, changes, nil, "org.create"},
	{http.MethodGet, "/api/orgs/{name}", (*Server).showOrg, reads, nil, ""},
	{http.MethodPatch, "/api/orgs/{name}", (*Server).updateOrg, changes, nil, "org.update"},
	{http.MethodGet, "/api/tokens", (*Server).listTokens, reads, []string{"org"}, ""},
	{http.MethodPost, "/api/tokens", (*Server).createToken, changes, nil, "token.create"},
	{http.MethodPatch, "/api/tokens/{id}", (*Server).updateToken, changes, nil, "token.update"},
	{http.MethodDelete, "/api/tokens/{id}", (*Server).revokeToken, changes, nil, "token.revoke"},
	{http.MethodPost, importPath, (*Server).importTenants, changes, []string{"dry_run"}, "org.import"},
	{http.MethodGet, "/api/models", (*Server).listModels, reads, nil, ""},
	{http.MethodGet, "/api/models/{id}/explain", (*Server).explain, reads, nil, ""},
	{http.MethodPost, "/api/models/{id}/start", (*Server).startModel, changes, nil, "model.start"},
	{http.MethodPost, "/api/models/{id}/stop", (*Server).stopModel, changes, nil, "model.stop"},
	{http.MethodGet, "/api/models/{id}", (*Server).showModel, reads, nil, ""},
	{http.MethodGet, "/api/instances", (*Server).listInstances, reads, nil, ""},
	{http.MethodGet, "/api/queue", (*Server).queue, reads, []string{"model", "limit"}, ""},
	{http.MethodPost, "/api/queue", (*Server).changeQueue, changes, nil, "queue.change"},
	{http.MethodGet, "/api/activations", (*Server).listActivations, reads, nil, ""},
	{http.MethodGet, "/api/pools", (*Server).listPools, reads, nil, ""},
	{http.MethodGet, "/api/pools/{name}", (*Server).showPool, reads, nil, ""},
	{http.MethodPatch, "/api/pools/{name}", (*Server).tunePool, changes, nil, "pool.tune"},
	{http.MethodPost, whatIfPath, (*Server).whatIf, reads, nil, ""}, // it only computes
	{http.MethodGet, "/api/orphans", (*Server).listOrphans, reads, nil, ""},
	{http.MethodDelete, "/api/orphans/{id}", (*Server).stopOrphan, changes, []string{"cluster"}, "orphan.stop"},
	{http.MethodGet, "/api/servers", (*Server).listServers, reads, nil, ""},
	{http.MethodPost, configPath, (*Server).configure, changes, []string{"dry_run"}, "config.apply"},
	{http.MethodGet, "/api/usage", (*Server).usage, readBills, []string{"org", "from", "to", "by", "limit", "cursor", "format", "focus_version"}, ""},
	{http.MethodGet, "/api/usage/records", (*Server).records, readBills, []string{"org", "from", "to", "cursor", "limit", "format"}, ""},
	{http.MethodGet, "/api/invoices", (*Server).listInvoices, readBills, []string{"org", "month", "limit", "cursor"}, ""},
	{http.MethodPost, "/api/invoices", (*Server).closeMonth, changeBills, nil, "month.close"},
	{http.MethodGet, "/api/invoices/{org}/{month}", (*Server).showInvoice, readBills, []string{"format"}, ""},
	{http.MethodGet, "/api/invoices/{org}/{month}/receipts", (*Server).receipts, readBills, []string{"limit", "cursor"}, ""},
	{http.MethodPost, "/api/corrections", (*Server).correct, changeBills, nil, "record.correct"},
	{http.MethodGet, "/api/webhooks", (*Server).listWebhooks, reads, nil, ""},
	{http.MethodPost, "/api/webhooks/{name}/resume", (*Server).resumeWebhook, changes, nil, "webhook.resume"},
	{http.MethodPost, "/api/store/prune", (*Server).prune, changes, nil, "store.prune"},
	{http.MethodGet, "/api/audit", (*Server).listAudit, reads, []string{"actor", "action", "subject", "from", "to", "limit", "cursor"}, ""},
	{http.MethodGet, "/api/events", (*Server).events, reads, []string{"after"}, ""},
}

// newApp makes the app, with these of the routes.
func (s *Server) newApp(routes []route) *fiber.App {
	app := fiber.New(fiber.Config{
		AppName: "pilotlight admin", CaseSensitive: true, StrictRouting: true, Immutable: true,
		DisableStartupMessage: true, DisablePreParseMultipartForm: true,
		StreamRequestBody: true, BodyLimit: configLimit, ReadBufferSize: edge.HeadLimit, ReadTimeout: headTimeout,
		IdleTimeout: 75 * time.Second, ErrorHandler: s.answerError,
	})
	server := app.Server()
	server.CloseOnShutdown = true
	server.Handler = edge.Guard{Methods: fiber.DefaultMethods, Refuse: s.refuse, Log: s.c.Log}.Handler(s.beside(app.Handler()))
	server.ExpectHandler = s.expect
	server.ErrorHandler = func(ctx *fasthttp.RequestCtx, err error) { s.refuse(ctx, edge.Broken(err)) }
	s.conns.Attach(server)
	app.Use(s.guard)
	for _, r := range routes {
		for _, method := range r.methods() {
			app.Add(method, pattern(r.path), func(c *fiber.Ctx) error {
				if passed, err := s.passOn(c, r); passed {
					return err
				}
				return s.audited(c, r, func() error {
					if err := r.admits(c); err != nil {
						return err
					}
					if err := edge.CheckQuery(c.Request().URI().QueryArgs(), r.query); err != nil {
						return err
					}
					return r.handle(s, c)
				})
			})
		}
	}
	app.Use(s.unknown)
	return app
}

// beside has the console answer what is not the API's.
func (s *Server) beside(api fasthttp.RequestHandler) fasthttp.RequestHandler {
	if s.c.Console == nil {
		return api
	}
	return func(ctx *fasthttp.RequestCtx) {
		path := string(ctx.Path())
		if strings.HasPrefix(path, "/api/") || slices.ContainsFunc(routes, func(r route) bool { return r.path == path }) {
			api(ctx)
			return
		}
		if err := s.named(ctx); err != nil {
			s.refuse(ctx, &edge.Refusal{Answer: s.answer(err)})
			return
		}
		var charge account.Charge
		defer s.open(&charge)()
		edge.Upload{Limit: bodyLimit, Charge: &charge}.Whole(s.c.Console, s.refuse)(ctx)
	}
}

// pattern is a path of the document in fiber's words.
func pattern(path string) string {
	if strings.HasPrefix(path, "/api/models/") {
		return strings.Replace(path, "{id}", "+", 1)
	}
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// param gives what stands in the path for the one parameter that its route has.
func param(c *fiber.Ctx) (string, error) {
	names := c.Route().Params
	value, err := url.PathUnescape(c.Params(names[0]))
	if err != nil {
		return "", openai.NewError(openai.CodeNotFound, "the path is not well escaped; write a slash or %2F")
	}
	return value, nil
}

// unknown answers what no route has.
func (s *Server) unknown(c *fiber.Ctx) error {
	path := c.Path()
	var allowed []string
	for _, r := range routes {
		if fiber.RoutePatternMatch(path, pattern(r.path), fiber.Config{CaseSensitive: true, StrictRouting: true}) {
			allowed = append(allowed, r.methods()...)
		}
	}
	if len(allowed) > 0 {
		list := strings.Join(allowed, ", ")
		c.Set(fiber.HeaderAllow, list)
		return openai.NewError(openai.CodeMethodNotAllowed, c.Method()+" is not allowed here; use "+list)
	}
	return openai.NewError(openai.CodeNotFound, "there is nothing at this path; /openapi.json lists what there is")
}

func (s *Server) healthz(c *fiber.Ctx) error { return c.JSON(status{Status: "ok"}) }

func (s *Server) readyz(c *fiber.Ctx) error {
	if s.c.Ready != nil {
		if err := s.c.Ready(); err != nil {
			return openai.NewError(openai.CodeOverloaded, "not ready: "+err.Error())
		}
	}
	answer := status{Status: "ok"}
	if s.c.Degraded != nil {
		answer.Degraded = s.c.Degraded()
	}
	return c.JSON(answer)
}

type status struct {
	Status   string   `json:"status"`
	Degraded []string `json:"degraded,omitempty"`
}

func (s *Server) openAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(OpenAPI())
}

func (s *Server) metrics(c *fiber.Ctx) error {
	var b bytes.Buffer
	for _, set := range append(slices.Clip(s.c.Metrics), s.meters) {
		set.WritePrometheus(&b)
	}
	metrics.WriteProcessMetrics(&b)
	c.Set(fiber.HeaderContentType, "text/plain; version=0.0.4; charset=utf-8")
	return c.Send(b.Bytes())
}
