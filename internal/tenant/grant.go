package tenant

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"
)

// Grant is what a valid token allows. It is immutable; later changes make a new one.
type Grant struct {
	Org       string
	TokenID   string
	Keepalive string // off, comment or chunk; empty = the config's default

	OrgLimits   Limits // of all the organisation's tokens together
	TokenLimits Limits

	scopes    []Scope
	orgModels []string
	models    []string
	sum       [sha256.Size]byte // of the token's secret
	used      *use
}

// Has reports whether the token has the scope.
func (g *Grant) Has(s Scope) bool { return slices.Contains(g.scopes, s) }

// Allows reports whether both the organisation and the token may use the model.
func (g *Grant) Allows(model string) bool {
	return allows(g.orgModels, model) && allows(g.models, model)
}

// allows reads an allow-list: an empty one allows all.
func allows(list []string, model string) bool { return len(list) == 0 || slices.Contains(list, model) }

// unread is the version of a snapshot that has read nothing yet.
const unread = -1

// snapshot is all organisations and tokens as of one version of the store. It is immutable.
type snapshot struct {
	version int64
	orgs    map[string]*Org                // by name
	tokens  map[[sha256.Size]byte]*granted // by SHA-256 of the secret
}

// granted is one token with its organisation, ready to be handed out.
type granted struct {
	Grant
	token hashed
	org   *Org
}

// with is the snapshot after changes: tokens that were added or changed, and organisations, which change all their tokens.
func (s *snapshot) with(version int64, orgs []Org, tokens []hashed) *snapshot {
	next := &snapshot{version: version, orgs: maps.Clone(s.orgs), tokens: maps.Clone(s.tokens)}
	if s.version == unread {
		next.orgs, next.tokens = map[string]*Org{}, map[[sha256.Size]byte]*granted{}
	}
	for _, o := range orgs {
		next.orgs[o.Name] = &o
	}
	for _, h := range tokens {
		used := &use{}
		if former := next.tokens[h.sha256]; former != nil {
			used = former.used
		}
		next.tokens[h.sha256] = grant(h, next.orgs[h.Org], used)
	}
	if len(orgs) == 0 {
		return next
	}
	for sum, g := range next.tokens {
		if org := next.orgs[g.Org]; org != g.org {
			next.tokens[sum] = grant(g.token, org, g.used)
		}
	}
	return next
}

func grant(h hashed, org *Org, used *use) *granted {
	return &granted{token: h, org: org, Grant: Grant{
		Org: h.Org, TokenID: h.ID, Keepalive: h.Keepalive, OrgLimits: org.Limits, TokenLimits: h.Limits,
		scopes: h.Scopes, orgModels: org.Models, models: h.Models, sum: h.sha256, used: used,
	}}
}

// grant finds what a secret's hash allows at a moment.
func (s *snapshot) grant(sum [sha256.Size]byte, at time.Time) (*Grant, error) {
	g := s.tokens[sum]
	switch {
	case g == nil:
		return nil, ErrInvalidToken
	case g.token.RevokedAt != nil:
		return nil, ErrRevoked
	case g.token.ExpiresAt != nil && !at.Before(*g.token.ExpiresAt):
		return nil, ErrExpired
	case g.org.State != Active:
		return nil, ErrOrgSuspended
	}
	return &g.Grant, nil
}

// cut reports whether an organisation's requests of a moment were cut.
func (s *snapshot) cut(org string, since time.Time) bool {
	o := s.orgs[org]
	return o != nil && o.CutAt != nil && !since.After(*o.CutAt)
}

// expiry is when the next token expires after a moment; zero = none does.
func (s *snapshot) expiry(after time.Time) (next time.Time) {
	for _, g := range s.tokens {
		if at := g.token.ExpiresAt; at != nil && at.After(after) && (next.IsZero() || at.Before(next)) {
			next = *at
		}
	}
	return next
}
