package store

import (
	"context"
	"database/sql"
	"time"
)

// dialect is what SQLite and Postgres do differently. All other SQL, of every package, is such that both understand it: values are $1, $2, …;
// rows of different tables have names; what a statement gives is read to its end, or the statement is bounded by a LIMIT.
type dialect interface {
	// place names the database in messages. It holds no password.
	place() string

	// open connects, and refuses a database that is not ours, or newer than this program. Nothing is changed in one that is refused.
	open(ctx context.Context) (connections, error)

	// begin makes a transaction the only one that writes, in all processes, from its start to its end.
	begin(ctx context.Context, writer *sql.DB) (*sql.Tx, error)

	// migration is a file of migrations/ in this database's words. The files are in SQLite's.
	migration(text string) string

	// version reads which migrations the database has had; setVersion notes it, and that the database is ours.
	version(ctx context.Context, tx *sql.Tx) (int, error)
	setVersion(ctx context.Context, tx *sql.Tx, version int) error

	// tables lists all tables of migrations, each after those that it refers to.
	tables(ctx context.Context, tx *sql.Tx) ([]string, error)

	// now is the time of the clock that all who use the database have in common.
	now(ctx context.Context, tx *sql.Tx) (time.Time, error)

	// listen calls notified with what a transaction has called notify with for a topic, when it is committed, by whatever process; until ctx is done, or the
	// connection breaks. A database that tells nobody only waits for ctx.
	listen(ctx context.Context, topic string, notified func(what string)) error
	notify(ctx context.Context, tx *sql.Tx, topic, what string) error

	// leisure lets a transaction take as long as it takes.
	leisure(ctx context.Context, tx *sql.Tx) error
}

// connections are those of a store to its database.
type connections struct {
	writer  *sql.DB // one connection
	readers *sql.DB // that cannot write
	beside  *sql.DB // one that locks only what its transactions write; nil = there is no such thing, and the writer's is used
	upgrade *sql.DB // one for migrations, which may take long; nil = the writer's. It is closed after them
	reading *sql.TxOptions
}
