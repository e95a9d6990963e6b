package router

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// readPatience bounds a query. The request's own context would end it at the start of a shutdown's drain.
const readPatience = 10 * time.Second

func (r *Router) healthz(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	return writeJSON(ctx, map[string]string{"status": "ok"})
}

func (r *Router) readyz(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	if r.draining.Load() {
		return failf(codeShuttingDown, "The server is shutting down.")
	}
	if err := r.c.Ready(); err != nil {
		return failf(codeOverloaded, "The server is starting: %s.", err)
	}
	answer := map[string]any{"status": "ok"}
	if degraded := r.c.Degraded(); len(degraded) > 0 {
		answer["degraded"] = degraded
	}
	return writeJSON(ctx, answer)
}

func (r *Router) openAPI(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	ctx.SetContentType("application/json")
	ctx.Response.AppendBody(r.c.OpenAPI)
	return nil
}

func (r *Router) listModels(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeModelsRead, tenant.ScopeInference)
	if f != nil {
		return f
	}
	var shown []openai.Model
	for _, m := range r.offer.Load().listed {
		if g.Allows(m.ID) {
			shown = append(shown, r.describe(m))
		}
	}
	return writeJSON(ctx, openai.NewModelList(shown))
}

func (r *Router) showModel(ctx *fasthttp.RequestCtx, c *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeModelsRead, tenant.ScopeInference)
	if f != nil {
		return f
	}
	id := unescape(c.Params("*"))
	m := r.offer.Load().models[id]
	if m == nil || !g.Allows(id) { // what a token may not use does not exist for it
		return failf(codeModelNotFound, "The model %q does not exist.", clip(id)).at("model")
	}
	return writeJSON(ctx, r.describe(m))
}

func (r *Router) describe(m *model) openai.Model {
	return openai.Model{
		ID: m.ID, Object: "model", OwnedBy: "pilotlight",
		Pilotlight: &openai.ModelInfo{
			GPUs: m.GPUs, State: r.c.Activator.ModelState(m.ID), PriceUSDPerSecond: m.price, ContextLength: m.ContextLength,
		},
	}
}

// reader authenticates a request that reads. The token needs one of the scopes; none = any token.
func (r *Router) reader(ctx *fasthttp.RequestCtx, scopes ...tenant.Scope) (*tenant.Grant, *failure) {
	g, f := r.authenticate(ctx)
	if f != nil {
		return nil, f
	}
	for _, s := range scopes {
		if g.Has(s) {
			return g, nil
		}
	}
	if len(scopes) > 0 {
		return nil, failf(codePermissionDenied, "This needs a token with the scope %s.", scopes[0])
	}
	return g, nil
}

// usage answers the usage of the token's organisation, and what is left of the budgets that the token's requests are paid from.
func (r *Router) usage(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeUsageRead)
	if f != nil {
		return f
	}
	q, f := usageQuery(ctx.QueryArgs())
	if f != nil {
		return f
	}
	q.Org = g.Org
	patient, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	rows, next, err := r.c.Ledger.Usage(patient, q)
	var invalid *ledger.InvalidError
	var damaged *ledger.DamagedError
	switch {
	case errors.As(err, &invalid):
		return failf(codeInvalidRequest, "%s", invalid.Error()).at(invalid.Field)
	case errors.As(err, &damaged):
		return failf(codeOverloaded, "A part of a day in this period cannot be read; the usage of whole days (from and to at midnight UTC) can.").because(err)
	case err != nil:
		r.c.Log.Error("cannot read usage", "reason", err)
		return failf(codeOverloaded, "The usage cannot be read now.").because(err)
	}
	if rows == nil {
		rows = []ledger.UsageRow{}
	}
	page := struct {
		Usage       []ledger.UsageRow `json:"usage"`
		Next        *string           `json:"next_cursor"`
		Budget      *budgetView       `json:"budget,omitempty"`
		TokenBudget *budgetView       `json:"token_budget,omitempty"`
	}{Usage: rows, Budget: r.budget(g.Org, ""), TokenBudget: r.budget(g.Org, g.TokenID)}
	if next != "" {
		page.Next = &next
	}
	return writeJSON(ctx, page)
}

// receipt answers the newest record of a request of the same token. It needs no scope: a caller may see its own bill.
func (r *Router) receipt(ctx *fasthttp.RequestCtx, c *fiber.Ctx) *failure {
	g, f := r.reader(ctx)
	if f != nil {
		return f
	}
	id := unescape(c.Params("*"))
	patient, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	record, err := r.c.Ledger.Receipt(patient, g.Org, g.TokenID, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return failf(codeNotFound, "This token has no usage record of the request %q.", clip(id))
	case err != nil:
		r.c.Log.Error("cannot read a receipt", "reason", err)
		return failf(codeOverloaded, "The receipt cannot be read now.").because(err)
	}
	body, err := json.Marshal(record)
	if err != nil || len(body) < 2 {
		return failf(codeOverloaded, "The receipt cannot be read now.").because(err)
	}
	// The record's own object, with its cost as a decimal too: what the pilotlight object of a stream calls cost_usd.
	body = append(body[:len(body)-1], `,"cost_usd":`...)
	body = append(openai.AppendString(body, record.Cost.String()), '}')
	ctx.SetContentType("application/json")
	ctx.Response.AppendBody(body)
	return nil
}

// unescape turns %2F into a slash. What is no valid escape stands for itself.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

func writeJSON(ctx *fasthttp.RequestCtx, v any) *failure {
	body, err := json.Marshal(v)
	if err != nil {
		return failf(codeOverloaded, "The answer cannot be written.").because(err)
	}
	ctx.SetContentType("application/json")
	ctx.Response.AppendBody(body)
	return nil
}
