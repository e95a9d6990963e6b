package shares

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/rounds"
)

// Run shares the limits of accounts, whose Shares this is, with the other servers, until ctx is done; then it gives up all that this server has, and returns
// nil. No request is to be admitted any more then.
func (s *Shares) Run(ctx context.Context, accounts *account.Accounts) error {
	s.accounts = accounts
	defer s.leaveAll(context.WithoutCancel(ctx))
	defer s.close()
	var listening sync.WaitGroup
	defer listening.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listening.Go(func() { s.listen(ctx) })
	tick := time.NewTimer(0)
	defer tick.Stop()
	var joined bool
	var beat, look, returned time.Time
	for {
		lacks, freed := false, false
		select {
		case <-ctx.Done():
		case <-s.lacks:
			lacks = true
		case <-s.freed:
			freed = true
		case <-s.wake:
		case <-tick.C:
		}
		if ctx.Err() != nil {
			return nil
		}
		_ = rounds.Nudged(s.wake) // one look is enough for all that is to be looked at
		now, lacks, freed := time.Now(), rounds.Nudged(s.lacks) || lacks, rounds.Nudged(s.freed) || freed
		if !joined {
			err := s.join(ctx)
			s.check(ctx, err)
			if joined = err == nil; !joined {
				tick.Reset(beatEvery)
				continue
			}
			returned = now
		}
		if now.Sub(beat) >= beatEvery {
			beat = now
			err := s.beat(ctx)
			s.check(ctx, err)
			if err == nil {
				s.works(ctx)
			}
		}
		if lacks || now.Sub(look) >= lookEvery {
			look = now
			s.check(ctx, s.look(ctx))
		}
		if now.Sub(returned) >= returnEvery {
			returned = now
			s.check(ctx, s.giveBack(ctx, now))
		}
		all, next := s.due(now, freed)
		s.check(ctx, s.rounds(ctx, all))
		if !next.IsZero() {
			tick.Reset(max(time.Until(next), time.Millisecond))
		} else {
			tick.Reset(lookEvery)
		}
	}
}

// listen has the loop look as soon as another server has changed something.
func (s *Shares) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = s.book.listen(ctx, s.told) // whether the store answers is told by the rounds
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// look gives the others what they lack, and takes back what was asked of them for those who wait no longer.
func (s *Shares) look(ctx context.Context) error {
	var some []account.Limited
	if len(s.held) > 0 && len(s.others) > 0 {
		var err error
		if some, err = s.lacked(ctx); err != nil {
			return err
		}
	}
	for of, h := range s.held {
		if h.lacks > 0 && s.waiting(of) == 0 {
			some = append(some, of)
		}
	}
	return s.rounds(ctx, some)
}

// giveBack gives back what was not used lately.
func (s *Shares) giveBack(ctx context.Context, now time.Time) error {
	var some []account.Limited
	for of, h := range s.held {
		share, unused := s.accounts.ReturnShare(of, s.alive(now), !h.unused.IsZero() && now.Sub(h.unused) >= unusedFor)
		if share < h.share {
			some = append(some, of)
		}
		if !unused {
			h.unused = time.Time{}
		} else if h.unused.IsZero() {
			h.unused = now
		}
	}
	return s.rounds(ctx, some)
}

// rounds changes the shares of limits, some in each transaction.
func (s *Shares) rounds(ctx context.Context, limits []account.Limited) error {
	slices.SortFunc(limits, compare) // the same order in all transactions
	limits = slices.Compact(limits)
	for some := range slices.Chunk(limits, limitsAtime) {
		r := round{s: s, limits: some, now: time.Now()}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// givenUp begins anew: the others have given this server up, and share what it had.
func (s *Shares) givenUp(ctx context.Context) error {
	s.log.WarnContext(ctx, "other servers had given this one up, and share what it had of limits")
	clear(s.held)
	used := s.accounts.DropShares()
	if err := s.join(ctx); err != nil {
		return err
	}
	return s.rounds(ctx, used)
}
