package quota

import (
	"context"
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
	gone  bool      // there is no such budget here any more
	lacks bool      // not enough was drawn
	wish  wish      // that is open
	last  time.Time // for whom it is the last call: who gives up then
}

func (r *round) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	r.live, r.drawn = map[string]bool{}, map[account.Period]*drawing{}
	err := r.q.book.write(ctx, func(p page) error { return r.draw(ctx, p) })
	if err != nil {
		return fmt.Errorf("drawing from budgets: %w", err)
	}
	for _, of := range r.periods {
		d := r.drawn[of]
		if d.gone {
			delete(r.q.held, of)
		} else {
			r.q.held[of] = &held{block: d.block}
			r.q.accounts.Grant(of, d.wish.version == 0)
		}
		if d.wish.version > 0 {
			r.q.wished(of, d.wish, d.last)
		} else {
			r.q.answer(of, !d.lacks)
		}
	}
	return nil
}

// draw is the transaction.
func (r *round) draw(ctx context.Context, p page) error {
	if err := r.readLive(ctx, p); err != nil {
		return err
	}
	wish := int64(0) // the version of this transaction, once there is one
	bump := func() (version int64, err error) {
		if wish == 0 {
			wish, err = p.bump(ctx)
		}
		return wish, err
	}
	for _, of := range r.periods {
		if err := r.drawOne(ctx, p, of, bump); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) readLive(ctx context.Context, p page) error {
	now, err := p.now(ctx)
	if err != nil {
		return err
	}
	heard, err := p.heard(ctx, now.Add(-r.q.live), now.Add(beatEvery)) // what was said later than now was said by a clock that was set back since
	for _, server := range heard {
		r.live[server] = true
	}
	delete(r.live, r.q.server)
	return err
}

// standing is what the store has of one server in one period.
type standing struct {
	block
	spent int64 // that its log has brought
	drew  bool  // it has a block
}

// drawOne draws one block, or wishes for what others have of it.
func (r *round) drawOne(ctx context.Context, on page, p account.Period, bump func() (int64, error)) error {
	all, err := r.read(ctx, on, p)
	if err != nil {
		return err
	}
	mine := all[r.q.server]
	delete(all, r.q.server)
	asked, before, last := r.q.asked(p)
	d := &drawing{block: mine.block, last: last}
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
	if pool.Last = d.lacks && (d.wish.version == 0 || !last.IsZero()); pool.Last { // what is nobody's is had before anybody gives up, whatever the others answer
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
	return on.put(ctx, p, r.q.server, d.block)
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
func (r *round) read(ctx context.Context, on page, p account.Period) (map[string]*standing, error) {
	all := map[string]*standing{r.q.server: {}}
	of := func(server string) *standing {
		if all[server] == nil {
			all[server] = &standing{}
		}
		return all[server]
	}
	blocks, err := on.blocks(ctx, p)
	if err != nil {
		return nil, err
	}
	for server, b := range blocks {
		s := of(server)
		s.block, s.drew = b, true
	}
	spent, err := on.spent(ctx, p)
	if err != nil {
		return nil, err
	}
	others := map[int64]fleet.NanoUSD{}
	for _, on := range spent {
		of(on.server).spent += on.cost
		if on.server != r.q.server {
			others[on.day] += fleet.NanoUSD(on.cost)
		}
	}
	for day, cost := range others {
		r.q.accounts.Others(p.Org, p.Token, day, cost)
	}
	return all, nil
}
