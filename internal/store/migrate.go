package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

// migrations is the one list, in the order of the files' names: the n-th brings a database from version n-1 to n. A file that
// was released is never edited; a change is a new file.
//
//go:embed migrations/*.sql
var migrations embed.FS

func migrationNames() []string {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(fmt.Sprintf("store: listing embedded files: %v", err))
	}
	return names
}

// checkVersion refuses a database of a newer program.
func checkVersion(version int) error {
	if known := len(migrationNames()); version > known {
		return fmt.Errorf("%w (it has version %d, this one knows %d)", ErrNewer, version, known)
	}
	return nil
}

// migrate brings the tables to the newest version, one transaction each, so that a crash leaves a whole version behind.
func (s *Store) migrate(ctx context.Context) (err error) {
	db := s.upgrade
	if db == nil {
		db = s.writer
	} else {
		s.upgrade = nil
		defer db.Close()
	}
	for at, newest := 0, len(migrationNames()); at < newest; {
		if err := s.write(ctx, db, func(tx *sql.Tx) (err error) { at, err = s.upgradeOne(ctx, tx); return err }); err != nil {
			return err
		}
	}
	return nil
}

// upgradeOne runs the migration that follows on the version which the database has, if any does, and gives the version that it has then. It is read under the
// write lock: another server may have migrated since the check.
func (s *Store) upgradeOne(ctx context.Context, tx *sql.Tx) (version int, err error) {
	names := migrationNames()
	version, err = s.version(ctx, tx)
	if err != nil || version >= len(names) {
		return version, err
	}
	name := names[version]
	text, err := migrations.ReadFile(name)
	if err != nil {
		return version, err
	}
	if _, err := tx.ExecContext(ctx, s.migration(string(text))); err != nil {
		return version, fmt.Errorf("applying %s: %w", name, err)
	}
	return version + 1, s.setVersion(ctx, tx, version+1)
}
