package router

import (
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// readBuffer bounds a request's head: beyond it, 431.
	readBuffer  = 16 << 10
	writeBuffer = 8 << 10 // an event of up to 4 KiB with its framing leaves in one write

	headTimeout = 15 * time.Second // for a request's head; bodies re-arm it
	idleTimeout = 75 * time.Second
)

// routes builds the app. WriteTimeout stays off (see writePatience). Middleware, c.Body and body parsers are never used:
// c.Body gunzips without limit.
func (r *Router) routes() *fiber.App {
	app := fiber.New(fiber.Config{
		StreamRequestBody: true, DisablePreParseMultipartForm: true, BodyLimit: int(r.c.BodyLimit),
		ReadBufferSize: readBuffer, WriteBufferSize: writeBuffer, ReadTimeout: headTimeout, IdleTimeout: idleTimeout,
		CaseSensitive: true, DisableStartupMessage: true, ErrorHandler: r.failed,
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
	s.CloseOnShutdown = true
	s.Handler = r.guard(app.Handler())
	s.ExpectHandler = r.expect
	s.ErrorHandler = r.broken
	return app
}

func (r *Router) mount(app *fiber.App, prefix string) {
	for _, e := range endpoints {
		app.Post(prefix+e.path, r.checked(e.query, r.complete(e)))
		app.Options(prefix+e.path, options(http.MethodPost))
	}
	r.get(app, prefix+"/models", r.listModels)
	r.get(app, prefix+"/models/*", r.showModel)
	r.get(app, prefix+"/usage", r.usage, usageParameters...)
	r.get(app, prefix+"/usage/*", r.receipt)
}

// get mounts a handler that may fail for GET and HEAD, with the parameters that its query may have.
func (r *Router) get(app *fiber.App, path string, h func(*fasthttp.RequestCtx, *fiber.Ctx) *failure, parameters ...string) {
	app.Get(path, r.checked(parameters, func(c *fiber.Ctx) error {
		ctx := c.Context()
		if f := h(ctx, c); f != nil {
			r.refuse(ctx, f, r.unknown)
			return nil
		}
		r.unknown.answered(ctx.Response.StatusCode())
		return nil
	}))
	app.Options(path, options(http.MethodGet, http.MethodHead))
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

// guard stands before every handler: each answer names its request, and a panic ends one request only.
func (r *Router) guard(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if p := recover(); p != nil {
				r.c.Log.Error("handling a request panicked", "reason", p, "stack", string(debug.Stack()))
				r.refuse(ctx, failf(codeOverloaded, "The server failed at this request.").closing(), r.unknown)
			}
		}()
		ctx.Response.Header.SetCanonical(headerRequestID, []byte(requestID(ctx)))
		r.share(ctx)
		if !ctx.IsPost() && !ctx.IsGet() && !slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
			ctx.Response.Header.Set(fiber.HeaderAllow, "GET, HEAD, POST, OPTIONS")
			r.refuse(ctx, protocolFailure(http.StatusMethodNotAllowed), r.unknown)
			return
		}
		next(ctx)
	}
}

// failed answers the errors of fiber: no such path, no such method.
func (r *Router) failed(c *fiber.Ctx, err error) error {
	status := http.StatusBadRequest
	var known *fiber.Error
	if errors.As(err, &known) {
		status = known.Code
	}
	f := protocolFailure(status)
	if status == http.StatusNotFound {
		f = r.notFound(c.Path())
	}
	r.refuse(c.Context(), f, r.unknown)
	return nil
}

// broken answers the errors of fasthttp: what cannot be parsed, is too large or too slow. No handler has run.
func (r *Router) broken(ctx *fasthttp.RequestCtx, err error) {
	status := http.StatusBadRequest
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.As(err, &small):
		status = http.StatusRequestHeaderFieldsTooLarge
	case isTimeout(err):
		status = http.StatusRequestTimeout
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status = http.StatusRequestEntityTooLarge
	}
	ctx.Response.Header.SetCanonical(headerRequestID, []byte(requestID(ctx)))
	r.refuse(ctx, protocolFailure(status), r.unknown)
}

// expect answers a request that asks before it sends its body: what its head already condemns is refused without it.
func (r *Router) expect(ctx *fasthttp.RequestCtx) int {
	if !r.takesBody(ctx) {
		return fasthttp.StatusContinue
	}
	_, f := r.preflight(ctx)
	if f == nil {
		return fasthttp.StatusContinue
	}
	ctx.Response.Header.SetCanonical(headerRequestID, []byte(requestID(ctx)))
	r.unknown.answered(f.code.status)
	f.writeTo(ctx)
	if c := connOf(ctx); c != nil {
		c.linger.Store(true) // the body may be on its way all the same
	}
	return f.code.status
}

func (r *Router) takesBody(ctx *fasthttp.RequestCtx) bool {
	path := string(ctx.URI().PathOriginal())
	return ctx.IsPost() && slices.ContainsFunc(endpoints, func(e *endpoint) bool { return strings.HasSuffix(path, e.path) })
}
