package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Settings gives the settings of one scope, such as "pool/h100", by name. None is an empty map.
func (s *Store) Settings(ctx context.Context, scope string) (map[string]string, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT name, value FROM settings WHERE scope = $1", scope)
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

// SettingScopes gives the scopes that begin with prefix and have settings, in order.
func (s *Store) SettingScopes(ctx context.Context, prefix string) ([]string, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT DISTINCT scope FROM settings WHERE substr(scope, 1, length($1)) = $1 ORDER BY scope", prefix)
	if err != nil {
		return nil, fmt.Errorf("reading the scopes of settings: %w", explain(err))
	}
	defer rows.Close()
	var scopes []string
	for rows.Next() {
		var scope string
		if err := rows.Scan(&scope); err != nil {
			return nil, fmt.Errorf("reading the scopes of settings: %w", err)
		}
		scopes = append(scopes, scope)
	}
	return scopes, explain(rows.Err())
}

// Also writes something in a transaction of somebody else's.
type Also func(*sql.Tx) error

// SaveSetting keeps one setting of a scope; an empty value removes it.
func (s *Store) SaveSetting(ctx context.Context, scope, name, value string) error {
	return s.SaveSettings(ctx, scope, map[string]string{name: value}, nil)
}

// FirstSetting keeps one setting of a scope unless there is one, and gives what is kept. Of several servers at the same time, all are given the same.
func (s *Store) FirstSetting(ctx context.Context, scope, name, value string) (kept string, err error) {
	err = s.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO settings (scope, name, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", scope, name, value); err != nil {
			return explain(err)
		}
		return explain(tx.QueryRowContext(ctx, "SELECT value FROM settings WHERE scope = $1 AND name = $2", scope, name).Scan(&kept))
	})
	if err != nil {
		return "", fmt.Errorf("keeping setting %s of %s: %w", name, scope, err)
	}
	return kept, nil
}

// SaveSettings keeps settings of a scope, all of them or none; an empty value removes one. also writes something in the same transaction; nil = nothing.
func (s *Store) SaveSettings(ctx context.Context, scope string, settings map[string]string, also Also) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		for name, value := range settings {
			if err := saveSetting(ctx, tx, scope, name, value); err != nil {
				return fmt.Errorf("saving setting %s of %s: %w", name, scope, explain(err))
			}
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
}

func saveSetting(ctx context.Context, tx *sql.Tx, scope, name, value string) error {
	query, args := "DELETE FROM settings WHERE scope = $1 AND name = $2", []any{scope, name}
	if value != "" {
		query = `INSERT INTO settings (scope, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (scope, name) DO UPDATE SET value = excluded.value`
		args = append(args, value)
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}
