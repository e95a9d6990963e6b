package admin

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/audit"
)

const (
	actKey = "act" // of the request's act, in its locals

	root = "root" // whoever has the admin token
)

// act gives what the request does; nil where it only reads.
func act(c *fiber.Ctx) *audit.Act {
	a, _ := c.Locals(actKey).(*audit.Act)
	return a
}

// who gives the name of whoever asks.
func who(c *fiber.Ctx) string {
	if a := act(c); a != nil {
		return a.Actor
	}
	return root
}

// audited has what a route changes kept in the audit log, whether it comes about or not. A dry run changes nothing.
func (s *Server) audited(c *fiber.Ctx, r route, handle func() error) error {
	if r.action == "" || s.c.Audit == nil || query(c)["dry_run"] == "true" {
		return handle()
	}
	a := &audit.Act{
		Who: audit.Who{
			Actor: root, Via: audit.API, From: c.Context().RemoteIP().String(), Request: c.GetRespHeader(fiber.HeaderXRequestID),
		},
		Action: r.action,
	}
	a.On(r.subject(c))
	c.Locals(actKey, a)
	err, failure := handle(), ""
	if err != nil {
		failure = s.answer(err).Message
	}
	s.c.Audit.End(s.ctx, a, failure)
	return err
}

// subject is what the route's path names, as the audit log calls it.
func (r route) subject(c *fiber.Ctx) string {
	kind, _, _ := strings.Cut(r.action, ".")
	names := c.Route().Params
	if len(names) == 0 {
		return kind
	}
	name := c.Params(names[0])
	if unescaped, err := url.PathUnescape(name); err == nil {
		name = unescaped
	}
	return kind + "/" + name
}
