package admin

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// guard lets through what may be answered at all, with its body.
func (s *Server) guard(c *fiber.Ctx) error {
	ctx := c.Context()
	c.Set(fiber.HeaderXRequestID, edge.RequestID(ctx, ledger.NewID))
	if ctx.UserValue(passedKey) != nil { // another server has admitted it
		return c.Next()
	}
	if err := s.admit(ctx); err != nil {
		return err
	}
	limit := bodyLimit
	if c.Path() == configPath || c.Path() == importPath {
		limit = configLimit
	}
	var charge account.Charge
	defer s.open(&charge)()
	var err error
	next := func(*fasthttp.RequestCtx) { err = c.Next() }
	refuse := func(_ *fasthttp.RequestCtx, why *edge.Refusal) { err = why }
	edge.Upload{Limit: limit, Charge: &charge}.Whole(next, refuse)(ctx)
	return err
}

// open opens the charge of a request: all of the operators' share one account. It gives what closes it.
func (s *Server) open(charge *account.Charge) (settle func()) {
	if s.c.Accounts != nil {
		s.c.Accounts.Open(charge, account.Operator)
	}
	return charge.Settle
}

// admit checks what the head of a request tells: the right Host, and an admin token unless the route is open. Whoever fails has no body read.
func (s *Server) admit(ctx *fasthttp.RequestCtx) error {
	if err := s.named(ctx); err != nil {
		return err
	}
	header, path := &ctx.Request.Header, string(ctx.Path())
	if slices.ContainsFunc(routes, func(r route) bool { return r.roles == nil && r.path == path }) {
		return nil
	}
	admin, ok := s.c.Admins.Find(edge.Bearer(ctx))
	if !ok {
		return openai.NewError(openai.CodeInvalidAPIKey, "the admin token is missing or wrong; send it as Authorization: Bearer ...")
	}
	ctx.SetUserValue(adminKey, admin)
	if encoding := string(header.Peek(fiber.HeaderContentEncoding)); encoding != "" && encoding != "identity" {
		return openai.NewError(openai.CodeUnsupportedEncoding, "send the body without Content-Encoding")
	}
	return nil
}

// named refuses a request to a name that is not the listener's.
//
// A web page can make its visitor's browser ask a loopback listener, under a name of the page's own that resolves to
// 127.0.0.1 (DNS rebinding). It has no token, but so that nothing, not even what is open, ever depends on that alone, a
// loopback listener knows only loopback names.
func (s *Server) named(ctx *fasthttp.RequestCtx) error {
	if s.loopback && !loopbackHost(string(ctx.Request.Header.Host())) {
		return openai.NewError(openai.CodePermissionDenied, "this listener answers only to localhost, 127.0.0.1 and [::1]; for other names set admin.addr to an address of the network")
	}
	return nil
}

// expect answers a request that asks before it sends its body.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	err := s.admit(ctx)
	if s.c.Console != nil && !strings.HasPrefix(string(ctx.Path()), "/api/") {
		err = s.named(ctx)
	}
	if err == nil {
		return fasthttp.StatusContinue
	}
	answer := s.answer(err)
	s.refuse(ctx, &edge.Refusal{Answer: answer, Close: true})
	return answer.Status
}

func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
