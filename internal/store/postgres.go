package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	leastPostgres = 140000 // server_version_num

	connectWithin = 5 * time.Second  // unless the URL says connect_timeout
	silentAtMost  = 25 * time.Second // a server that says nothing for so long is given up, with the connection
	idleFor       = 5 * time.Minute  // then a connection that nobody uses is closed
)

// limits are what the server itself is to keep to, unless the URL says otherwise, in milliseconds: it gives up before we do. The last one frees the
// write lock of a server of ours that has been stopped or cut off in the middle of a transaction.
var limits = map[string]string{"statement_timeout": "20000", "lock_timeout": "10000", "idle_in_transaction_session_timeout": "30000"}

// postgres is the dialect of a Postgres database.
type postgres struct {
	config *pgx.ConnConfig
}

// parsePostgres reads a URL. What is wrong with it is not said: it may hold a password at any place.
func parsePostgres(url string) (*postgres, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil || url == "" {
		return nil, errors.New("it is no URL of a Postgres database; write postgres://user:password@host:5432/database, with special characters of the password percent-encoded, " +
			"and files that sslrootcert, sslcert and sslkey name must be there")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectWithin
	}
	if config.ValidateConnect == nil { // of several hosts, and after a failover
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "pilotlight"
	}
	return &postgres{config}, nil
}

func (p *postgres) place() string {
	return fmt.Sprintf("postgres://%s@%s/%s", p.config.User, net.JoinHostPort(p.config.Host, strconv.Itoa(int(p.config.Port))), p.config.Database)
}

func (p *postgres) open(ctx context.Context) (c connections, err error) {
	c.upgrade = p.pool(1, nil, 0)
	checking, cancel := context.WithTimeout(ctx, silentAtMost)
	defer cancel()
	if err := p.check(checking, c.upgrade); err != nil {
		return c, errors.Join(err, c.upgrade.Close())
	}
	c.writer = p.pool(1, limits, silentAtMost)
	c.beside = p.pool(1, limits, silentAtMost)
	reading := map[string]string{"default_transaction_read_only": "on"}
	for name, value := range limits {
		reading[name] = value
	}
	c.readers = p.pool(Readers, reading, silentAtMost)
	c.reading = &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	return c, nil
}

// pool makes connections, n at most, when they are needed. silent is how long the server may say nothing; 0 = for ever.
func (p *postgres) pool(n int, params map[string]string, silent time.Duration) *sql.DB {
	config := p.config.Copy()
	for name, value := range params {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	if silent > 0 {
		config.DialFunc = impatient(config.DialFunc, silent)
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(durably))
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(idleFor)
	return db
}

// durably has commits wait until they are on the server's disk, where its settings say that they need not: our log forgets what is committed.
func durably(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

// check refuses a server that is too old, and a schema that is not ours or too new.
func (p *postgres) check(ctx context.Context, db *sql.DB) error {
	var number, encoding, schema sql.NullString
	err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num'), current_setting('server_encoding'), current_schema()").Scan(&number, &encoding, &schema)
	if err != nil {
		return err
	}
	if err := checkServer(number.String, encoding.String); err != nil {
		return err
	}
	if !schema.Valid {
		return fmt.Errorf("%w: no schema of its search path exists", ErrUnwritable)
	}
	var ours bool
	var others int
	err = db.QueryRowContext(ctx, `SELECT COALESCE(bool_or(relname = 'pilotlight_store'), false), count(*) FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
		AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')`).Scan(&ours, &others)
	if err != nil {
		return err
	}
	if !ours {
		if others > 0 {
			return fmt.Errorf("%w (the schema %s has %d tables)", ErrForeign, schema.String, others)
		}
		return nil
	}
	var version int
	if err := db.QueryRowContext(ctx, "SELECT version FROM pilotlight_store").Scan(&version); err != nil {
		return err
	}
	return checkVersion(version)
}

// checkServer goes by server_version_num and server_encoding.
func checkServer(number, encoding string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("the server gives %q as its version", number)
	}
	if n < leastPostgres {
		return fmt.Errorf("%w (it is %d.%d)", ErrTooOld, n/10000, n%10000)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s; create it with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// begin takes a lock that every writer takes first, whatever its process: so there is one at a time, each sees what all before it have written, and none
// fails because of another. The lock goes with the transaction.
func (*postgres) begin(ctx context.Context, writer *sql.DB) (*sql.Tx, error) {
	tx, err := writer.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1, current_schema()::regnamespace::oid::int)", int32(application))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for other writers: %w", err), tx.Rollback())
	}
	return tx, nil
}

// words are what Postgres calls otherwise than SQLite. Texts are compared by their bytes, as SQLite and Go do.
var words = []struct {
	of *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`\bBLOB\b`), "BYTEA"},
	{regexp.MustCompile(`\bINTEGER\b`), "BIGINT"},
	{regexp.MustCompile(`\bTEXT\b`), `TEXT COLLATE "C"`},
	{regexp.MustCompile(`\) WITHOUT ROWID\b`), ")"},
}

func (*postgres) migration(text string) string {
	for _, w := range words {
		text = w.of.ReplaceAllString(text, w.to)
	}
	return text
}

// version is 0 before there is a table of it.
func (*postgres) version(ctx context.Context, tx *sql.Tx) (version int, err error) {
	_, err = tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS pilotlight_store (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL)")
	if err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM pilotlight_store").Scan(&version)
	return version, err
}

func (*postgres) setVersion(ctx context.Context, tx *sql.Tx, version int) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO pilotlight_store (one, version) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET version = excluded.version", version)
	return err
}

// tables goes by the order in which they were made.
func (*postgres) tables(ctx context.Context, tx *sql.Tx) ([]string, error) {
	return texts(tx.QueryContext(ctx, `SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
		AND relname <> 'pilotlight_store' ORDER BY oid`))
}

func (*postgres) now(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	var micros int64
	err := tx.QueryRowContext(ctx, "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)").Scan(&micros)
	return time.UnixMicro(micros), err
}

// listen has a connection of its own. While nobody notifies it asks each minute whether the server is still there.
func (p *postgres) listen(ctx context.Context, topic string, notified func(string)) (err error) {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{topic}.Sanitize()); err != nil {
		return err
	}
	for {
		n, err := awaitNotification(ctx, conn)
		switch {
		case err == nil:
			notified(n.Payload)
		case ctx.Err() != nil || !pgconn.Timeout(err):
			return err
		default:
			asking, stop := context.WithTimeout(ctx, silentAtMost)
			err = conn.Ping(asking)
			stop()
			if err != nil {
				return err
			}
		}
	}
}

// awaitNotification waits for a minute at most; a timeout leaves the connection as it is.
func awaitNotification(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	return conn.WaitForNotification(ctx)
}

func (*postgres) notify(ctx context.Context, tx *sql.Tx, topic, what string) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, $2)", topic, what)
	return err
}

func (*postgres) leisure(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
	return err
}
