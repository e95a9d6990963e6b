package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Notice is an event that is told once: its ID keeps it from being told again, over restarts too.
type Notice struct {
	ID    string // of its maker, the same however often it is told
	Event string // such as budget.threshold
	Org   string
	At    time.Time
	Data  string // a JSON object
}

// AddNotice keeps a notice, to be sent to these webhooks. first is false where its ID is known already; then nothing is changed.
func (s *Store) AddNotice(ctx context.Context, n Notice, webhooks []string) (first bool, err error) {
	err = s.Write(ctx, func(tx *sql.Tx) error {
		added, err := tx.ExecContext(ctx, "INSERT INTO notices (id, event, org, at, data) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
			n.ID, n.Event, n.Org, n.At.UnixMicro(), n.Data)
		if err != nil {
			return explain(err)
		}
		rows, err := added.RowsAffected()
		if first = rows > 0; err != nil || !first {
			return err
		}
		for _, w := range webhooks {
			if _, err := tx.ExecContext(ctx, "INSERT INTO notice_deliveries (webhook, at, id) VALUES ($1, $2, $3)", w, n.At.UnixMicro(), n.ID); err != nil {
				return explain(err)
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("keeping the notice %s: %w", n.ID, err)
	}
	return first, nil
}

// PendingNotices gives what is still to be sent to a webhook, oldest first, limit at most.
func (s *Store) PendingNotices(ctx context.Context, webhook string, limit int) ([]Notice, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT n.id, n.event, n.org, n.at, n.data FROM notice_deliveries d JOIN notices n ON n.id = d.id
		WHERE d.webhook = $1 ORDER BY d.at, d.id LIMIT $2`, webhook, limit)
	if err != nil {
		return nil, fmt.Errorf("reading notices for %s: %w", webhook, explain(err))
	}
	defer rows.Close()
	var all []Notice
	for rows.Next() {
		var n Notice
		var at int64
		if err := rows.Scan(&n.ID, &n.Event, &n.Org, &at, &n.Data); err != nil {
			return nil, fmt.Errorf("reading notices for %s: %w", webhook, err)
		}
		n.At = time.UnixMicro(at).UTC()
		all = append(all, n)
	}
	return all, explain(rows.Err())
}

// NoticesSent says that a webhook has taken notices.
func (s *Store) NoticesSent(ctx context.Context, webhook string, notices []Notice) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		for _, n := range notices {
			if _, err := tx.ExecContext(ctx, "DELETE FROM notice_deliveries WHERE webhook = $1 AND id = $2", webhook, n.ID); err != nil {
				return fmt.Errorf("keeping that %s has the notice %s: %w", webhook, n.ID, explain(err))
			}
		}
		return nil
	})
}

// DropNotices forgets notices of before a moment, sent or not.
func (s *Store) DropNotices(ctx context.Context, before time.Time) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"notice_deliveries", "notices"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE at < $1", before.UnixMicro()); err != nil {
				return fmt.Errorf("forgetting old notices: %w", explain(err))
			}
		}
		return nil
	})
}
