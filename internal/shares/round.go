package shares

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

// round changes this server's shares of some limits in one transaction.
type round struct {
	s      *Shares
	limits []account.Limited // in order
	now    time.Time

	outcomes []outcome
}

// outcome is what a round does about one limit.
type outcome struct {
	share, lacks int  // lacks: of those who wait
	others       bool // have something of it
}

func (r *round) run(ctx context.Context) error {
	r.outcomes = r.outcomes[:0]
	err := r.s.write(ctx, r.draw)
	if errors.Is(err, errGivenUp) {
		return r.s.givenUp(ctx)
	}
	if err != nil {
		for _, of := range r.limits {
			r.s.holding(of).share = uncertain
		}
		return fmt.Errorf("sharing limits: %w", err)
	}
	for i, of := range r.limits {
		r.settle(of, &r.outcomes[i])
	}
	return nil
}

// settle has a share hold that the store knows of.
func (r *round) settle(of account.Limited, o *outcome) {
	h := r.s.holding(of)
	h.share, h.lacks = o.share, o.lacks
	r.s.accounts.GrantShare(of)
	r.s.answer(of, o.lacks == 0 || r.s.accounts.SpareShare(of), o.others)
	if o.share == 0 && o.lacks == 0 {
		delete(r.s.held, of)
	}
}

// draw is the transaction.
func (r *round) draw(ctx context.Context, tx *sql.Tx) error {
	alive := r.s.alive(r.now)
	for _, of := range r.limits {
		if err := r.drawOne(ctx, tx, of, alive); err != nil {
			return fmt.Errorf("of %s: %w", of.Org, err)
		}
	}
	return nil
}

// drawOne changes one share.
func (r *round) drawOne(ctx context.Context, tx *sql.Tx, of account.Limited, alive int) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO share_limits (org, token_id, changes) VALUES ($1, $2, 1)
		ON CONFLICT (org, token_id) DO UPDATE SET changes = share_limits.changes + 1`, of.Org, account.TokenKey(of.Token))
	if err != nil {
		return err
	}
	pool := account.SharePool{Alive: alive, Waiting: r.s.waiting(of)}
	had, lacked, err := r.read(ctx, tx, of, &pool)
	if err != nil {
		return err
	}
	o := outcome{others: pool.Others > 0}
	var lacks bool
	if o.share, lacks = r.s.accounts.DrawShare(of, pool); lacks {
		o.lacks = pool.Waiting
	}
	r.outcomes = append(r.outcomes, o)
	switch {
	case o.share == had && o.lacks == lacked:
	case o.share == 0 && o.lacks == 0:
		_, err = tx.ExecContext(ctx, "DELETE FROM shares WHERE org = $1 AND token_id = $2 AND server = $3", of.Org, account.TokenKey(of.Token), r.s.server)
	default:
		_, err = tx.ExecContext(ctx, `INSERT INTO shares (org, token_id, server, share, lacks) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org, token_id, server) DO UPDATE SET share = excluded.share, lacks = excluded.lacks`, of.Org, account.TokenKey(of.Token), r.s.server, o.share, o.lacks)
	}
	switch {
	case err != nil:
		return err
	case o.lacks > 0 && o.others:
		return r.s.tell(ctx, tx, tellLacks)
	case o.share < had && pool.Wished:
		return r.s.tell(ctx, tx, tellFreed)
	}
	return nil
}

// read gives what the store has of a limit: this server's, and of the others what pool says.
func (r *round) read(ctx context.Context, tx *sql.Tx, of account.Limited, pool *account.SharePool) (had, lacked int, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT server, share, lacks FROM shares WHERE org = $1 AND token_id = $2", of.Org, account.TokenKey(of.Token))
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var server string
		var share, lacks int
		if err := rows.Scan(&server, &share, &lacks); err != nil {
			return 0, 0, err
		}
		if server == r.s.server {
			had, lacked = share, lacks
			continue
		}
		pool.Others += share
		pool.Wished = pool.Wished || lacks > 0 && r.s.mayLive(server, r.now)
	}
	return had, lacked, rows.Err()
}

// lacked gives the limits of which this server has something, and others lack something.
func (s *Shares) lacked(ctx context.Context) (all []account.Limited, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	rows, err := s.store.DB().QueryContext(ctx, `SELECT mine.org, mine.token_id, other.server FROM shares mine JOIN shares other ON mine.org = other.org AND mine.token_id = other.token_id
		WHERE mine.server = $1 AND mine.share > 0 AND other.server <> $1 AND other.lacks > 0`, s.server)
	if err != nil {
		return nil, fmt.Errorf("reading what others lack: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var of account.Limited
		var server string
		if err := rows.Scan(&of.Org, &of.Token, &server); err != nil {
			return nil, fmt.Errorf("reading what others lack: %w", err)
		}
		of.Token = account.TokenOf(of.Token)
		if s.mayLive(server, time.Now()) && s.accounts.SpareShare(of) {
			all = append(all, of)
		}
	}
	return all, rows.Err()
}

func compare(a, b account.Limited) int {
	return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Token, b.Token))
}
