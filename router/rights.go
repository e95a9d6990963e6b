package router

import (
	"context"
	"errors"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// rightsError ends a request whose caller may not have it any more.
type rightsError struct{ failure failure }

func (e *rightsError) Error() string { return e.failure.message }

// followRights ends what nobody may have any more, and has budgets changed, until ctx is done.
func (r *Router) followRights(ctx context.Context) {
	r.c.Tenants.Follow(ctx, func() {
		r.applyBudgets()
		r.conns.Each(func(c *edge.Conn) { c.Visit(func(d edge.Departure) { d.(*exchange).review() }) })
	})
}

// review ends the request, from another goroutine, if its caller has lost the right to it. Once an engine works on it, it is ended only where it is to be
// cut.
func (x *exchange) review() {
	if x.running.Load() && !x.r.c.Tenants.Cut(x.intake.grant, x.intake.received) {
		return
	}
	if f := x.forbidden(); f != nil {
		x.Leave(&rightsError{*f})
	}
}

// forbidden is the failure of a request whose token has lost the right to it since it was shown; nil where it has not.
func (x *exchange) forbidden() *failure {
	if x.r.c.Tenants.Changes() == x.intake.changes {
		return nil
	}
	g, err := x.r.c.Tenants.Review(x.intake.grant, x.intake.received)
	if err != nil {
		return tokenFailure(err)
	}
	return mayUse(g, x.wants.Load())
}

// mayUse is the failure of a token that lacks the right to a model; nil stands for one that is not known yet.
func mayUse(g *tenant.Grant, m *model) *failure {
	switch {
	case !g.Has(tenant.ScopeInference):
		return failf(codePermissionDenied, "This needs a token with the scope %s.", tenant.ScopeInference)
	case m != nil && !g.Allows(m.ID):
		return failf(codePermissionDenied, "This token may not use the model %q.", m.ID).at("model")
	}
	return nil
}

// rightsFailure is the failure that a cause brings along, nil for any other cause.
func rightsFailure(cause error) *failure {
	var ended *rightsError
	if !errors.As(cause, &ended) {
		return nil
	}
	f := ended.failure
	return f.because(cause)
}
