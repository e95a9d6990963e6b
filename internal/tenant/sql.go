package tenant

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

type rowQueryer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, db queryer, scan func(scanner) (*T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading tenants: %w", err)
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading tenants: %w", err)
		}
		all = append(all, *v)
	}
	return all, rows.Err()
}

// jsonList scans a column that holds a JSON list.
type jsonList[T any] []T

func (l *jsonList[T]) Scan(column any) error {
	var text sql.NullString
	if err := text.Scan(column); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text.String), (*[]T)(l))
}

// list makes such a column's value; empty is "[]", never "null".
func list[T ~string](items []T) string {
	text, err := json.Marshal(append([]T{}, items...))
	if err != nil {
		panic(fmt.Sprintf("tenant: marshalling strings: %v", err))
	}
	return string(text)
}

// now is the present as it is stored: UTC microseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// moment scans a column of microseconds that may be null, which is the zero time.
type moment time.Time

func (m *moment) Scan(column any) error {
	var us sql.NullInt64
	if err := us.Scan(column); err != nil {
		return err
	}
	if *m = (moment{}); us.Valid {
		*m = moment(time.UnixMicro(us.Int64).UTC())
	}
	return nil
}

// given is nil for the zero time.
func given(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// micros makes the value of a column of microseconds.
func micros(at *time.Time) sql.NullInt64 {
	if at == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: at.UnixMicro(), Valid: true}
}
