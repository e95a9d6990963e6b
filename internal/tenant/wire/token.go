package wire

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Token is what is kept of a token; its secret is not.
type Token struct {
	ID         string         `json:"id"`
	Org        string         `json:"org"`
	Name       string         `json:"name"`
	Scopes     []tenant.Scope `json:"scopes"`
	Models     []string       `json:"models"`    // empty = all of the org's
	Keepalive  *string        `json:"keepalive"` // nil = the config's default
	Limits                    // inside the organisation's
	CreatedAt  Time           `json:"created_at"`
	ExpiresAt  *Time          `json:"expires_at"`
	RevokedAt  *Time          `json:"revoked_at"`
	LastUsedAt *Time          `json:"last_used_at"` // to the minute; nil = never
}

// TokenOf shows a token as it is at a moment.
func TokenOf(t tenant.Token, now time.Time) Token {
	view := Token{
		ID: t.ID, Org: t.Org, Name: t.Name, Scopes: append([]tenant.Scope{}, t.Scopes...), Models: append([]string{}, t.Models...),
		Limits: LimitsOf(t.Limits, now), CreatedAt: Time{t.CreatedAt}, ExpiresAt: when(t.ExpiresAt), RevokedAt: when(t.RevokedAt), LastUsedAt: when(t.LastUsedAt),
	}
	if t.Keepalive != "" {
		view.Keepalive = &t.Keepalive
	}
	return view
}
