package shares

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// book is what the servers have in common: tables of the store. It is safe for concurrent use.
type book interface {
	// write is one transaction: it commits when f returns nil. It waits for no other but where both write the same row. An error may leave open whether it
	// has committed.
	write(ctx context.Context, f func(page) error) error

	// beats gives the beats of all servers but one.
	beats(ctx context.Context, but string) (map[string]int64, error)

	// lacked gives the limits of which a server has something, and others lack something.
	lacked(ctx context.Context, server string) ([]lack, error)

	// listen calls told with what is told, until ctx is done or the connection breaks.
	listen(ctx context.Context, told func(what string)) error
}

// page is the book as a transaction sees it: what others have committed, and what it has written. What is said of a limit or a server is certain only once the
// transaction has written that limit's row, or that server's.
type page interface {
	beat(ctx context.Context, server string) (known bool, err error)
	join(ctx context.Context, server string) error
	leave(ctx context.Context, server string) error
	giveUp(ctx context.Context, server string, beats int64) (gone bool, err error) // unless it has others
	drop(ctx context.Context, server string) error                                 // all its shares

	touch(ctx context.Context, of account.Limited) error // writes a limit's row
	shares(ctx context.Context, of account.Limited) ([]row, error)
	put(ctx context.Context, of account.Limited, r row) error // no share and nothing lacked is no row

	tell(ctx context.Context, what string) error // once it is committed
}

// row is what one server has of a limit, and lacks.
type row struct {
	server       string
	share, lacks int
}

// lack is a limit of which another server lacks something.
type lack struct {
	of account.Limited
	by string
}

// tables is the book.
type tables struct{ store *store.Store }

func (t tables) write(ctx context.Context, f func(page) error) error {
	return t.store.WriteBeside(ctx, func(tx *sql.Tx) error { return f(sheet{t.store, tx}) })
}

func (t tables) beats(ctx context.Context, but string) (map[string]int64, error) {
	rows, err := t.store.DB().QueryContext(ctx, "SELECT server, beats FROM share_servers WHERE server <> $1", but)
	if err != nil {
		return nil, fmt.Errorf("reading who shares limits: %w", err)
	}
	defer rows.Close()
	all := map[string]int64{}
	for rows.Next() {
		var server string
		var beats int64
		if err := rows.Scan(&server, &beats); err != nil {
			return nil, fmt.Errorf("reading who shares limits: %w", err)
		}
		all[server] = beats
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading who shares limits: %w", err)
	}
	return all, nil
}

func (t tables) lacked(ctx context.Context, server string) (all []lack, err error) {
	rows, err := t.store.DB().QueryContext(ctx, `SELECT mine.org, mine.token_id, other.server FROM shares mine JOIN shares other ON mine.org = other.org AND mine.token_id = other.token_id
		WHERE mine.server = $1 AND mine.share > 0 AND other.server <> $1 AND other.lacks > 0`, server)
	if err != nil {
		return nil, fmt.Errorf("reading what others lack: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l lack
		if err := rows.Scan(&l.of.Org, &l.of.Token, &l.by); err != nil {
			return nil, fmt.Errorf("reading what others lack: %w", err)
		}
		l.of.Token = account.TokenOf(l.of.Token)
		all = append(all, l)
	}
	return all, rows.Err()
}

func (t tables) listen(ctx context.Context, told func(what string)) error {
	return t.store.Listen(ctx, topic, told)
}

// sheet is the page of a transaction.
type sheet struct {
	store *store.Store
	tx    *sql.Tx
}

func (s sheet) beat(ctx context.Context, server string) (known bool, err error) {
	return s.changes(ctx, "UPDATE share_servers SET beats = beats + 1 WHERE server = $1", server)
}

func (s sheet) join(ctx context.Context, server string) error {
	_, err := s.changes(ctx, "INSERT INTO share_servers (server, beats) VALUES ($1, 1) ON CONFLICT (server) DO UPDATE SET beats = share_servers.beats + 1", server)
	return err
}

func (s sheet) leave(ctx context.Context, server string) error {
	_, err := s.changes(ctx, "DELETE FROM share_servers WHERE server = $1", server)
	return err
}

func (s sheet) giveUp(ctx context.Context, server string, beats int64) (gone bool, err error) {
	return s.changes(ctx, "DELETE FROM share_servers WHERE server = $1 AND beats = $2", server, beats)
}

func (s sheet) drop(ctx context.Context, server string) error {
	_, err := s.changes(ctx, "DELETE FROM shares WHERE server = $1", server)
	return err
}

func (s sheet) touch(ctx context.Context, of account.Limited) error {
	_, err := s.changes(ctx, `INSERT INTO share_limits (org, token_id, changes) VALUES ($1, $2, 1)
		ON CONFLICT (org, token_id) DO UPDATE SET changes = share_limits.changes + 1`, of.Org, account.TokenKey(of.Token))
	return err
}

func (s sheet) shares(ctx context.Context, of account.Limited) (all []row, err error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT server, share, lacks FROM shares WHERE org = $1 AND token_id = $2", of.Org, account.TokenKey(of.Token))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.server, &r.share, &r.lacks); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func (s sheet) put(ctx context.Context, of account.Limited, r row) (err error) {
	if r.share == 0 && r.lacks == 0 {
		_, err = s.changes(ctx, "DELETE FROM shares WHERE org = $1 AND token_id = $2 AND server = $3", of.Org, account.TokenKey(of.Token), r.server)
		return err
	}
	_, err = s.changes(ctx, `INSERT INTO shares (org, token_id, server, share, lacks) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (org, token_id, server) DO UPDATE SET share = excluded.share, lacks = excluded.lacks`, of.Org, account.TokenKey(of.Token), r.server, r.share, r.lacks)
	return err
}

func (s sheet) tell(ctx context.Context, what string) error {
	return s.store.Notify(ctx, s.tx, topic, what)
}

// changes runs a statement, and reports whether it has changed anything.
func (s sheet) changes(ctx context.Context, statement string, values ...any) (some bool, err error) {
	done, err := s.tx.ExecContext(ctx, statement, values...)
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}
