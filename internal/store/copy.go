package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// seeded are the tables in which migrations leave rows, which a copy replaces.
var seeded = []string{"changes", "usage_summed"}

const valuesPerInsert = 500 // a statement's, as far as SQLite's driver is quick with them

// Copied is what Copy has done with one table.
type Copied struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// Copy copies everything from one store to another that is empty, in one transaction: all of it is there afterwards, or nothing. Then it reads what is
// there, and compares it with what it has read, row by row. The error is ErrNotEmpty where the other holds data. Nobody must write to the first meanwhile:
// what is written is not copied.
func Copy(ctx context.Context, from, to *Store) (done []Copied, err error) {
	err = from.ReadAll(ctx, func(source *sql.Tx) error {
		return to.Write(ctx, func(target *sql.Tx) error {
			if err := to.leisure(ctx, target); err != nil {
				return err
			}
			done, err = copyTables(ctx, from, to, source, target)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("copying the store %s to %s: %w", from.place(), to.place(), explain(err))
	}
	return done, nil
}

func copyTables(ctx context.Context, from, to *Store, source, target *sql.Tx) ([]Copied, error) {
	tables, err := from.tables(ctx, source)
	if err != nil {
		return nil, err
	}
	there, err := to.tables(ctx, target)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(slices.Sorted(slices.Values(tables)), slices.Sorted(slices.Values(there))) {
		return nil, fmt.Errorf("the tables are %v and %v, which ought to be the same", tables, there)
	}
	for _, table := range tables {
		if err := clearSeeded(ctx, target, table); err != nil {
			return nil, err
		}
	}
	var done []Copied
	for _, table := range tables {
		rows, err := copyTable(ctx, source, target, table)
		if err != nil {
			return nil, fmt.Errorf("copying the table %s: %w", table, err)
		}
		done = append(done, Copied{table, rows})
	}
	return done, nil
}

// clearSeeded has a table of the target empty, or says that it is not.
func clearSeeded(ctx context.Context, target *sql.Tx, table string) error {
	if slices.Contains(seeded, table) {
		_, err := target.ExecContext(ctx, "DELETE FROM "+table)
		return err
	}
	var some bool
	if err := target.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&some); err != nil {
		return err
	}
	if some {
		return fmt.Errorf("%w (in the table %s)", ErrNotEmpty, table)
	}
	return nil
}

// copyTable copies a table, reads the copy and compares the two.
func copyTable(ctx context.Context, source, target *sql.Tx, table string) (int64, error) {
	read, err := columnsOf(ctx, source, table)
	if err != nil {
		return 0, err
	}
	columns := strings.Join(read, ", ")
	in := inserter{tx: target, into: "INSERT INTO " + table + " (" + columns + ") VALUES ", columns: len(read)}
	var want, got digest
	err = eachRow(ctx, source, columns, table, func(row []any) error {
		want.add(row)
		return in.add(ctx, row)
	})
	if err := errors.Join(err, in.flush(ctx)); err != nil {
		return 0, err
	}
	err = eachRow(ctx, target, columns, table, func(row []any) error { got.add(row); return nil })
	if err == nil && got != want {
		err = fmt.Errorf("%d rows arrived of %d, or with other values", got.rows, want.rows)
	}
	return want.rows, err
}

func columnsOf(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT * FROM "+table+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}

// eachRow calls f with the values of each row, which are valid during the call.
func eachRow(ctx context.Context, tx *sql.Tx, columns, table string, f func(row []any) error) error {
	rows, err := tx.QueryContext(ctx, "SELECT "+columns+" FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]any, strings.Count(columns, ",")+1)
	into := make([]any, len(row))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// digest tells whether two tables have the same rows, in whatever order.
type digest struct {
	rows int64
	sum  [4]uint64 // of the rows' hashes
}

func (d *digest) add(row []any) {
	var text []byte
	for _, value := range row {
		switch v := value.(type) {
		case nil:
			text = append(text, 'n')
		case int64:
			text = binary.BigEndian.AppendUint64(append(text, 'i'), uint64(v))
		case string:
			text = append(binary.BigEndian.AppendUint64(append(text, 't'), uint64(len(v))), v...)
		case []byte:
			text = append(binary.BigEndian.AppendUint64(append(text, 'b'), uint64(len(v))), v...)
		default:
			text = fmt.Appendf(append(text, '?'), "%T %v", v, v)
		}
	}
	hash := sha256.Sum256(text)
	d.rows++
	for i := range d.sum {
		d.sum[i] += binary.BigEndian.Uint64(hash[8*i:])
	}
}

// inserter inserts many rows a statement.
type inserter struct {
	tx      *sql.Tx
	into    string
	columns int
	values  []any
}

func (in *inserter) add(ctx context.Context, row []any) error {
	in.values = append(in.values, row...)
	if len(in.values)+in.columns <= valuesPerInsert {
		return nil
	}
	return in.flush(ctx)
}

func (in *inserter) flush(ctx context.Context) error {
	if len(in.values) == 0 {
		return nil
	}
	text := []byte(in.into)
	for i := range in.values {
		switch {
		case i == 0:
			text = append(text, '(')
		case i%in.columns == 0:
			text = append(text, "), ("...)
		default:
			text = append(text, ", "...)
		}
		text = fmt.Appendf(text, "$%d", i+1)
	}
	_, err := in.tx.ExecContext(ctx, string(append(text, ')')), in.values...)
	in.values = in.values[:0]
	return err
}

// texts reads a query of one column.
func texts(rows *sql.Rows, err error) (all []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
