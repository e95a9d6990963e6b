package tenant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Scope is a right of a token.
type Scope string

// The scopes. A token has the first two unless it is created with others.
const (
	ScopeInference    Scope = "inference"
	ScopeModelsRead   Scope = "models:read"
	ScopeUsageRead    Scope = "usage:read"
	ScopeTokensManage Scope = "tokens:manage"
)

// Scopes lists all scopes, for messages and completion.
func Scopes() []Scope {
	return []Scope{ScopeInference, ScopeModelsRead, ScopeUsageRead, ScopeTokensManage}
}

// Token is what is kept of a token. Its secret is not: only the secret's SHA-256 is stored.
type Token struct {
	ID         string
	Org        string
	Name       string
	Scopes     []Scope
	Models     []string // empty = all that the org may use
	Keepalive  string   // off, comment or chunk; empty = the config's default
	Limits     Limits
	CreatedAt  time.Time  // UTC, as all its times
	ExpiresAt  *time.Time // nil = never
	RevokedAt  *time.Time // nil = not revoked
	LastUsedAt *time.Time // to the minute; nil = never
}

// NewToken says what a token to be created is like.
type NewToken struct {
	Org       string
	Name      string   // for people; may be empty, need not be unique
	Scopes    []Scope  // empty = inference and models:read
	Models    []string // empty = all that the org may use
	Keepalive string   // off, comment or chunk; empty = the config's default
	Limits    LimitsChange
	ExpiresAt time.Time // zero = never
}

// TokenChange says what UpdateToken changes.
type TokenChange struct {
	Limits LimitsChange
}

// CreateToken adds a token and gives its secret, which can never be had again. The error is ErrNotFound for an unknown
// organisation, or an *InvalidError.
func (t *Tenants) CreateToken(ctx context.Context, n NewToken) (secret string, token *Token, err error) {
	secret = NewSecret()
	token, err = t.addToken(ctx, secret, n, nil)
	if err != nil {
		return "", nil, err
	}
	return secret, token, nil
}

// ImportToken adds a token with a given secret, or finds the one that has it already and leaves it as it is. It serves
// callers that keep a secret in a file and use it again. A secret whose token was revoked gives ErrRevoked, one of another
// organisation ErrExists.
func (t *Tenants) ImportToken(ctx context.Context, secret string, n NewToken) (*Token, error) {
	if !CheckSecret(secret) {
		return nil, &InvalidError{"token", "it is not a Pilotlight token: its form or its checksum is wrong"}
	}
	return t.addToken(ctx, secret, n, nil)
}

// Tokens gives the tokens of an organisation ("" = of all), oldest first, revoked and expired ones included.
func (t *Tenants) Tokens(ctx context.Context, org string) ([]Token, error) {
	found, err := collect(ctx, t.store.DB(), scanHashed, selectToken+" WHERE $1 = '' OR org = $1 ORDER BY created_at, id", org)
	if err != nil {
		return nil, err
	}
	return t.tellAll(found), nil
}

// UpdateToken changes a token at once. The error is ErrNotFound, ErrRevoked or an *InvalidError where one of these is the cause.
func (t *Tenants) UpdateToken(ctx context.Context, id string, c TokenChange) (*Token, error) {
	return t.changeToken(ctx, "", id, func(token *Token) (changed bool, err error) {
		if token.RevokedAt != nil {
			return false, fmt.Errorf("token %s: %w", id, ErrRevoked)
		}
		token.Limits, err = token.Limits.after(c.Limits, now())
		return true, err
	})
}

// RevokeToken makes a token stop working for good, at once. Revoking it again changes nothing.
func (t *Tenants) RevokeToken(ctx context.Context, id string) (*Token, error) {
	return t.RevokeTokenOf(ctx, "", id)
}

// RevokeTokenOf is RevokeToken for the tokens of one organisation ("" = of any): another's is not found.
func (t *Tenants) RevokeTokenOf(ctx context.Context, org, id string) (*Token, error) {
	h, err := findToken(ctx, t.store.DB(), org, id)
	if err != nil {
		return nil, err
	}
	if h.RevokedAt != nil { // nobody has the store write, and every server look, for nothing; perhaps another server has revoked it just now
		return t.tell(h), t.refresh(ctx)
	}
	return t.changeToken(ctx, org, id, func(token *Token) (changed bool, err error) {
		if token.RevokedAt != nil {
			return false, nil
		}
		at := now()
		token.RevokedAt = &at
		return true, nil
	})
}

// changeToken changes a token of an organisation, "" = of any.
func (t *Tenants) changeToken(ctx context.Context, org, id string, change func(*Token) (changed bool, err error)) (*Token, error) {
	var h *hashed
	err := t.write(ctx, func(tx *sql.Tx, version int64) (err error) {
		if h, err = findToken(ctx, tx, org, id); err != nil {
			return err
		}
		before := h.audited(now())
		changed, err := change(&h.Token)
		if err != nil || !changed {
			return err
		}
		if err := putToken(ctx, tx, h, version); err != nil {
			return err
		}
		return noteToken(ctx, tx, "", before, &h.Token)
	})
	if err != nil {
		return nil, err
	}
	return t.tell(h), nil
}

// findToken gives a token of an organisation, "" = of any, or ErrNotFound.
func findToken(ctx context.Context, db rowQueryer, org, id string) (*hashed, error) {
	h, err := scanHashed(db.QueryRowContext(ctx, selectToken+" WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && org != "" && h.Org != org {
		return nil, fmt.Errorf("token %s: %w", id, ErrNotFound)
	}
	return h, err
}

// addToken adds the token, or finds the one that has the secret. allow says what else must hold of it, and may narrow it; nil = nothing.
func (t *Tenants) addToken(ctx context.Context, secret string, n NewToken, allow func(*sql.Tx, *Token) error) (*Token, error) {
	token, err := t.token(n)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(secret))
	err = t.write(ctx, func(tx *sql.Tx, version int64) error {
		existing, err := scanToken(tx.QueryRowContext(ctx, selectToken+" WHERE sha256 = $1", hash[:]))
		if err == nil {
			token = existing
			return usable(existing, n.Org)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("looking for the token: %w", err)
		}
		if allow != nil {
			if err := allow(tx, token); err != nil {
				return err
			}
		}
		org, err := scanOrg(tx.QueryRowContext(ctx, selectOrg+" WHERE name = $1", token.Org))
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("organisation %s: %w", token.Org, ErrNotFound)
		}
		if err != nil {
			return err
		}
		if err := checkModels(org, token.Models); err != nil {
			return err
		}
		if err := putToken(ctx, tx, &hashed{Token: *token, sha256: hash}, version); err != nil {
			return err
		}
		return noteToken(ctx, tx, "", nil, token)
	})
	if err != nil {
		return nil, err
	}
	return token, nil
}

// token checks n and makes a token of it.
func (t *Tenants) token(n NewToken) (*Token, error) {
	models, err := t.models(n.Models)
	if err != nil {
		return nil, err
	}
	token := &Token{ID: newTokenID(), Org: n.Org, Name: n.Name, Scopes: n.Scopes, Models: models, Keepalive: n.Keepalive, CreatedAt: now()}
	if len(n.Scopes) == 0 {
		token.Scopes = defaultScopes()
	}
	for _, err := range []error{checkScopes(token.Scopes), checkName(n.Name), checkKeepalive(n.Keepalive)} {
		if err != nil {
			return nil, err
		}
	}
	if token.Limits, err = token.Limits.after(n.Limits, token.CreatedAt); err != nil {
		return nil, err
	}
	if !n.ExpiresAt.IsZero() {
		at := n.ExpiresAt.UTC().Truncate(time.Microsecond)
		if !at.After(token.CreatedAt) {
			return nil, &InvalidError{"expires_at", fmt.Sprintf("%s is past; name a moment to come", at.Format(time.RFC3339))}
		}
		token.ExpiresAt = &at
	}
	return token, nil
}

func newTokenID() string { return "tok_" + strings.ToLower(rand.Text()) }

// usable says whether an imported secret's token may serve the organisation.
func usable(token *Token, org string) error {
	if token.Org != org {
		return fmt.Errorf("a token of organisation %s with this secret: %w", token.Org, ErrExists)
	}
	if token.RevokedAt != nil {
		return fmt.Errorf("token %s: %w", token.ID, ErrRevoked)
	}
	return nil
}

func putToken(ctx context.Context, tx *sql.Tx, h *hashed, version int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tokens
		(id, sha256, org, name, scopes, models, keepalive, created_at, expires_at, revoked_at, version, `+limitColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, scopes = excluded.scopes, models = excluded.models, keepalive = excluded.keepalive,
			expires_at = excluded.expires_at, revoked_at = excluded.revoked_at, version = excluded.version, `+limitUpdates,
		append([]any{
			h.ID, h.sha256[:], h.Org, h.Name, list(h.Scopes), list(h.Models), h.Keepalive,
			h.CreatedAt.UnixMicro(), micros(h.ExpiresAt), micros(h.RevokedAt), version,
		}, h.Limits.values()...)...)
	if err != nil {
		return fmt.Errorf("writing token %s: %w", h.ID, err)
	}
	return nil
}

const selectToken = `SELECT id, org, name, scopes, models, keepalive, created_at, expires_at, revoked_at, last_used_at, sha256, ` + limitColumns + ` FROM tokens`

func scanToken(row scanner) (*Token, error) {
	h, err := scanHashed(row)
	if err != nil {
		return nil, err
	}
	return &h.Token, nil
}

// hashed is a token with the SHA-256 of its secret.
type hashed struct {
	Token
	sha256 [sha256.Size]byte
}

func scanHashed(row scanner) (*hashed, error) {
	var h hashed
	var created, expires, revoked, used moment
	var sum []byte
	err := row.Scan(append([]any{
		&h.ID, &h.Org, &h.Name, (*jsonList[Scope])(&h.Scopes), (*jsonList[string])(&h.Models), &h.Keepalive,
		&created, &expires, &revoked, &used, &sum,
	}, h.Limits.into()...)...)
	if err != nil {
		return nil, err
	}
	h.CreatedAt, h.ExpiresAt, h.RevokedAt, h.LastUsedAt = time.Time(created), given(time.Time(expires)), given(time.Time(revoked)), given(time.Time(used))
	if copy(h.sha256[:], sum) != sha256.Size {
		return nil, fmt.Errorf("the hash of token %s has %d bytes, want %d", h.ID, len(sum), sha256.Size)
	}
	return &h, nil
}
