package quota

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// beat says that this server lives.
func (q *Quota) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	return q.store.Write(ctx, func(tx *sql.Tx) error {
		now, err := q.store.Now(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO quota_servers (server, heard_at) VALUES ($1, $2) ON CONFLICT (server) DO UPDATE SET heard_at = excluded.heard_at",
			q.server, now.UnixMicro())
		return err
	})
}

// unbeat says that this server ends, and forgets periods that are long over.
func (q *Quota) unbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	return q.store.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM quota_blocks WHERE to_day < $1", today(time.Now())-keptDays); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM quota_servers WHERE server = $1", q.server)
		return err
	})
}

// keptDays is how long blocks of a period are kept that is over: a request of it may still run, or a log of it come late.
const keptDays = 62

// askedFor gives the periods of which others ask for what this server does not need.
func (q *Quota) askedFor(ctx context.Context) (map[account.Period]bool, error) {
	return q.periods(ctx, `SELECT mine.org, mine.token_id, mine.from_day, mine.to_day FROM quota_blocks mine JOIN quota_blocks other
		ON mine.org = other.org AND mine.token_id = other.token_id AND mine.from_day = other.from_day AND mine.to_day = other.to_day
		WHERE mine.server = $1 AND other.server <> $1 AND other.wished > mine.answered`)
}

// left gives the periods of which this server has a block.
func (q *Quota) left(ctx context.Context) (map[account.Period]bool, error) {
	return q.periods(ctx, "SELECT org, token_id, from_day, to_day FROM quota_blocks WHERE server = $1")
}

func (q *Quota) periods(ctx context.Context, query string) (map[account.Period]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	rows, err := q.store.DB().QueryContext(ctx, query, q.server)
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

// readOthers tells the accounts what others have spent today, and yesterday.
func (q *Quota) readOthers(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	rows, err := q.store.DB().QueryContext(ctx, `SELECT org, token_id, day, cost_nano_usd FROM usage_servers WHERE day >= $1 AND server <> $2`,
		today(now)-1, q.server)
	if err != nil {
		return fmt.Errorf("reading what other servers have spent: %w", err)
	}
	defer rows.Close()
	type key struct {
		org, token string
		day        int64
	}
	all := map[key]fleet.NanoUSD{}
	for rows.Next() {
		var k key
		var cost fleet.NanoUSD
		if err := rows.Scan(&k.org, &k.token, &k.day, &cost); err != nil {
			return fmt.Errorf("reading what other servers have spent: %w", err)
		}
		all[k] += cost
	}
	for k, cost := range all {
		q.accounts.Others(k.org, account.TokenOf(k.token), k.day, cost)
	}
	return rows.Err()
}
