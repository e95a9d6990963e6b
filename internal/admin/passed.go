package admin

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Call is an operator's request that one server passes on to the one that leads, having found out who asks.
type Call struct {
	Method, URI string // path and query
	Body        []byte
	By          access.Admin
	From        string // the IP address that he asks from
	Request     string // its ID
}

// Reply is the answer to a Call.
type Reply struct {
	Status int
	Type   string // of the body
	Body   []byte
}

// ofPlanner are the paths, and beginnings of paths, of what only the server that leads knows or does.
var ofPlanner = []string{"/api/models", "/api/instances", "/api/activations", "/api/pools", "/api/orphans", "/api/servers", whatIfPath}

const passedKey = "passed" // that a request has come from another server, in its locals

func (r route) ofPlanner() bool {
	return slices.ContainsFunc(ofPlanner, func(p string) bool { return r.path == p || strings.HasPrefix(r.path, p+"/") })
}

// passOn has the server that leads answer; false = this one answers.
func (s *Server) passOn(c *fiber.Ctx, r route) (passed bool, err error) {
	if s.c.Leader == nil || !r.ofPlanner() || c.Context().UserValue(passedKey) != nil {
		return false, nil
	}
	if r.admits(c) != nil || edge.CheckQuery(c.Request().URI().QueryArgs(), r.query) != nil {
		return false, nil // and it is refused here
	}
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	reply, err := s.c.Leader(ctx, Call{
		Method: c.Method(), URI: string(c.Request().RequestURI()), Body: c.Body(), By: admin(c), From: c.Context().RemoteIP().String(), Request: c.GetRespHeader(fiber.HeaderXRequestID),
	})
	switch {
	case err != nil:
		s.c.Log.Warn("a request was not passed on to the server that leads", "method", c.Method(), "path", c.Path(), "reason", err)
		return true, openai.NewError(openai.CodeOverloaded, "only the server that leads the cluster can answer this, and there is none at the moment, or it is not reached; try again soon")
	case reply == nil:
		return false, nil
	}
	c.Set(fiber.HeaderContentType, reply.Type)
	return true, c.Status(reply.Status).Send(reply.Body)
}

// Answer answers what another server has passed on. Its caller has found out that it is one.
func (s *Server) Answer(_ context.Context, call Call) *Reply {
	var request fasthttp.Request
	request.Header.SetMethod(call.Method)
	request.SetRequestURI(call.URI)
	request.Header.SetHost("localhost")
	request.Header.Set(fiber.HeaderXRequestID, call.Request)
	if len(call.Body) > 0 {
		request.Header.SetContentType(fiber.MIMEApplicationJSON)
		request.SetBody(call.Body)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&request, &net.TCPAddr{IP: net.ParseIP(call.From)}, nil)
	ctx.SetUserValue(adminKey, call.By)
	ctx.SetUserValue(passedKey, true)
	s.app.Handler()(&ctx)
	h := &ctx.Response
	return &Reply{Status: h.StatusCode(), Type: string(h.Header.ContentType()), Body: slices.Clone(h.Body())}
}
