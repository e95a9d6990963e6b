package tenant

import (
	"context"
	"database/sql"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/audit"
)

// audited is what the audit log keeps of an organisation; nil for none.
func (o *Org) audited(at time.Time) map[string]any {
	if o == nil {
		return nil
	}
	kept := object(o.attributes(at))
	if o.CutAt != nil {
		kept["cut_at"] = o.CutAt
	}
	return kept
}

// audited is what the audit log keeps of a token: never its hash.
func (t *Token) audited(at time.Time) map[string]any {
	kept := object(t.attributes(at))
	kept["org"] = t.Org
	if t.RevokedAt != nil {
		kept["revoked_at"] = t.RevokedAt
	}
	return kept
}

// object makes an object of attributes.
func object(attributes []attribute) map[string]any {
	kept := map[string]any{}
	for _, a := range attributes {
		kept[a.name] = a.value
		if r, is := a.value.(*Raise); is && r != nil {
			kept[a.name] = map[string]any{"budget_usd": r.Limit.String(), "until": r.Until, "why": r.Why}
		}
	}
	return kept
}

// noteOrg and noteToken keep a change in the audit log, in its transaction; before is nil for what is new, action "" is that of the act.
func noteOrg(ctx context.Context, tx *sql.Tx, action string, before map[string]any, o *Org) error {
	return note(ctx, tx, audit.Change{Action: action, Subject: "org/" + o.Name, After: o.audited(now())}, before)
}

func noteToken(ctx context.Context, tx *sql.Tx, action string, before map[string]any, t *Token) error {
	return note(ctx, tx, audit.Change{Action: action, Subject: "token/" + t.ID, After: t.audited(now())}, before)
}

func note(ctx context.Context, tx *sql.Tx, c audit.Change, before map[string]any) error {
	if before != nil {
		c.Before = before
	}
	return audit.Note(ctx, tx, c)
}
