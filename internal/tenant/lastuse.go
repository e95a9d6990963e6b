package tenant

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	useGrain  = time.Minute     // how exactly it is known, and how often Run writes it
	useBatch  = 256             // tokens in one transaction, so that nobody waits long for the store
	lastWrite = 5 * time.Second // that the writing at the end of Run may take
)

// use is when a token was last used. All grants of one token share it.
type use struct {
	minute atomic.Int64 // since 1970; 0 = not in this process's life
	saved  atomic.Int64 // the newest minute that is in the store, as far as this process knows
}

// mark notes that the token is used at a moment. Of all who use it, one a minute writes.
func (u *use) mark(at time.Time) {
	minute := at.Unix() / int64(useGrain/time.Second)
	for known := u.minute.Load(); known < minute && !u.minute.CompareAndSwap(known, minute); known = u.minute.Load() {
	}
}

// at is when the token was last used in this process's life; zero = it was not.
func (u *use) at() time.Time {
	minute := u.minute.Load()
	if minute == 0 {
		return time.Time{}
	}
	return time.Unix(minute*int64(useGrain/time.Second), 0).UTC()
}

// keepUses writes once a minute which tokens were used, and at the end of ctx what is left.
func (t *Tenants) keepUses(ctx context.Context) {
	tick := time.NewTicker(useGrain)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			if err := t.saveUses(last); err != nil {
				t.log.WarnContext(last, "could not save when tokens were last used", "reason", err)
			}
			return
		case <-tick.C:
		}
		err := t.saveUses(ctx)
		if ctx.Err() == nil && (err != nil) != failing {
			failing = err != nil
			if failing {
				t.log.WarnContext(ctx, "cannot save when tokens were last used; it is tried again each minute", "reason", err)
			}
		}
	}
}

// saveUses writes what has not been written. Of several servers the latest use counts.
func (t *Tenants) saveUses(ctx context.Context) error {
	var due []*granted
	for _, g := range t.snapshot.Load().tokens {
		if g.used.minute.Load() <= g.used.saved.Load() {
			continue
		}
		if due = append(due, g); len(due) == useBatch {
			if err := t.writeUses(ctx, due); err != nil {
				return err
			}
			due = due[:0]
		}
	}
	return t.writeUses(ctx, due)
}

func (t *Tenants) writeUses(ctx context.Context, due []*granted) error {
	if len(due) == 0 {
		return nil
	}
	written := make([]int64, len(due))
	err := t.store.Write(ctx, func(tx *sql.Tx) error {
		update, err := tx.PrepareContext(ctx, "UPDATE tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)")
		if err != nil {
			return err
		}
		defer update.Close()
		for i, g := range due {
			written[i] = g.used.minute.Load()
			if _, err := update.ExecContext(ctx, g.used.at().UnixMicro(), g.TokenID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("saving when tokens were last used: %w", err)
	}
	for i, g := range due {
		g.used.saved.Store(written[i])
	}
	return nil
}

// tell adds to a token as it is stored what this process knows of its use.
func (t *Tenants) tell(h *hashed) *Token {
	if g := t.snapshot.Load().tokens[h.sha256]; g != nil {
		if at := g.used.at(); !at.IsZero() && (h.LastUsedAt == nil || at.After(*h.LastUsedAt)) {
			h.LastUsedAt = &at
		}
	}
	return &h.Token
}

func (t *Tenants) tellAll(found []hashed) []Token {
	tokens := make([]Token, len(found))
	for i := range found {
		tokens[i] = *t.tell(&found[i])
	}
	return tokens
}
