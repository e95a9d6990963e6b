package store

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors of Open and OpenPostgres, wrapped with the database's place and the cause.
var (
	ErrNewer       = errors.New("it was written by a newer Pilotlight; use that version, or a new file or database")
	ErrForeign     = errors.New("it is the database of another program; name another file, or a database or schema of Pilotlight's own")
	ErrCorrupt     = errors.New("the file is damaged or not an SQLite database; restore a copy or move it away")
	ErrUnwritable  = errors.New("it cannot be written")
	ErrUnreachable = errors.New("the database cannot be reached")
	ErrDenied      = errors.New("the database refuses this user, or its password")
	ErrUnknown     = errors.New("there is no such database; create it, or name another")
	ErrTooOld      = fmt.Errorf("the database is too old; use PostgreSQL %d or newer", leastPostgres/10000)
	ErrNotEmpty    = errors.New("it holds data already; copy to an empty database or a new file")
)

// explain adds the sentinel that an operator can act on to an error of a driver.
func explain(err error) error {
	if s := sentinel(err); s != nil && !errors.Is(err, s) {
		return fmt.Errorf("%w: %w", s, err)
	}
	return err
}

func sentinel(err error) error {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	var connecting *pgconn.ConnectError
	var network *net.OpError
	switch {
	case errors.As(err, &lite):
		return sentinelOfSQLite(lite.Code())
	case errors.As(err, &pg):
		return sentinelOfPostgres(pg.Code)
	case errors.Is(err, errSilent), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &connecting), errors.As(err, &network):
		return ErrUnreachable
	}
	return nil
}

func sentinelOfSQLite(code int) error {
	switch code & 0xff { // the rest of an extended code says more than we need
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return ErrCorrupt
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM:
		return ErrUnwritable
	}
	return nil
}

// sentinelOfPostgres goes by the codes of PostgreSQL's manual, appendix A.
func sentinelOfPostgres(code string) error {
	switch code {
	case "28000", "28P01": // invalid_authorization_specification, invalid_password
		return ErrDenied
	case "3D000": // invalid_catalog_name
		return ErrUnknown
	case "25006", "42501": // read_only_sql_transaction, insufficient_privilege
		return ErrUnwritable
	case "53300", "57P01", "57P02", "57P03": // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now
		return ErrUnreachable
	}
	if len(code) == 5 && code[:2] == "53" { // insufficient_resources: disk_full, out_of_memory
		return ErrUnwritable
	}
	if len(code) == 5 && code[:2] == "08" { // connection_exception
		return ErrUnreachable
	}
	return nil
}
