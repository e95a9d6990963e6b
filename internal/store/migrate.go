package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

// migrations is the one list, in the order of the files' names: the n-th brings a file from version n-1 to n. A file that
// was released is never edited; a change is a new file.
//
//go:embed migrations/*.sql
var migrations embed.FS

// application marks our files, so that another program's database is not filled with our tables: "PiLi" in ASCII.
const application = 0x50694c69

// migrate brings the tables to the newest version, one transaction each, so that a crash leaves a whole version behind.
func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := s.Write(ctx, func(tx *sql.Tx) error { return apply(ctx, tx, name, i) }); err != nil {
			return fmt.Errorf("applying %s: %w", name, err)
		}
	}
	return nil
}

// check refuses a file that is not ours or too new. It has a connection of its own, because ours would already have
// changed the file: setting the journal mode writes to its header.
func check(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return err
	}
	defer db.Close()
	var id, version, tables int
	for query, value := range map[string]*int{
		"PRAGMA application_id":              &id,
		"PRAGMA user_version":                &version,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := db.QueryRowContext(ctx, query).Scan(value); err != nil {
			return err
		}
	}
	if id != application && (id != 0 || version != 0 || tables != 0) {
		return ErrForeign
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if version > len(names) {
		return fmt.Errorf("%w (it has version %d, this one knows %d)", ErrNewer, version, len(names))
	}
	return nil
}

// apply runs one migration where the file stands right before it. The version is read under the write lock: another
// server may have migrated since the check.
func apply(ctx context.Context, tx *sql.Tx, name string, before int) error {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version != before {
		return nil
	}
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	mark := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d;", before+1, application)
	_, err = tx.ExecContext(ctx, string(text)+mark)
	return err
}
