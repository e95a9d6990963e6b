package store

import (
	"context"
	"fmt"
)

// Settings gives the settings of one scope, such as "pool/h100", by name. None is an empty map.
func (s *Store) Settings(ctx context.Context, scope string) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT name, value FROM settings WHERE scope = ?", scope)
	if err != nil {
		return nil, fmt.Errorf("reading settings of %s: %w", scope, explain(err))
	}
	defer rows.Close()
	all := map[string]string{} // name -> value
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("reading settings of %s: %w", scope, err)
		}
		all[name] = value
	}
	return all, explain(rows.Err())
}

// SaveSetting keeps one setting of a scope; an empty value removes it.
func (s *Store) SaveSetting(ctx context.Context, scope, name, value string) error {
	query, args := "DELETE FROM settings WHERE scope = ? AND name = ?", []any{scope, name}
	if value != "" {
		query = `INSERT INTO settings (scope, name, value) VALUES (?, ?, ?)
			ON CONFLICT (scope, name) DO UPDATE SET value = excluded.value`
		args = append(args, value)
	}
	if _, err := s.db.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("saving setting %s of %s: %w", name, scope, explain(err))
	}
	return nil
}
