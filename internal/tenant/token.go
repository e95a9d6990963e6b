package tenant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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
	ID        string     `json:"id"`
	Org       string     `json:"org"`
	Name      string     `json:"name"`
	Scopes    []Scope    `json:"scopes"`
	Models    []string   `json:"models"`     // empty = all that the org may use
	Keepalive string     `json:"keepalive"`  // off, comment or chunk; empty = the config's default
	CreatedAt time.Time  `json:"created_at"` // UTC, as all its times
	ExpiresAt *time.Time `json:"expires_at"` // nil = never
	RevokedAt *time.Time `json:"revoked_at"` // nil = not revoked
}

// NewToken says what a token to be created is like.
type NewToken struct {
	Org       string
	Name      string    // for people; may be empty, need not be unique
	Scopes    []Scope   // empty = inference and models:read
	Models    []string  // empty = all that the org may use
	Keepalive string    // off, comment or chunk; empty = the config's default
	ExpiresAt time.Time // zero = never
}

// CreateToken adds a token and gives its secret, which can never be had again. The error is ErrNotFound for an unknown
// organisation, or an *InvalidError.
func (t *Tenants) CreateToken(ctx context.Context, n NewToken) (secret string, token *Token, err error) {
	secret = NewSecret()
	token, err = t.addToken(ctx, secret, n)
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
	return t.addToken(ctx, secret, n)
}

// Tokens gives the tokens of an organisation ("" = of all), oldest first, revoked and expired ones included.
func (t *Tenants) Tokens(ctx context.Context, org string) ([]Token, error) {
	return collect(ctx, t.store.DB(), scanToken, selectToken+" WHERE ? IN ('', org) ORDER BY created_at, id", org)
}

// RevokeToken makes a token stop working for good, at once. Revoking it again changes nothing.
func (t *Tenants) RevokeToken(ctx context.Context, id string) (*Token, error) {
	var token *Token
	err := t.write(ctx, func(tx *sql.Tx, version int64) (err error) {
		token, err = tokenByID(ctx, tx.QueryRowContext(ctx, selectToken+" WHERE id = ?", id), id)
		if err != nil || token.RevokedAt != nil {
			return err
		}
		at := now()
		token.RevokedAt = &at
		_, err = tx.ExecContext(ctx, "UPDATE tokens SET revoked_at = ?, version = ? WHERE id = ?", micros(&at), version, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return token, nil
}

// addToken adds the token, or finds the one that has the secret.
func (t *Tenants) addToken(ctx context.Context, secret string, n NewToken) (*Token, error) {
	token, err := t.token(n)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(secret))
	err = t.write(ctx, func(tx *sql.Tx, version int64) error {
		existing, err := scanToken(tx.QueryRowContext(ctx, selectToken+" WHERE sha256 = ?", hash[:]))
		if err == nil {
			token = existing
			return usable(existing, n.Org)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("looking for the token: %w", err)
		}
		if err := checkModels(ctx, tx, token); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tokens
			(id, sha256, org, name, scopes, models, keepalive, created_at, expires_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			token.ID, hash[:], token.Org, token.Name, list(token.Scopes), list(token.Models), token.Keepalive,
			token.CreatedAt.UnixMicro(), micros(token.ExpiresAt), version)
		return err
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
	token := &Token{
		ID: "tok_" + strings.ToLower(rand.Text()), Org: n.Org, Name: n.Name,
		Scopes: n.Scopes, Models: models, Keepalive: n.Keepalive, CreatedAt: now(),
	}
	if len(n.Scopes) == 0 {
		token.Scopes = []Scope{ScopeInference, ScopeModelsRead}
	}
	for _, s := range token.Scopes {
		if !slices.Contains(Scopes(), s) {
			return nil, &InvalidError{"scopes", fmt.Sprintf("there is no scope %q; use some of %v", s, Scopes())}
		}
	}
	if len(n.Name) > maxName || strings.ContainsFunc(n.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, &InvalidError{"name", "use at most 128 characters, none of them a control character"}
	}
	if !slices.Contains([]string{"", "off", "comment", "chunk"}, n.Keepalive) {
		return nil, &InvalidError{"keepalive", fmt.Sprintf("there is no mode %q; use off, comment or chunk", n.Keepalive)}
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

const maxName = 128

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

// checkModels refuses models that the organisation may not use: such an entry would never have an effect.
func checkModels(ctx context.Context, tx *sql.Tx, token *Token) error {
	org, err := scanOrg(tx.QueryRowContext(ctx, selectOrg+" WHERE name = ?", token.Org))
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("organisation %s: %w", token.Org, ErrNotFound)
	}
	if err != nil {
		return err
	}
	for _, m := range token.Models {
		if !allows(org.Models, m) {
			return &InvalidError{"models", fmt.Sprintf("organisation %s may not use %q; allow it there first", org.Name, m)}
		}
	}
	return nil
}

func tokenByID(ctx context.Context, row *sql.Row, id string) (*Token, error) {
	token, err := scanToken(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("token %s: %w", id, ErrNotFound)
	}
	return token, err
}

const selectToken = `SELECT id, org, name, scopes, models, keepalive, created_at, expires_at, revoked_at, sha256 FROM tokens`

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
	var created int64
	var expires, revoked sql.NullInt64
	var sum []byte
	err := row.Scan(&h.ID, &h.Org, &h.Name, (*jsonList[Scope])(&h.Scopes), (*jsonList[string])(&h.Models), &h.Keepalive,
		&created, &expires, &revoked, &sum)
	if err != nil {
		return nil, err
	}
	h.CreatedAt, h.ExpiresAt, h.RevokedAt = time.UnixMicro(created).UTC(), instant(expires), instant(revoked)
	if copy(h.sha256[:], sum) != sha256.Size {
		return nil, fmt.Errorf("the hash of token %s has %d bytes, want %d", h.ID, len(sum), sha256.Size)
	}
	return &h, nil
}
