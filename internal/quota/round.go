package quota

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// round draws the blocks of some periods in one transaction.
type round struct {
	q       *Quota
	periods []account.Period
	back    bool // what is not needed is given back

	live  map[string]bool // the others that have been heard of lately
	drawn map[account.Period]*drawing
}

// drawing is what a round does about one period.
type drawing struct {
	block
	gone  bool // there is no such budget here any more
	lacks bool // not enough was drawn
	wish  wish // that is open
}

func (r *round) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	r.live, r.drawn = map[string]bool{}, map[account.Period]*drawing{}
	err := r.q.store.Write(ctx, func(tx *sql.Tx) error { return r.draw(context.WithoutCancel(ctx), tx) })
	if err != nil {
		return fmt.Errorf("drawing from budgets: %w", err)
	}
	for of, d := range r.drawn {
		if d.gone {
			delete(r.q.held, of)
		} else {
			r.q.held[of] = &held{block: d.block}
			r.q.accounts.Grant(of, d.wish.version == 0)
		}
		if d.wish.version > 0 {
			r.q.wished(of, d.wish)
		} else {
			r.q.answer(of, !d.lacks)
		}
	}
	return nil
}

// draw is the transaction.
func (r *round) draw(ctx context.Context, tx *sql.Tx) error {
	if err := r.readLive(ctx, tx); err != nil {
		return err
	}
	wish := int64(0) // the version of this transaction, once there is one
	bump := func() (int64, error) {
		if wish > 0 {
			return wish, nil
		}
		err := tx.QueryRowContext(ctx, "UPDATE changes SET version = version + 1 WHERE topic = 'quota' RETURNING version").Scan(&wish)
		return wish, err
	}
	for _, p := range r.periods {
		if err := r.drawOne(ctx, tx, p, bump); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) readLive(ctx context.Context, tx *sql.Tx) error {
	now, err := r.q.store.Now(ctx, tx)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT server FROM quota_servers WHERE heard_at > $1 AND server <> $2", now.Add(-r.q.live).UnixMicro(), r.q.server)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var server string
		if err := rows.Scan(&server); err != nil {
			return err
		}
		r.live[server] = true
	}
	return rows.Err()
}

// standing is what the store has of one server in one period.
type standing struct {
	block
	spent int64 // that its log has brought
	drew  bool  // it has a block
}

// drawOne draws one block, or wishes for what others have of it.
func (r *round) drawOne(ctx context.Context, tx *sql.Tx, p account.Period, bump func() (int64, error)) error {
	all, err := r.read(ctx, tx, p)
	if err != nil {
		return err
	}
	mine := all[r.q.server]
	delete(all, r.q.server)
	asked, before := r.q.asked(p)
	d := &drawing{block: mine.block}
	r.drawn[p] = d
	pool := account.Pool{Alone: len(r.live) == 0, Return: r.back, Asked: asked}
	for _, s := range all {
		pool.Reserved += fleet.NanoUSD(s.reserved())
		d.answered = max(d.answered, s.wished)
	}
	for server := range r.live {
		pool.Wished = pool.Wished || all[server] != nil && all[server].wished > 0
	}
	granted, enough, ok := r.q.accounts.DrawBlock(p, pool)
	if d.lacks, d.gone = !enough, !ok; d.gone { // nothing is spent of it here
		if !mine.drew {
			return nil
		}
		granted, d.lacks = fleet.NanoUSD(mine.spent), false
	}
	if d.lacks && asked {
		if err := r.wish(d, all, before, bump); err != nil {
			return err
		}
	}
	if pool.Last = d.lacks && d.wish.version == 0; pool.Last {
		granted, _, _ = r.q.accounts.DrawBlock(p, pool)
	}
	d.granted, d.wished = int64(granted), d.wish.version
	if mine.drew && d.block == mine.block {
		return nil
	}
	if pool.Wished {
		if _, err := bump(); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO quota_blocks (org, token_id, from_day, to_day, server, granted, wished, answered)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org, token_id, from_day, to_day, server)
		DO UPDATE SET granted = excluded.granted, wished = excluded.wished, answered = excluded.answered`,
		p.Org, account.TokenKey(p.Token), p.From, p.To, r.q.server, d.granted, d.wished, d.answered)
	return err
}

// reserved is what nobody else may spend.
func (s *standing) reserved() int64 {
	if s.drew {
		return max(s.spent, s.granted)
	}
	return s.spent
}

// wish asks the others for what they do not need, where one that lives has something of it. It asks again as long as that has brought something: who is busy
// gives a part.
func (r *round) wish(d *drawing, others map[string]*standing, before wish, bump func() (int64, error)) (err error) {
	now, open, answered := wish{version: before.version}, false, true
	for server, s := range others {
		now.reserved += s.reserved()
		if r.live[server] && s.reserved() > s.spent {
			open = true
			answered = answered && s.answered >= before.version
		}
	}
	switch {
	case !open:
		return nil
	case before.version > 0 && !answered:
		d.wish = before
		return nil
	case before.version > 0 && now.reserved >= before.reserved:
		return nil // all have answered, and nobody has given anything
	}
	if now.version, err = bump(); err == nil {
		d.wish = now
	}
	return err
}

// read gives what the store has of a period, by server, and tells the accounts what others have spent.
func (r *round) read(ctx context.Context, tx *sql.Tx, p account.Period) (map[string]*standing, error) {
	all := map[string]*standing{r.q.server: {}}
	of := func(server string) *standing {
		if all[server] == nil {
			all[server] = &standing{}
		}
		return all[server]
	}
	rows, err := tx.QueryContext(ctx, `SELECT server, granted, wished, answered FROM quota_blocks
		WHERE org = $1 AND token_id = $2 AND from_day = $3 AND to_day = $4`, p.Org, account.TokenKey(p.Token), p.From, p.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var server string
		var b block
		if err := rows.Scan(&server, &b.granted, &b.wished, &b.answered); err != nil {
			return nil, err
		}
		s := of(server)
		s.block, s.drew = b, true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return all, r.readSpent(ctx, tx, p, of)
}

func (r *round) readSpent(ctx context.Context, tx *sql.Tx, p account.Period, of func(server string) *standing) error {
	rows, err := tx.QueryContext(ctx, `SELECT day, server, cost_nano_usd FROM usage_servers
		WHERE org = $1 AND token_id = $2 AND day >= $3 AND day < $4`, p.Org, account.TokenKey(p.Token), p.From, p.To)
	if err != nil {
		return err
	}
	defer rows.Close()
	others := map[int64]fleet.NanoUSD{}
	for rows.Next() {
		var day, cost int64
		var server string
		if err := rows.Scan(&day, &server, &cost); err != nil {
			return err
		}
		of(server).spent += cost
		if server != r.q.server {
			others[day] += fleet.NanoUSD(cost)
		}
	}
	for day, cost := range others {
		r.q.accounts.Others(p.Org, p.Token, day, cost)
	}
	return rows.Err()
}

func today(at time.Time) int64 { return at.Unix() / int64(24*time.Hour/time.Second) }
