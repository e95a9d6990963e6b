package quota

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// book is what the servers have in common: tables of the store. It is safe for concurrent use.
type book interface {
	// write is one transaction, of which there is one at a time: it commits when f returns nil. An error may leave open whether it has committed.
	write(ctx context.Context, f func(page) error) error

	version(ctx context.Context) (int64, error)                                   // changes whenever a server wishes, or answers
	askedFor(ctx context.Context, server string) (map[account.Period]bool, error) // the periods of which others ask for what a server does not need
	left(ctx context.Context, server string) (map[account.Period]bool, error)     // those of which it has a block

	// spentBy gives what all servers but one have spent, from a day on; token "" = the organisation.
	spentBy(ctx context.Context, but string, from int64) (map[spentKey]fleet.NanoUSD, error)
}

// page is the book in a transaction.
type page interface {
	now(ctx context.Context) (time.Time, error)                               // by the store's clock
	heard(ctx context.Context, from, to time.Time) ([]string, error)          // servers that have last said then that they live
	blocks(ctx context.Context, of account.Period) (map[string]block, error)  // by server
	spent(ctx context.Context, of account.Period) ([]spentOn, error)          // by all servers, on the days of a period
	put(ctx context.Context, of account.Period, server string, b block) error // a server's block
	bump(ctx context.Context) (version int64, err error)                      // gives the next version
	beat(ctx context.Context, server string, at time.Time) error              // says that a server lives
	leave(ctx context.Context, server string, before int64) error             // says that it ends, and forgets periods that were over before a day
}

// spentKey is whose budgets a cost counts in, and the day of its dispatch.
type spentKey struct {
	org, token string // token "" = the organisation's
	day        int64  // UTC, since 1970
}

// spentOn is what the log of a server has brought to the store of one day.
type spentOn struct {
	server string
	day    int64
	cost   int64 // nano-dollars
}

// tables is the book.
type tables struct{ store *store.Store }

func (t tables) write(ctx context.Context, f func(page) error) error {
	return t.store.Write(ctx, func(tx *sql.Tx) error { return f(sheet{t.store, tx}) })
}

func (t tables) version(ctx context.Context) (version int64, err error) {
	err = t.store.DB().QueryRowContext(ctx, "SELECT version FROM changes WHERE topic = 'quota'").Scan(&version)
	return version, err
}

func (t tables) askedFor(ctx context.Context, server string) (map[account.Period]bool, error) {
	return t.periods(ctx, server, `SELECT mine.org, mine.token_id, mine.from_day, mine.to_day FROM quota_blocks mine JOIN quota_blocks other
		ON mine.org = other.org AND mine.token_id = other.token_id AND mine.from_day = other.from_day AND mine.to_day = other.to_day
		WHERE mine.server = $1 AND other.server <> $1 AND other.wished > mine.answered`)
}

func (t tables) left(ctx context.Context, server string) (map[account.Period]bool, error) {
	return t.periods(ctx, server, "SELECT org, token_id, from_day, to_day FROM quota_blocks WHERE server = $1")
}

func (t tables) periods(ctx context.Context, server, query string) (map[account.Period]bool, error) {
	rows, err := t.store.DB().QueryContext(ctx, query, server)
	if err != nil {
		return nil, fmt.Errorf("reading blocks of budgets: %w", err)
	}
	defer rows.Close()
	all := map[account.Period]bool{}
	for rows.Next() {
		var p account.Period
		if err := rows.Scan(&p.Org, &p.Token, &p.From, &p.To); err != nil {
			return nil, fmt.Errorf("reading blocks of budgets: %w", err)
		}
		p.Token = account.TokenOf(p.Token)
		all[p] = true
	}
	return all, rows.Err()
}

func (t tables) spentBy(ctx context.Context, but string, from int64) (map[spentKey]fleet.NanoUSD, error) {
	rows, err := t.store.DB().QueryContext(ctx, `SELECT org, token_id, day, cost_nano_usd FROM usage_servers WHERE day >= $1 AND server <> $2`, from, but)
	if err != nil {
		return nil, fmt.Errorf("reading what other servers have spent: %w", err)
	}
	defer rows.Close()
	all := map[spentKey]fleet.NanoUSD{}
	for rows.Next() {
		var k spentKey
		var cost fleet.NanoUSD
		if err := rows.Scan(&k.org, &k.token, &k.day, &cost); err != nil {
			return nil, fmt.Errorf("reading what other servers have spent: %w", err)
		}
		k.token = account.TokenOf(k.token)
		all[k] += cost
	}
	return all, rows.Err()
}

// sheet is the page of a transaction.
type sheet struct {
	store *store.Store
	tx    *sql.Tx
}

func (s sheet) now(ctx context.Context) (time.Time, error) { return s.store.Now(ctx, s.tx) }

func (s sheet) heard(ctx context.Context, from, to time.Time) (all []string, err error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT server FROM quota_servers WHERE heard_at > $1 AND heard_at <= $2", from.UnixMicro(), to.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var server string
		if err := rows.Scan(&server); err != nil {
			return nil, err
		}
		all = append(all, server)
	}
	return all, rows.Err()
}

func (s sheet) blocks(ctx context.Context, of account.Period) (map[string]block, error) {
	rows, err := s.tx.QueryContext(ctx, `SELECT server, granted, wished, answered FROM quota_blocks
		WHERE org = $1 AND token_id = $2 AND from_day = $3 AND to_day = $4`, of.Org, account.TokenKey(of.Token), of.From, of.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]block{}
	for rows.Next() {
		var server string
		var b block
		if err := rows.Scan(&server, &b.granted, &b.wished, &b.answered); err != nil {
			return nil, err
		}
		all[server] = b
	}
	return all, rows.Err()
}

func (s sheet) spent(ctx context.Context, of account.Period) (all []spentOn, err error) {
	rows, err := s.tx.QueryContext(ctx, `SELECT day, server, cost_nano_usd FROM usage_servers
		WHERE org = $1 AND token_id = $2 AND day >= $3 AND day < $4`, of.Org, account.TokenKey(of.Token), of.From, of.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var on spentOn
		if err := rows.Scan(&on.day, &on.server, &on.cost); err != nil {
			return nil, err
		}
		all = append(all, on)
	}
	return all, rows.Err()
}

func (s sheet) put(ctx context.Context, of account.Period, server string, b block) error {
	_, err := s.tx.ExecContext(ctx, `INSERT INTO quota_blocks (org, token_id, from_day, to_day, server, granted, wished, answered)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org, token_id, from_day, to_day, server)
		DO UPDATE SET granted = excluded.granted, wished = excluded.wished, answered = excluded.answered`,
		of.Org, account.TokenKey(of.Token), of.From, of.To, server, b.granted, b.wished, b.answered)
	return err
}

func (s sheet) bump(ctx context.Context) (version int64, err error) {
	err = s.tx.QueryRowContext(ctx, "UPDATE changes SET version = version + 1 WHERE topic = 'quota' RETURNING version").Scan(&version)
	return version, err
}

func (s sheet) beat(ctx context.Context, server string, at time.Time) error {
	_, err := s.tx.ExecContext(ctx, "INSERT INTO quota_servers (server, heard_at) VALUES ($1, $2) ON CONFLICT (server) DO UPDATE SET heard_at = excluded.heard_at",
		server, at.UnixMicro())
	return err
}

func (s sheet) leave(ctx context.Context, server string, before int64) error {
	_, err := s.tx.ExecContext(ctx, "DELETE FROM quota_blocks WHERE to_day < $1", before)
	if err == nil {
		_, err = s.tx.ExecContext(ctx, "DELETE FROM quota_servers WHERE server = $1", server)
	}
	return err
}
