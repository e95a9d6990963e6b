package admin

import (
	"context"
	"net/http"
)

// AuditQuery says which entries of the audit log are asked for. Empty texts select all.
type AuditQuery struct {
	Actor, Action, Subject string
	From, To               string // days or moments, in UTC
	Cursor                 string
	Limit                  int // 0 = the server's default
}

// Audit gives one page of the audit log, the newest entry first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (*AuditList, error) {
	parameters := search("actor", q.Actor, "action", q.Action, "subject", q.Subject, "from", q.From, "to", q.To, "cursor", q.Cursor, "limit", page(q.Limit))
	return one(ask[AuditList](ctx, c, http.MethodGet, "/api/audit"+parameters, nil))
}
