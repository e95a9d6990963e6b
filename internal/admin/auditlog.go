package admin

import (
	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// AuditList is one page of the audit log, the newest entry first.
type AuditList struct {
	Entries    []audit.Entry `json:"entries"`
	NextCursor *string       `json:"next_cursor"` // nil at the end
}

func (s *Server) listAudit(c *fiber.Ctx) (err error) {
	values := query(c)
	q := audit.Query{Actor: values["actor"], Action: values["action"], Subject: values["subject"], Cursor: values["cursor"]}
	if q.From, q.To, err = edge.Period(values); err != nil {
		return err
	}
	if q.Limit, err = edge.PageSize(values, most); err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	page, next, err := s.c.Audit.List(ctx, q)
	if err != nil {
		return err
	}
	return c.JSON(AuditList{Entries: same(page), NextCursor: cursor(next)})
}
