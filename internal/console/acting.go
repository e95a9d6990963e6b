package console

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// audited has a page handle the request, if the role of an admin is one of its, and what that changes kept in the audit log. An operator's act has its entry also where it fails; what an
// organisation's people fail to do has none: they could fill the log.
func (v *visit) audited(p page) error {
	handle := p.handle
	if v.isOperator() && !v.admin.Is(p.roles()) {
		handle = func(v *visit) error { return noRole(p, v.admin) }
	}
	if p.action == "" {
		return handle(v)
	}
	v.act = &audit.Act{Action: p.action, Who: audit.Who{
		Actor: v.admin.Name, Via: audit.Console, From: v.Context().RemoteIP().String(), Request: edge.RequestID(v.Context(), ledger.NewID),
	}}
	v.Set(fiber.HeaderXRequestID, v.act.Request)
	if !v.isOperator() {
		v.act.Actor, v.act.Org = v.grant.TokenID, v.grant.Org
	}
	err := handle(v)
	if v.act != nil && v.isOperator() {
		v.c.Audit.End(context.Background(), v.act, v.failure(err))
	}
	return err
}

// failure says why what the visitor wanted was not done; "" = it was.
func (v *visit) failure(err error) string {
	var p *problem
	switch {
	case err == nil:
		return v.wrong
	case errors.As(err, &p):
		return p.Error()
	}
	return v.explain(v.Ctx, err).Error()
}
