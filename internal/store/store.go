package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// connections bounds the open database connections. SQLite has one writer at a time; the others are for readers.
const connections = 4

// Store is one open database file. It is safe for concurrent use.
type Store struct {
	db   *sql.DB
	path string
}

// Open opens or creates the database file at path, readable by its owner only, and brings its tables up to date. Its
// directory must exist. The error is ErrUnwritable, ErrCorrupt, ErrForeign or ErrNewer where one of these is the cause.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{path: path}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	return s, nil
}

// DB gives the database to the packages that own tables in it: tenant and ledger.
func (s *Store) DB() *sql.DB { return s.db }

// Write runs f in one transaction that holds the write lock from its start, so that what f reads cannot change before it
// writes. It commits when f returns nil. f must use only the transaction: a second connection would wait for it.
func (s *Store) Write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", explain(err))
	}
	defer tx.Rollback() // after a commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", explain(err))
	}
	return nil
}

// Close closes the database. Writes that have returned are safe without it.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) open(ctx context.Context) error {
	abs, err := filepath.Abs(s.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	if err := touch(abs); err != nil {
		return err
	}
	if err := check(ctx, abs); err != nil {
		return explain(err)
	}
	s.db, err = sql.Open("sqlite", dsn(abs, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-65536)", "wal_autocheckpoint(4000)"))
	if err != nil {
		return explain(err)
	}
	s.db.SetMaxOpenConns(connections)
	s.db.SetMaxIdleConns(connections)
	if err := s.migrate(ctx); err != nil {
		s.db.Close()
		return explain(err)
	}
	return nil
}

// touch creates the file with our mode, and gets the operating system's own words where that fails: SQLite would only
// say "unable to open database file".
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	return f.Close()
}

// dsn names the file and what holds for every connection to it. Transactions take the write lock at their start
// (_txlock): one that read first and wrote later could fail with "busy" at once, whatever the timeout.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}
