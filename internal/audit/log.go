package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Note keeps what the act of the context has changed, in the transaction that changes it. Without an act nothing is kept: then it is the server itself that
// changes something.
func Note(ctx context.Context, tx *sql.Tx, c Change) error {
	a := Of(ctx)
	if a == nil {
		return nil
	}
	e, err := a.entry(c)
	if err != nil {
		return err
	}
	if err := add(ctx, tx, e); err != nil {
		return err
	}
	a.noted = &mark{e.ID, e.Hash}
	return nil
}

// Noting is Note for a transaction that another package makes.
func Noting(ctx context.Context, c Change) store.Also {
	return func(tx *sql.Tx) error { return Note(ctx, tx, c) }
}

// entry makes an entry, which has no place yet.
func (a *Act) entry(c Change) (*Entry, error) {
	if c.Action == "" {
		c.Action = a.Action
	}
	if c.Subject == "" {
		c.Subject = a.change.Subject
	}
	before, err := object(c.Before)
	if err != nil {
		return nil, err
	}
	after, err := object(c.After)
	if err != nil {
		return nil, err
	}
	before, after = differing(before, after)
	return &Entry{
		At: Instant{time.Now().UTC().Truncate(time.Microsecond)}, Actor: text(a.Actor), Org: text(a.Org), Via: a.Via, From: text(a.From), Request: text(a.Request),
		Action: text(c.Action), Subject: text(c.Subject), Before: canonical(clean(before)), After: canonical(clean(after)),
	}, nil
}

// add gives an entry its place behind the newest. The transaction is the only one that writes.
func add(ctx context.Context, tx *sql.Tx, e *Entry) error {
	var last []byte
	err := tx.QueryRowContext(ctx, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").Scan(&e.ID, &last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("looking for the last audit entry: %w", err)
	}
	e.ID++
	copy(e.Previous[:], last)
	e.Hash = e.HashOf()
	_, err = tx.ExecContext(ctx, `INSERT INTO audit (id, at, actor, org, via, source, request_id, action, subject, old_value, new_value, error, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		e.ID, e.At.UnixMicro(), e.Actor, e.Org, string(e.Via), e.From, e.Request, e.Action, e.Subject, string(e.Before), string(e.After), e.Error, e.Hash[:])
	if err != nil {
		return fmt.Errorf("keeping an audit entry: %w", err)
	}
	return nil
}

// Log is the audit log of a store. It is safe for concurrent use.
type Log struct {
	store *store.Store
	log   *slog.Logger
}

// New gives the log of a store. log is where an entry goes that the store does not take; nil = nowhere.
func New(s *store.Store, log *slog.Logger) *Log {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Log{s, log}
}

// keepFor is how long the store may take to keep the entry of an act that is over. Making a large entry takes time of its own.
const keepFor = 10 * time.Second

// End says that an act is over, and why it failed, "" = it did not. Where nothing of it is kept yet, it is now. The act is over, whatever becomes of its entry:
// one that the store does not take is logged, whole.
func (l *Log) End(ctx context.Context, a *Act, failure string) {
	if a.noted != nil && failure == "" {
		return
	}
	e, err := a.entry(a.change)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	if a.noted != nil && l.has(ctx, a.noted) {
		return
	}
	if err == nil {
		if e.Error = text(failure); failure != "" {
			e.After = canonical(nil)
		}
		err = l.store.Write(ctx, func(tx *sql.Tx) error { return add(ctx, tx, e) })
	}
	if err != nil {
		l.log.Error("an audit entry could not be kept in the store", "reason", err, "actor", a.Actor, "org", a.Org, "via", a.Via, "from", a.From, "request", a.Request,
			"action", a.Action, "subject", text(a.change.Subject), "failure", text(failure))
	}
}

// has reports whether an entry that was noted has been kept: its transaction may have failed since.
func (l *Log) has(ctx context.Context, m *mark) (kept bool) {
	err := l.store.DB().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM audit WHERE id = $1 AND hash = $2)", m.id, m.hash[:]).Scan(&kept)
	return err == nil && kept
}
