package admin

import (
	"bytes"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func (s *Server) usage(c *fiber.Ctx) (err error) {
	values := query(c)
	q := ledger.Query{Org: values["org"], By: ledger.By(values["by"]), Cursor: values["cursor"]}
	if known := []ledger.By{"", ledger.ByModel, ledger.ByToken, ledger.ByDay}; !slices.Contains(known, q.By) {
		return edge.Invalid("by", "%q is unknown; possible are model, token, day", q.By)
	}
	if q.From, q.To, err = edge.Period(values); err != nil {
		return err
	}
	if q.Limit, err = edge.PageSize(values, most); err != nil {
		return err
	}
	ctx, cancel := s.asking()
	defer cancel()
	rows, next, err := s.c.Ledger.Usage(ctx, q)
	if err != nil {
		return err
	}
	return c.JSON(Usage{Usage: same(rows), NextCursor: cursor(next)})
}

func (s *Server) records(c *fiber.Ctx) error {
	values := query(c)
	n, err := edge.PageSize(values, most)
	if err != nil {
		return err
	}
	ctx, cancel := s.asking()
	defer cancel()
	page, err := s.c.Ledger.Records(ctx, values["org"], values["cursor"], n)
	if err != nil {
		return err
	}
	return c.JSON(Records{Records: same(page.Records), NextCursor: cursor(page.Next), Damaged: page.Damaged})
}

// prune has old usage records deleted. It answers before they are.
func (s *Server) prune(c *fiber.Ctx) error {
	var p pruneOrder
	if len(bytes.TrimSpace(c.Request().Body())) > 0 {
		if err := read(c, &p); err != nil {
			return err
		}
	}
	ctx, cancel := s.asking()
	defer cancel()
	before, err := s.c.Ledger.Prune(ctx, p.Confirm)
	if err != nil {
		return err
	}
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
