package router

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/edge"
)

const (
	writeBuffer = 16 << 10 // what one read of an engine brings, with its framing, leaves in one write

	headTimeout = 15 * time.Second // for a request's head; bodies re-arm it
	idleTimeout = 75 * time.Second
)

// routes builds the app. WriteTimeout stays off (see writePatience). Middleware, c.Body and body parsers are never used:
// c.Body gunzips without limit.
func (r *Router) routes() *fiber.App {
	app := fiber.New(fiber.Config{
		StreamRequestBody: true, DisablePreParseMultipartForm: true, BodyLimit: int(r.c.BodyLimit),
		ReadBufferSize: edge.HeadLimit, WriteBufferSize: writeBuffer, ReadTimeout: headTimeout, IdleTimeout: idleTimeout,
		CaseSensitive: true, DisableStartupMessage: true, ErrorHandler: r.failed,
		Concurrency: max(2*r.c.MaxConnections, fiber.DefaultConcurrency), // the edge bounds connections
	})
	r.mount(app, "/v1")
	for _, prefix := range r.c.PathAliases {
		r.mount(app, "/"+strings.Trim(prefix, "/"))
	}
	r.get(app, "/healthz", r.healthz)
	r.get(app, "/health", r.healthz) // as engines have it: stock harnesses look there first
	r.get(app, "/readyz", r.readyz)
	if r.c.OpenAPI != nil {
		r.get(app, "/openapi.json", r.openAPI)
	}
	s := app.Server()
	s.Handler = r.closing(edge.Guard{Methods: fiber.DefaultMethods, Prepare: r.prepare, Refuse: r.deny, Log: r.c.Log}.Handler(r.straight(r.beside(app.Handler()))))
	if r.c.AccessLog != nil {
		s.Handler = r.logged(s.Handler)
	}
	r.conns.Attach(s)
	s.ExpectHandler = r.expect
	s.ErrorHandler = r.broken
	return app
}

// straight takes requests to the endpoints, by their very path, past fiber's search through all routes.
func (r *Router) straight(others fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if ctx.IsPost() {
			if ask := r.asks[string(ctx.URI().PathOriginal())]; ask != nil {
				ask(ctx)
				return
			}
		}
		others(ctx)
	}
}

// consolePath is where the console is, and consoleBody how large a body it takes. All its visitors share one account.
const (
	consolePath = "/console"
	consoleBody = 256 << 10
)

// beside has the console answer below its path.
func (r *Router) beside(api fasthttp.RequestHandler) fasthttp.RequestHandler {
	if r.c.Console == nil {
		return api
	}
	return func(ctx *fasthttp.RequestCtx) {
		path := string(ctx.Path())
		if path == consolePath {
			ctx.Redirect(consolePath+"/", http.StatusSeeOther)
			return
		}
		if !strings.HasPrefix(path, consolePath+"/") {
			api(ctx)
			return
		}
		var charge account.Charge
		r.c.Accounts.Open(&charge, account.Console)
		defer charge.Settle()
		edge.Upload{Limit: consoleBody, Charge: &charge}.Whole(r.c.Console, r.deny)(ctx)
	}
}

func (r *Router) mount(app *fiber.App, prefix string) {
	for _, e := range endpoints {
		ask := r.complete(e)
		r.asks[prefix+e.path] = ask
		app.Post(prefix+e.path, func(c *fiber.Ctx) error { // other ways to write the path
			ask(c.Context())
			return nil
		})
		app.Options(prefix+e.path, options(http.MethodPost))
	}
	r.get(app, prefix+"/models", r.listModels)
	r.get(app, prefix+"/models/*", r.showModel)
	r.get(app, prefix+"/usage", r.usage, usageParameters...)
	r.get(app, prefix+"/usage/*", r.receipt)
	r.get(app, prefix+"/invoices", r.invoices, "cursor", "limit", "month")
	r.get(app, prefix+"/invoices/*/receipts", r.receipts, "cursor", "limit")
	r.get(app, prefix+"/invoices/*", r.invoice)
	r.mountTokens(app, prefix)
}

// get mounts a handler that may fail for GET and HEAD, with the parameters that its query may have.
func (r *Router) get(app *fiber.App, path string, h func(*fasthttp.RequestCtx, *fiber.Ctx) *failure, parameters ...string) {
	app.Get(path, r.checked(parameters, r.answering(h)))
	app.Options(path, options(http.MethodGet, http.MethodHead))
}

// answering answers with what a handler has written, or why it has failed.
func (r *Router) answering(h func(*fasthttp.RequestCtx, *fiber.Ctx) *failure) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx := c.Context()
		if f := h(ctx, c); f != nil {
			r.refuse(ctx, f, r.unknown)
			return nil
		}
		r.unknown.answered(ctx.Response.StatusCode())
		return nil
	}
}

// checked lets a request through whose query has none but these parameters.
func (r *Router) checked(parameters []string, next fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if f := checkQuery(c.Context(), parameters); f != nil {
			r.refuse(c.Context(), f, r.unknown)
			return nil
		}
		return next(c)
	}
}

// options answers what a path takes.
func options(methods ...string) fiber.Handler {
	allow := strings.Join(append(methods, http.MethodOptions), ", ")
	return func(c *fiber.Ctx) error {
		h := &c.Context().Response.Header
		h.Set(fiber.HeaderAllow, allow)
		if len(h.Peek(fiber.HeaderAccessControlAllowOrigin)) > 0 {
			h.Set(fiber.HeaderAccessControlAllowMethods, allow)
		}
		c.Context().SetStatusCode(http.StatusNoContent)
		return nil
	}
}

// prepare readies every answer, also of what is refused before a handler has run: it names its request, and says whose pages may read it.
func (r *Router) prepare(ctx *fasthttp.RequestCtx) {
	var room [128]byte
	ctx.Response.Header.SetCanonical(headerRequestID, appendRequestID(room[:0], ctx))
	r.share(ctx)
}

// failed answers the errors of fiber: no such path, no such method.
func (r *Router) failed(c *fiber.Ctx, err error) error {
	status := http.StatusBadRequest
	var known *fiber.Error
	if errors.As(err, &known) {
		status = known.Code
	}
	if status == http.StatusNotFound {
		r.refuse(c.Context(), r.notFound(c.Path()), r.unknown)
		return nil
	}
	r.deny(c.Context(), edge.ProtocolRefusal(status))
	return nil
}

// broken answers the errors of fasthttp. No handler has run.
func (r *Router) broken(ctx *fasthttp.RequestCtx, err error) {
	r.prepare(ctx)
	r.deny(ctx, edge.Broken(err))
	if r.c.AccessLog != nil {
		r.line(ctx)
	}
}

// deny answers what the edge refuses.
func (r *Router) deny(ctx *fasthttp.RequestCtx, why *edge.Refusal) {
	r.refuse(ctx, refusalFailure(why), r.unknown)
}

// expect answers a request that asks before it sends its body: what its head already condemns is refused without it.
func (r *Router) expect(ctx *fasthttp.RequestCtx) int {
	if !r.takesBody(ctx) {
		return fasthttp.StatusContinue
	}
	g, f := r.preflight(ctx)
	if f == nil {
		f = r.mayEnter(ctx, g)
	}
	if f == nil {
		f = r.checkHead(ctx)
	}
	if f == nil {
		return fasthttp.StatusContinue
	}
	r.prepare(ctx)
	r.unknown.answered(f.code.status)
	f.writeTo(ctx)
	if r.c.AccessLog != nil {
		r.note(ctx, codeKey, f.code)
		ctx.SetStatusCode(f.code.status)
		r.line(ctx)
	}
	if c := edge.Of(ctx); c != nil {
		c.Linger() // the body may be on its way all the same
	}
	return f.code.status
}

func (r *Router) takesBody(ctx *fasthttp.RequestCtx) bool {
	path := string(ctx.URI().PathOriginal())
	return ctx.IsPost() && slices.ContainsFunc(endpoints, func(e *endpoint) bool { return strings.HasSuffix(path, e.path) })
}
