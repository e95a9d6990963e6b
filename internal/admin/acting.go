package admin

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const (
	actKey   = "act"   // of the request's act, in its locals
	adminKey = "admin" // of who asks
)

// admin gives who asks; the zero value where the route needs no token.
func admin(c *fiber.Ctx) access.Admin {
	a, _ := c.Context().UserValue(adminKey).(access.Admin)
	return a
}

// admits reports, as an error, that whoever asks has not the role for it.
func (r route) admits(c *fiber.Ctx) error {
	a := admin(c)
	if r.roles == nil || a.Is(r.roles) {
		return nil
	}
	roles := make([]string, len(r.roles))
	for i, role := range r.roles {
		roles[i] = string(role)
	}
	return openai.NewError(openai.CodePermissionDenied, fmt.Sprintf("this needs an admin token of the role %s; %q has the role %s", strings.Join(roles, " or "), a.Name, a.Role))
}

// act gives what the request does; nil where it only reads.
func act(c *fiber.Ctx) *audit.Act {
	a, _ := c.Locals(actKey).(*audit.Act)
	return a
}

// audited has what a route changes kept in the audit log, whether it comes about or not. A dry run changes nothing.
func (s *Server) audited(c *fiber.Ctx, r route, handle func() error) error {
	if r.action == "" || s.c.Audit == nil || query(c)["dry_run"] == "true" {
		return handle()
	}
	a := &audit.Act{
		Who: audit.Who{
			Actor: admin(c).Name, Via: audit.API, From: c.Context().RemoteIP().String(), Request: c.GetRespHeader(fiber.HeaderXRequestID),
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
