package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors of Open, wrapped with the file's path and the cause.
var (
	ErrNewer      = errors.New("the file was written by a newer Pilotlight; use that version or a new file")
	ErrForeign    = errors.New("the file is the database of another program; name another file")
	ErrCorrupt    = errors.New("the file is damaged or not an SQLite database; restore a copy or move it away")
	ErrUnwritable = errors.New("the file cannot be written")
)

// explain adds the sentinel that an operator can act on to an error of SQLite.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the rest of an extended code says more than we need
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	return err
}
