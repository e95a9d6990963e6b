package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// application marks our databases, so that another program's is not filled with our tables: "PiLi" in ASCII.
const application = 0x50694c69

// writerCache is how many KiB of pages the writer keeps in memory: those of its largest transactions, in which a segment of the ledger's log is moved, or as much
// is sorted. Readers keep SQLite's usual 2 MiB each, which they lose whenever something was written, several times a second. A page takes twice its size there,
// because the driver's allocator rounds up to a power of two; and none of that is Go's heap, so that no limit of the heap holds for it.
const writerCache = 8 << 10

// sqliteFile is the dialect of an SQLite file.
type sqliteFile struct {
	path    string
	through func(driver.Connector) driver.Connector // nil = connections are the driver's
}

func (f sqliteFile) place() string { return f.path }

func (f sqliteFile) open(ctx context.Context) (c connections, err error) {
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	if err := touch(abs); err != nil {
		return c, err
	}
	if err := checkFile(ctx, abs); err != nil {
		return c, err
	}
	common := []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}
	if c.writer, err = f.pool(abs, 1, append(common, fmt.Sprintf("cache_size(-%d)", writerCache), "wal_autocheckpoint(4000)")); err != nil {
		return c, err
	}
	if c.readers, err = f.pool(abs, Readers, append(common, "query_only(1)")); err != nil {
		return c, errors.Join(err, c.writer.Close())
	}
	c.reading = &sql.TxOptions{ReadOnly: true}
	return c, nil
}

// begin takes the write lock: see dsn.
func (sqliteFile) begin(ctx context.Context, writer *sql.DB) (*sql.Tx, error) {
	return writer.BeginTx(ctx, nil)
}

func (sqliteFile) migration(text string) string { return text }

func (sqliteFile) version(ctx context.Context, tx *sql.Tx) (version int, err error) {
	err = tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}

func (sqliteFile) setVersion(ctx context.Context, tx *sql.Tx, version int) error {
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d;", version, application))
	return err
}

// tables goes by the order in which they were made.
func (sqliteFile) tables(ctx context.Context, tx *sql.Tx) ([]string, error) {
	return texts(tx.QueryContext(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"))
}

func (sqliteFile) now(context.Context, *sql.Tx) (time.Time, error) { return time.Now(), nil } // they are on one machine

func (sqliteFile) listen(ctx context.Context, _ string, _ func(string)) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func (sqliteFile) notify(context.Context, *sql.Tx, string, string) error { return nil }

func (sqliteFile) leisure(context.Context, *sql.Tx) error { return nil }

// pool opens connections to the file, n at most.
func (f sqliteFile) pool(path string, n int, pragmas []string) (*sql.DB, error) {
	name := dsn(path, pragmas...)
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	if f.through != nil {
		if err := db.Close(); err != nil {
			return nil, err
		}
		db = sql.OpenDB(f.through(connector{db.Driver(), name}))
		db.SetMaxIdleConns(n)
		return db, nil // of those that wait for one of few connections, database/sql takes any: there one at a time writes all the same
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// connector makes connections of a driver to one database.
type connector struct {
	driver driver.Driver
	name   string
}

// Connect makes one.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }

// Driver is theirs.
func (c connector) Driver() driver.Driver { return c.driver }

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

// checkFile refuses a file that is not ours or too new. It has a connection of its own, because ours would already have
// changed the file: setting the journal mode writes to its header.
func checkFile(ctx context.Context, path string) error {
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
	return checkVersion(version)
}
