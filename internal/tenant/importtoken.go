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

// token plans one token of an organisation.
func (i *importer) token(ctx context.Context, org *Org, want TokenImport) error {
	h, err := i.find(ctx, org.Name, want)
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		i.wrong(org.Name, want.Name, err)
		return nil
	}
	if err != nil {
		return err
	}
	fresh := h == nil
	if fresh {
		h = i.newToken(org.Name, want)
	}
	if i.meant[h.ID] {
		i.wrong(org.Name, want.Name, &InvalidError{"", "another token of this import is the same one"})
		return nil
	}
	i.meant[h.ID] = true
	before := h.attributes(i.at)
	var was map[string]any
	if !fresh {
		was = h.audited(i.at)
	}
	if fresh {
		h.Scopes = defaultScopes()
	}
	i.shape(org, h, want, fresh)
	if i.differs(org.Name, want.Name, fresh, before, h.attributes(i.at)) {
		i.tokens = append(i.tokens, imported[*hashed]{h, was})
	}
	return nil
}

// find gives the token that is meant; nil = there is none yet.
func (i *importer) find(ctx context.Context, org string, want TokenImport) (*hashed, error) {
	if want.Hash != nil {
		return i.findHash(ctx, org, *want.Hash)
	}
	live, err := collect(ctx, i.tx, scanHashed, selectToken+" WHERE org = $1 AND name = $2 AND revoked_at IS NULL ORDER BY created_at, id", org, want.Name)
	switch {
	case err != nil:
		return nil, err
	case len(live) > 1:
		return nil, &InvalidError{"", fmt.Sprintf("there are %d tokens of this name; give the sha256 of the one that is meant, or revoke the others", len(live))}
	case len(live) == 1:
		return &live[0], nil
	}
	if hash, given := i.hashes[TokenName{org, want.Name}]; given {
		other, err := i.findHash(ctx, org, hash)
		if err == nil && other != nil {
			err = &InvalidError{"sha256", "another token has it already; make another secret"}
		}
		return nil, err
	}
	return nil, nil
}

// findHash gives the token whose secret has the hash, which may still work for the organisation.
func (i *importer) findHash(ctx context.Context, org string, hash [sha256.Size]byte) (*hashed, error) {
	if i.taken[hash] {
		return nil, &InvalidError{"sha256", "another token of this import has it; each has a secret of its own"}
	}
	i.taken[hash] = true
	h, err := scanHashed(i.tx.QueryRowContext(ctx, selectToken+" WHERE sha256 = $1", hash[:]))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case h.Org != org:
		return nil, &InvalidError{"sha256", "a token of another organisation has it; make another secret"}
	case h.RevokedAt != nil:
		return nil, &InvalidError{"sha256", fmt.Sprintf("it is that of the token %s, which was revoked and stays so; make another secret", h.ID)}
	}
	return h, nil
}

// newToken begins a token that there is not, with the hash that is given for it.
func (i *importer) newToken(org string, want TokenImport) *hashed {
	h := &hashed{Token: Token{ID: newTokenID(), Org: org, Name: want.Name, CreatedAt: i.at, Limits: Limits{Budget: Budget{Period: Monthly}}}}
	name := TokenName{org, want.Name}
	if hash, given := i.hashes[name]; given {
		h.sha256 = hash
	} else if want.Hash == nil {
		i.found.Missing = append(i.found.Missing, name)
	}
	if want.Hash != nil {
		h.sha256 = *want.Hash
	}
	return h
}

// shape makes the token what it is to be, and notes what it cannot be.
func (i *importer) shape(org *Org, h *hashed, want TokenImport, fresh bool) {
	wrong := func(err error) { i.wrong(org.Name, want.Name, err) }
	wrong(checkName(want.Name))
	h.Name = want.Name
	if want.Scopes != nil {
		wrong(checkScopes(*want.Scopes))
		if h.Scopes = *want.Scopes; len(h.Scopes) == 0 {
			h.Scopes = defaultScopes()
		}
	}
	if want.Models != nil {
		i.models(org.Name, want.Name, *want.Models)
		wrong(checkModels(org, *want.Models))
		h.Models = slices.Compact(slices.Sorted(slices.Values(*want.Models)))
	}
	if want.Keepalive != nil {
		wrong(checkKeepalive(*want.Keepalive))
		h.Keepalive = *want.Keepalive
	}
	if want.ExpiresAt != nil {
		wrong(i.expire(h, *want.ExpiresAt, fresh))
	}
	i.limits(org.Name, want.Name, h.Limits, &want.Limits)
	if after, err := h.Limits.after(want.Limits, i.at); err == nil { // else it was noted
		h.Limits = after
	}
}

// expire sets when the token ends. What has ended so already may stay in a file.
func (i *importer) expire(h *hashed, at time.Time, fresh bool) error {
	if at.IsZero() {
		h.ExpiresAt = nil
		return nil
	}
	same := h.ExpiresAt != nil && h.ExpiresAt.Equal(at)
	if !at.After(i.at) && (fresh || !same) {
		return &InvalidError{"expires", fmt.Sprintf("%s is past; name a moment to come, or revoke the token", at.Format(time.RFC3339))}
	}
	h.ExpiresAt = &at
	return nil
}
