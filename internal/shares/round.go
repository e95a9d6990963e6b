package shares

import (
	"cmp"
	"context"
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
func (r *round) draw(ctx context.Context, p page) error {
	alive := r.s.alive(r.now)
	for _, of := range r.limits {
		if err := r.drawOne(ctx, p, of, alive); err != nil {
			return fmt.Errorf("of %s: %w", of.Org, err)
		}
	}
	return nil
}

// drawOne changes one share.
func (r *round) drawOne(ctx context.Context, p page, of account.Limited, alive int) error {
	if err := p.touch(ctx, of); err != nil {
		return err
	}
	pool := account.SharePool{Alive: alive, Waiting: r.s.waiting(of)}
	had, err := r.read(ctx, p, of, &pool)
	if err != nil {
		return err
	}
	o := outcome{others: pool.Others > 0}
	var lacks bool
	if o.share, lacks = r.s.accounts.DrawShare(of, pool); lacks {
		o.lacks = pool.Waiting
	}
	r.outcomes = append(r.outcomes, o)
	if now := (row{r.s.server, o.share, o.lacks}); now != had {
		if err := p.put(ctx, of, now); err != nil {
			return err
		}
	}
	switch {
	case o.lacks > 0 && o.others:
		return r.s.tell(ctx, p, tellLacks)
	case o.share < had.share && pool.Wished:
		return r.s.tell(ctx, p, tellFreed)
	}
	return nil
}

// read gives what the store has of a limit: this server's, and of the others what pool says.
func (r *round) read(ctx context.Context, p page, of account.Limited, pool *account.SharePool) (had row, err error) {
	all, err := p.shares(ctx, of)
	if err != nil {
		return row{}, err
	}
	had.server = r.s.server
	for _, other := range all {
		if other.server == r.s.server {
			had = other
			continue
		}
		pool.Others += other.share
		pool.Wished = pool.Wished || other.lacks > 0 && r.s.mayLive(other.server, r.now)
	}
	return had, nil
}

// lacked gives the limits of which this server has something to spare, and others lack something.
func (s *Shares) lacked(ctx context.Context) (all []account.Limited, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	lacks, err := s.book.lacked(ctx, s.server)
	for _, l := range lacks {
		if s.mayLive(l.by, time.Now()) && s.accounts.SpareShare(l.of) {
			all = append(all, l.of)
		}
	}
	return all, err
}

func compare(a, b account.Limited) int {
	return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Token, b.Token))
}
