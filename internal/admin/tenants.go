package admin

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

// asking bounds what one request asks of the store, and says whose act it is. Fiber's own context of a request is no lifetime: it ends only with
// the server.
func (s *Server) asking(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.acting(c), askTimeout)
}

// acting is the server's lifetime, with the act of the request.
func (s *Server) acting(c *fiber.Ctx) context.Context {
	if a := act(c); a != nil {
		return audit.With(s.ctx, a)
	}
	return s.ctx
}

func (s *Server) listOrgs(c *fiber.Ctx) error {
	ctx, cancel := s.asking(c)
	defer cancel()
	orgs, err := s.c.Tenants.Orgs(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	return c.JSON(orgList{each(orgs, func(o tenant.Org) Org { return orgView(o, now) })})
}

func (s *Server) createOrg(c *fiber.Ctx) error {
	var n NewOrg
	if err := read(c, &n); err != nil {
		return err
	}
	act(c).On("org/" + n.Name)
	limits, err := n.LimitsChange.Read()
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	org, err := s.c.Tenants.CreateOrg(ctx, tenant.NewOrg{Name: n.Name, Models: n.Models, Limits: limits})
	if err != nil {
		return err
	}
	s.c.Log.Info("org created", "org", org.Name)
	return c.Status(fiber.StatusCreated).JSON(orgView(*org, time.Now()))
}

func (s *Server) showOrg(c *fiber.Ctx) error {
	name, err := param(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	org, err := s.c.Tenants.Org(ctx, name)
	if err != nil {
		return err
	}
	return c.JSON(orgView(*org, time.Now()))
}

func (s *Server) updateOrg(c *fiber.Ctx) error {
	name, err := param(c)
	if err != nil {
		return err
	}
	var change OrgChange
	if err := read(c, &change); err != nil {
		return err
	}
	if change.State != nil {
		act(c).Is(stateAction(*change.State))
	}
	limits, err := change.LimitsChange.Read()
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	org, err := s.c.Tenants.UpdateOrg(ctx, name, tenant.OrgChange{State: change.State, Cut: change.Now, Models: change.Models, Limits: limits})
	if err != nil {
		return err
	}
	s.c.Log.Info("org changed", "org", name, "state", org.State)
	if raise := org.Limits.Budget.Raise; limits.Raise != nil && raise.Why != "" {
		s.c.Log.Info("budget raised", "org", name, "usd", raise.Limit, "until", raise.Until, "reason", raise.Why)
	}
	return c.JSON(orgView(*org, time.Now()))
}

// stateAction is what the audit log calls a change of an organisation's state.
func stateAction(s tenant.OrgState) string {
	if s == tenant.Active {
		return "org.resume"
	}
	return "org.suspend"
}

func (s *Server) listTokens(c *fiber.Ctx) error {
	values := query(c)
	ctx, cancel := s.asking(c)
	defer cancel()
	if org := values["org"]; org != "" {
		if _, err := s.c.Tenants.Org(ctx, org); err != nil {
			return err
		}
	}
	tokens, err := s.c.Tenants.Tokens(ctx, values["org"])
	if err != nil {
		return err
	}
	now := time.Now()
	return c.JSON(tokenList{each(tokens, func(t tenant.Token) Token { return wire.TokenOf(t, now) })})
}

func (s *Server) createToken(c *fiber.Ctx) error {
	var n NewToken
	if err := read(c, &n); err != nil {
		return err
	}
	act(c).On("token of org/" + n.Org)
	if n.Org == "" {
		return edge.Invalid("org", "missing; name the organisation that pays")
	}
	expires, err := wire.ParseExpiry(n.Expires, time.Now())
	if err != nil {
		return err
	}
	limits, err := n.LimitsChange.Read()
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	secret, token, err := s.c.Tenants.CreateToken(ctx, tenant.NewToken{
		Org: n.Org, Name: n.Name, Scopes: n.Scopes, Models: n.Models, Keepalive: n.Keepalive, Limits: limits, ExpiresAt: expires,
	})
	if err != nil {
		return err
	}
	s.c.Log.Info("token created", "org", token.Org, "token", token.ID)
	return c.Status(fiber.StatusCreated).JSON(IssuedToken{Secret: secret, Token: wire.TokenOf(*token, time.Now())})
}

func (s *Server) updateToken(c *fiber.Ctx) error {
	id, err := param(c)
	if err != nil {
		return err
	}
	var change TokenChange
	if err := read(c, &change); err != nil {
		return err
	}
	limits, err := change.LimitsChange.Read()
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	token, err := s.c.Tenants.UpdateToken(ctx, id, tenant.TokenChange{Limits: limits})
	if err != nil {
		return err
	}
	s.c.Log.Info("token changed", "org", token.Org, "token", token.ID)
	return c.JSON(wire.TokenOf(*token, time.Now()))
}

func (s *Server) revokeToken(c *fiber.Ctx) error {
	id, err := param(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	token, err := s.c.Tenants.RevokeToken(ctx, id)
	if err != nil {
		return err
	}
	s.c.Log.Info("token revoked", "org", token.Org, "token", token.ID)
	return c.JSON(wire.TokenOf(*token, time.Now()))
}
