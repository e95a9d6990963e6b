package admin

import (
	"bytes"
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func (s *Server) usage(c *fiber.Ctx) (err error) {
	values := query(c)
	q := ledger.Query{Org: values["org"], By: ledger.By(values["by"]), Cursor: values["cursor"]}
	if q.From, q.To, err = edge.Period(values); err != nil {
		return err
	}
	if q.Limit, err = edge.PageSize(values, most); err != nil {
		return err
	}
	if format := values["format"]; format != "" && format != formatJSON {
		return s.exportUsage(c, q, format)
	}
	if _, given := values["focus_version"]; given {
		return edge.Invalid("focus_version", "it goes with format=focus; leave it out")
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	rows, next, err := s.c.Ledger.Usage(ctx, q)
	if err == nil && len(rows) == 0 {
		err = s.knownOrg(ctx, q.Org)
	}
	if err != nil {
		return err
	}
	return c.JSON(Usage{Usage: same(rows), NextCursor: cursor(next)})
}

// knownOrg refuses the name of an organisation that does not exist: nothing at all would look as if it had used nothing.
func (s *Server) knownOrg(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	_, err := s.c.Tenants.Org(ctx, name)
	if errors.Is(err, tenant.ErrNotFound) {
		return edge.Invalid("org", "there is no organisation %q", name)
	}
	return err
}

func (s *Server) records(c *fiber.Ctx) error {
	values := query(c)
	n, err := edge.PageSize(values, most)
	if err != nil {
		return err
	}
	if format := values["format"]; format != "" && format != formatJSON {
		return s.exportRecords(c, values["org"], values["cursor"], format)
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	page, err := s.page(ctx, values, n)
	if err == nil && len(page.Records) == 0 && len(page.Damaged) == 0 {
		err = s.knownOrg(ctx, values["org"])
	}
	if err != nil {
		return err
	}
	return c.JSON(Records{Records: same(page.Records), NextCursor: cursor(page.Next), Damaged: page.Damaged})
}

// page lists records in the order in which they have come, or, of a period of at most a day, newest first.
func (s *Server) page(ctx context.Context, values map[string]string, n int) (ledger.Page, error) {
	if values["from"] == "" && values["to"] == "" {
		return s.c.Ledger.Records(ctx, values["org"], values["cursor"], n)
	}
	q := ledger.Query{Org: values["org"]}
	var err error
	if q.From, q.To, err = edge.Period(values); err != nil {
		return ledger.Page{}, err
	}
	return s.c.Ledger.Find(ctx, q, values["cursor"], n)
}

// prune has old usage records deleted. It answers before they are.
func (s *Server) prune(c *fiber.Ctx) error {
	var p pruneOrder
	if len(bytes.TrimSpace(c.Request().Body())) > 0 {
		if err := read(c, &p); err != nil {
			return err
		}
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	before, err := s.c.Ledger.Prune(ctx, p.Confirm)
	if err != nil {
		return err
	}
	act(c).Changes(nil, map[string]any{"pruned_before": before, "confirm": p.Confirm})
	s.c.Log.Info("usage records are pruned", "before", before)
	return c.Status(fiber.StatusAccepted).JSON(Pruning{Time{Time: before}})
}

// cursor gives nil at the end, which JSON shows as null.
func cursor(next string) *string {
	if next == "" {
		return nil
	}
	return &next
}
