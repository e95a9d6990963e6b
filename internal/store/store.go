package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Readers is how many may read at once beside Write, in all: SQLite has one writer, whose connection is its own, so that no
// crowd of readers keeps it waiting. A package that may read for long keeps to fewer, so that the others find one free.
const Readers = 6

// Store is one open database file. It is safe for concurrent use.
type Store struct {
	writer  *sql.DB // one connection
	readers *sql.DB // whose connections cannot write
	path    string
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

// DB gives the database for reading, to the packages that own tables in it: tenant and ledger. A statement that writes fails.
func (s *Store) DB() *sql.DB { return s.readers }

// Read runs f in one transaction that sees the database as it is at its first read, whatever is written meanwhile.
func (s *Store) Read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("beginning to read: %w", explain(err))
	}
	defer tx.Rollback()
	return f(tx)
}

// Write runs f in one transaction that holds the write lock from its start, so that what f reads cannot change before it
// writes. It commits when f returns nil. f must use only the transaction: a second Write would wait for it.
func (s *Store) Write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
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
func (s *Store) Close() error { return errors.Join(s.readers.Close(), s.writer.Close()) }

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
	common := []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}
	if s.writer, err = pool(abs, 1, append(common, "cache_size(-65536)", "wal_autocheckpoint(4000)")); err != nil {
		return explain(err)
	}
	if s.readers, err = pool(abs, Readers, append(common, "cache_size(-16384)", "query_only(1)")); err != nil {
		return explain(errors.Join(err, s.writer.Close()))
	}
	if err := s.migrate(ctx); err != nil {
		return explain(errors.Join(err, s.Close()))
	}
	return nil
}

// pool opens connections to the file, n at most.
func pool(path string, n int, pragmas []string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, pragmas...))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
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
