package tenant

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What an organisation's own people may add. An operator is not bound by it.
const (
	mostTokens = 1000 // that work, or were made in the last day
	newFor     = 24 * time.Hour
)

// RightError says which right a token was to pass on and does not have itself.
type RightError struct {
	Field, Message string
}

func (e *RightError) Error() string { return e.Field + ": " + e.Message }

// Delegate adds a token as CreateToken does, to the organisation of a grant, with no more rights than the grant's own token has at that moment: its scopes,
// its models, and its end, which is what stands for an empty list or a zero time too. Limits are not rights: a token's own are the organisation's people's
// affair, and its organisation's hold for all. Beyond the errors of CreateToken there are a *RightError and those of Authenticate; an organisation has 1,000
// tokens at most that work or were made in the last day.
func (t *Tenants) Delegate(ctx context.Context, maker *Grant, n NewToken) (secret string, token *Token, err error) {
	n.Org = maker.Org
	secret = NewSecret()
	token, err = t.addToken(ctx, secret, n, func(tx *sql.Tx, token *Token) error { return within(ctx, tx, maker, token) })
	if err != nil {
		return "", nil, err
	}
	return secret, token, nil
}

// within holds a token to be added against the rights of its maker.
func within(ctx context.Context, tx *sql.Tx, maker *Grant, token *Token) error {
	mine, err := working(ctx, tx, maker.sum)
	if err != nil {
		return err
	}
	for _, s := range token.Scopes {
		if !slices.Contains(mine.Scopes, s) {
			return &RightError{"scopes", fmt.Sprintf("this token has not the scope %s, and cannot give it; it can give %v", s, mine.Scopes)}
		}
	}
	if len(token.Models) == 0 {
		token.Models = mine.Models
	}
	for _, m := range token.Models {
		if !allows(mine.Models, m) {
			return &RightError{"models", fmt.Sprintf("this token may not use the model %q, and cannot let another", m)}
		}
	}
	if mine.ExpiresAt != nil {
		if token.ExpiresAt == nil {
			token.ExpiresAt = mine.ExpiresAt
		}
		if token.ExpiresAt.After(*mine.ExpiresAt) {
			return &RightError{"expires", fmt.Sprintf("this token ends at %s, and what it makes ends with it or sooner", mine.ExpiresAt.Format(time.RFC3339))}
		}
	}
	return room(ctx, tx, token.Org)
}

// working gives the token that has a hash and works now, as Authenticate would, from the store itself: a token that another server has just revoked makes
// no more tokens.
func working(ctx context.Context, tx *sql.Tx, sum [sha256.Size]byte) (*Token, error) {
	h, err := scanHashed(tx.QueryRowContext(ctx, selectToken+" WHERE sha256 = $1", sum[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrInvalidToken
	}
	if err != nil {
		return nil, err
	}
	org, err := scanOrg(tx.QueryRowContext(ctx, selectOrg+" WHERE name = $1", h.Org))
	if err != nil {
		return nil, err
	}
	only := &snapshot{tokens: map[[sha256.Size]byte]*granted{sum: grant(*h, org, nil)}}
	if _, err := only.grant(sum, time.Now()); err != nil {
		return nil, err
	}
	return &h.Token, nil
}

// room refuses one token more than an organisation may have.
func room(ctx context.Context, tx *sql.Tx, org string) error {
	at := now()
	var have int
	row := tx.QueryRowContext(ctx, `SELECT count(*) FROM tokens WHERE org = $1
		AND (created_at > $2 OR revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3))`, org, at.Add(-newFor).UnixMicro(), at.UnixMicro())
	if err := row.Scan(&have); err != nil {
		return fmt.Errorf("counting tokens of organisation %s: %w", org, err)
	}
	if have >= mostTokens {
		return &InvalidError{"", fmt.Sprintf("the organisation has %d tokens that work or were made in the last day, which is the most; revoke some, and wait for a day", have)}
	}
	return nil
}

// TokenPage gives tokens of an organisation, oldest first, revoked and expired ones included: those after the token of an ID ("" = from the first), limit at
// most, and whether there are more. An ID that is no token of the organisation's is an *InvalidError.
func (t *Tenants) TokenPage(ctx context.Context, org, after string, limit int) (page []Token, more bool, err error) {
	var created int64
	if after != "" {
		row := t.store.DB().QueryRowContext(ctx, "SELECT created_at FROM tokens WHERE id = $1 AND org = $2", after, org)
		if err := row.Scan(&created); errors.Is(err, sql.ErrNoRows) {
			return nil, false, &InvalidError{"after", "it is no token of this organisation's; give the id of the last one seen"}
		} else if err != nil {
			return nil, false, fmt.Errorf("reading tokens: %w", err)
		}
	}
	found, err := collect(ctx, t.store.DB(), scanHashed, selectToken+` WHERE org = $1 AND (created_at > $2 OR created_at = $2 AND id > $3)
		ORDER BY created_at, id LIMIT $4`, org, created, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	page = t.tellAll(found)
	if more = len(page) > limit; more {
		page = page[:limit]
	}
	return page, more, nil
}
