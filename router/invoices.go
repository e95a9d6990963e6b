package router

import (
	"context"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// invoices lists the closed invoices of the token's organisation.
func (r *Router) invoices(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	g, values, limit, f := r.bookkeeper(ctx, ledger.MaxInvoicesLimit)
	if f != nil {
		return f
	}
	patient, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	all, next, err := r.c.Ledger.Invoices(patient, ledger.InvoiceQuery{Org: g.Org, Month: values["month"], Limit: limit, Cursor: values["cursor"]})
	if err != nil {
		return r.unread("invoices", err)
	}
	return writeJSON(ctx, struct {
		Invoices []ledger.Invoice `json:"invoices"`
		Next     *string          `json:"next_cursor"`
	}{all, orNull(next)})
}

// invoice answers the organisation's invoice of a month; of one that is not closed, what it would be now.
func (r *Router) invoice(ctx *fasthttp.RequestCtx, c *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeUsageRead)
	if f != nil {
		return f
	}
	patient, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	found, err := r.c.Ledger.Invoice(patient, g.Org, strings.Clone(c.Params("*")))
	if err != nil {
		return r.unread("an invoice", err)
	}
	return writeJSON(ctx, found)
}

// receipts lists the records of a closed invoice.
func (r *Router) receipts(ctx *fasthttp.RequestCtx, c *fiber.Ctx) *failure {
	g, values, limit, f := r.bookkeeper(ctx, ledger.MaxRecordsLimit)
	if f != nil {
		return f
	}
	patient, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	page, err := r.c.Ledger.Receipts(patient, g.Org, strings.Clone(c.Params("*")), values["cursor"], limit)
	if err != nil {
		return r.unread("receipts", err)
	}
	return writeJSON(ctx, struct {
		Records []ledger.Record `json:"records"`
		Next    *string         `json:"next_cursor"`
		Damaged []ledger.Damage `json:"damaged,omitempty"`
	}{page.Records, orNull(page.Next), page.Damaged})
}

// bookkeeper authenticates a request for a page of what the organisation pays, and reads its query.
func (r *Router) bookkeeper(ctx *fasthttp.RequestCtx, most int) (g *tenant.Grant, values map[string]string, limit int, f *failure) {
	if g, f = r.reader(ctx, tenant.ScopeUsageRead); f != nil {
		return nil, nil, 0, f
	}
	values = edge.Query(ctx.QueryArgs())
	limit, err := edge.PageSize(values, most)
	return g, values, limit, queryFailure(err)
}

// unread answers why something of the ledger could not be read.
func (r *Router) unread(what string, err error) *failure {
	var invalid *ledger.InvalidError
	switch {
	case errors.As(err, &invalid):
		return failf(codeInvalidRequest, "%s", invalid.Error()).at(invalid.Field)
	case errors.Is(err, ledger.ErrNoInvoice):
		return failf(codeNotFound, "There is no such invoice; receipts are there once its month is closed.")
	}
	r.c.Log.Error("cannot read what was asked for", "subject", what, "reason", err)
	return failf(codeOverloaded, "This cannot be read now.").because(err)
}

// orNull gives nil at the end, which JSON shows as null.
func orNull(next string) *string {
	if next == "" {
		return nil
	}
	return &next
}
