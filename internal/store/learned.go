package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Learned gives what SaveLearned has kept, ordered by model and tier.
func (s *Store) Learned(ctx context.Context) ([]fleet.Learned, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT model, from_tier, durations FROM learned ORDER BY model, from_tier")
	if err != nil {
		return nil, fmt.Errorf("reading learned values: %w", explain(err))
	}
	defer rows.Close()
	var all []fleet.Learned
	for rows.Next() {
		var l fleet.Learned
		var durations []byte
		if err := rows.Scan(&l.Model, &l.From, &durations); err != nil {
			return nil, fmt.Errorf("reading learned values: %w", err)
		}
		if err := json.Unmarshal(durations, &l.Durations); err != nil {
			return nil, fmt.Errorf("reading learned values of %s: %w", l.Model, err)
		}
		all = append(all, l)
	}
	return all, explain(rows.Err())
}

// SaveLearned replaces what is kept of one model and tier.
func (s *Store) SaveLearned(ctx context.Context, l fleet.Learned) error {
	durations, err := json.Marshal(l.Durations)
	if err != nil {
		return err
	}
	_, err = s.writer.ExecContext(ctx, `INSERT INTO learned (model, from_tier, durations) VALUES ($1, $2, $3)
		ON CONFLICT (model, from_tier) DO UPDATE SET durations = excluded.durations`, l.Model, string(l.From), string(durations))
	if err != nil {
		return fmt.Errorf("saving learned values of %s: %w", l.Model, explain(err))
	}
	return nil
}
