package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// Readers is how many may read at once beside Write, in all: there is one writer, whose connection is its own, so that no
// crowd of readers keeps it waiting. A package that may read for long keeps to fewer, so that the others find one free.
const Readers = 6

// Store is one open database. It is safe for concurrent use.
type Store struct {
	dialect
	connections
}

// Open opens or creates the SQLite file at path, readable by its owner only, and brings its tables up to date. Its
// directory must exist. The error is ErrUnwritable, ErrCorrupt, ErrForeign or ErrNewer where one of these is the cause.
func Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, sqliteFile{path: path})
}

// OpenThrough is Open over connections that through makes of the driver's: for tests, in which a database is away, is slow, or loses what it is told.
// There are as many as are asked for: who writes is to be the only one.
func OpenThrough(ctx context.Context, path string, through func(driver.Connector) driver.Connector) (*Store, error) {
	return open(ctx, sqliteFile{path, through})
}

// OpenPostgres connects to the Postgres database of a URL (postgres://user:password@host:port/database?…, or key=value pairs, with what PG*
// variables and .pgpass say), and brings its tables up to date. They are in the first schema of the search path, which is to hold nothing else. The
// error is ErrUnreachable, ErrDenied, ErrTooOld, ErrUnwritable, ErrForeign or ErrNewer where one of these is the cause. It never holds the password.
func OpenPostgres(ctx context.Context, url string) (*Store, error) {
	p, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	return open(ctx, p)
}

func open(ctx context.Context, d dialect) (*Store, error) {
	s := &Store{dialect: d}
	var err error
	if s.connections, err = d.open(ctx); err == nil {
		if err = s.migrate(ctx); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", d.place(), explain(err))
	}
	return s, nil
}

// DB gives the database for reading, to the packages that own tables in it: tenant and ledger. A statement that writes fails.
func (s *Store) DB() *sql.DB { return s.readers }

// String names the database, without a password.
func (s *Store) String() string { return s.place() }

// Read runs f in one transaction that sees the database as it is at its first read, whatever is written meanwhile.
func (s *Store) Read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.readers.BeginTx(ctx, s.reading)
	if err != nil {
		return fmt.Errorf("beginning to read: %w", explain(err))
	}
	defer tx.Rollback()
	return f(tx)
}

// ReadAll is Read for who reads whole tables, however long that takes.
func (s *Store) ReadAll(ctx context.Context, f func(*sql.Tx) error) error {
	return s.Read(ctx, func(tx *sql.Tx) error {
		if err := s.leisure(ctx, tx); err != nil {
			return fmt.Errorf("beginning to read: %w", explain(err))
		}
		return f(tx)
	})
}

// Write runs f in one transaction that holds the write lock from its start, so that what f reads cannot change before it
// writes. It commits when f returns nil. f must use only the transaction: a second Write would wait for it. An error says that nothing was written,
// but for one case: a connection that breaks while it commits leaves open whether it did. What must not be written twice is known by its ID.
func (s *Store) Write(ctx context.Context, f func(*sql.Tx) error) error {
	return s.write(ctx, s.writer, f)
}

// WriteBeside is Write that waits for no other, and no other for it, but where they write the same row: what f reads may change before it commits, unless f has
// written, before that, a row which whoever changes it writes, too. In SQLite it is Write.
func (s *Store) WriteBeside(ctx context.Context, f func(*sql.Tx) error) error {
	if s.beside == nil {
		return s.Write(ctx, f)
	}
	return s.commit(ctx, f, func() (*sql.Tx, error) {
		return s.beside.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	})
}

// Listen calls notified whenever a transaction is committed that has called Notify with this topic, in whatever process, with what that has said.
// It blocks until ctx is done, or the connection breaks: then what was committed meanwhile is not told. SQLite tells nothing: who listens looks now and then
// all the same.
func (s *Store) Listen(ctx context.Context, topic string, notified func(what string)) error {
	if err := s.listen(ctx, topic, notified); err != nil {
		return fmt.Errorf("listening for %s: %w", topic, explain(err))
	}
	return nil
}

// Notify has who listens for a topic told, if the transaction is committed; the same thing that is said twice in one is told once.
func (s *Store) Notify(ctx context.Context, tx *sql.Tx, topic, what string) error {
	if err := s.notify(ctx, tx, topic, what); err != nil {
		return fmt.Errorf("notifying of %s: %w", topic, explain(err))
	}
	return nil
}

func (s *Store) write(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	return s.commit(ctx, f, func() (*sql.Tx, error) { return s.begin(ctx, db) })
}

func (s *Store) commit(ctx context.Context, f func(*sql.Tx) error, begin func() (*sql.Tx, error)) error {
	tx, err := begin()
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

// Now is the time by the database's clock: for what several servers are to agree on.
func (s *Store) Now(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	at, err := s.now(ctx, tx)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the store's clock: %w", explain(err))
	}
	return at, nil
}

// Close closes the database. Writes that have returned are safe without it.
func (s *Store) Close() error {
	err := errors.Join(s.readers.Close(), s.writer.Close())
	if s.beside != nil {
		err = errors.Join(err, s.beside.Close())
	}
	return err
}
