package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const closeTimeout = 10 * time.Minute // to read a month's records and those of the orgs

func (s *Server) listInvoices(c *fiber.Ctx) error {
	values := query(c)
	limit, err := edge.PageSize(values, most)
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	all, next, err := s.c.Ledger.Invoices(ctx, ledger.InvoiceQuery{Org: values["org"], Month: values["month"], Limit: limit, Cursor: values["cursor"]})
	if err != nil {
		return err
	}
	open, err := s.c.Ledger.OpenMonths(ctx)
	if err != nil {
		return err
	}
	return c.JSON(InvoiceList{Invoices: same(all), OpenMonths: same(open), NextCursor: cursor(next)})
}

func (s *Server) showInvoice(c *fiber.Ctx) error {
	format := query(c)["format"]
	if format != "" && format != "json" && format != "html" {
		return edge.Invalid("format", "%q is unknown; possible are json, html", format)
	}
	org, month, err := invoiceOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	found, err := s.c.Ledger.Invoice(ctx, org, month)
	if err != nil {
		return err
	}
	if format != "html" {
		return c.JSON(found)
	}
	var page bytes.Buffer
	if err := invoice.Page(&page, found); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'")
	return c.Send(page.Bytes())
}

func (s *Server) receipts(c *fiber.Ctx) error {
	values := query(c)
	limit, err := edge.PageSize(values, most)
	if err != nil {
		return err
	}
	org, month, err := invoiceOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	page, err := s.c.Ledger.Receipts(ctx, org, month, values["cursor"], limit)
	if err != nil {
		return err
	}
	return c.JSON(Records{Records: same(page.Records), NextCursor: cursor(page.Next), Damaged: page.Damaged})
}

// invoiceOf gives whose and which invoice a path names.
func invoiceOf(c *fiber.Ctx) (org, month string, err error) {
	if org, err = url.PathUnescape(c.Params("org")); err != nil {
		return "", "", openai.NewError(openai.CodeNotFound, "the path is not well escaped")
	}
	return org, c.Params("month"), nil
}

func (s *Server) closeMonth(c *fiber.Ctx) error {
	var order Closing
	if err := read(c, &order); err != nil {
		return err
	}
	act(c).On("month/" + order.Month)
	ctx, cancel := context.WithTimeout(s.acting(c), closeTimeout)
	defer cancel()
	closed, err := s.c.Ledger.CloseMonth(ctx, ledger.Closing{
		Month: order.Month, By: cmp.Or(order.By, admin(c).Name), Confirm: order.Confirm, WithoutDamaged: order.WithoutDamaged,
	})
	if damaged := (*ledger.DamagedError)(nil); errors.As(err, &damaged) {
		return edge.Invalid("without_damaged", "%s; put a backup back, or close the month without these records: nobody pays for them then", damaged)
	}
	if err != nil {
		return err
	}
	return c.JSON(ClosedMonth{Month: closed.Month, ClosedAt: Time{Time: closed.At}, ClosedBy: closed.By, Already: closed.Already, Invoices: same(closed.Invoices), Damaged: closed.Damaged})
}

func (s *Server) correct(c *fiber.Ctx) error {
	var order Correction
	if err := read(c, &order); err != nil {
		return err
	}
	act(c).On("record/" + order.Record)
	asked := ledger.Correction{Record: order.Record, Reason: order.Reason, Key: order.IdempotencyKey, By: cmp.Or(order.By, admin(c).Name)}
	if order.CreditUSD != "" {
		credit, err := fleet.ParseUSD(order.CreditUSD)
		if err != nil {
			return edge.Invalid("credit_usd", "%s", err)
		}
		if credit == 0 {
			return edge.Invalid("credit_usd", "is nothing; leave it out to credit all that is left of the record's cost")
		}
		asked.Credit = credit
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	made, already, err := s.c.Ledger.Correct(ctx, asked)
	if err != nil {
		return err
	}
	if !already {
		c.Status(fiber.StatusCreated)
	}
	return c.JSON(made)
}
