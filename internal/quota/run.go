package quota

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/rounds"
)

// Run draws for accounts, whose Quota this is, until ctx is done; then it gives back what is not needed, and returns nil.
func (q *Quota) Run(ctx context.Context, accounts *account.Accounts) error {
	q.accounts = accounts
	defer q.close()
	defer q.giveBack(context.WithoutCancel(ctx))
	tick := time.NewTimer(0)
	defer tick.Stop()
	var polled, beat, others, returned time.Time
	next, settled := time.Duration(0), false
	for {
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-tick.C:
		}
		if ctx.Err() != nil {
			return nil
		}
		now := time.Now()
		_ = rounds.Nudged(q.wake)    // one look is enough for all that is to be looked at
		if now.Sub(polled) >= next { // also where something wakes it sooner all the time
			polled = now
			q.poll(ctx)
		}
		if !settled && q.settle(ctx) == nil {
			settled, returned = true, now
		}
		if now.Sub(beat) >= beatEvery {
			beat = now
			q.report(ctx, q.beat(ctx))
		}
		if now.Sub(others) >= othersEvery {
			others = now
			q.report(ctx, q.readOthers(ctx, now))
		}
		if settled && now.Sub(returned) >= returnEvery {
			returned = now
			q.report(ctx, q.returnIdle(ctx))
		}
		q.drawDue(ctx)
		next = pollEvery
		if q.waits(false) {
			next = pollWaiting
		}
		tick.Reset(next)
	}
}

func (q *Quota) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		q.works(ctx)
	case ctx.Err() == nil:
		q.fail(err)
	}
}

// poll looks whether others have wished, or answered.
func (q *Quota) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	version, err := q.book.version(ctx)
	if err != nil {
		q.report(ctx, err)
		return
	}
	if version == q.version {
		return
	}
	q.waits(true)
	wished, err := q.book.askedFor(ctx, q.server)
	if err == nil {
		err = q.rounds(ctx, wished, false)
	}
	if err == nil {
		q.version = version
	}
	q.report(ctx, err)
}

// drawDue draws for those who are to be looked at.
func (q *Quota) drawDue(ctx context.Context) {
	asked, woken := q.due()
	if len(asked)+len(woken) == 0 {
		return
	}
	all := map[account.Period]bool{}
	for _, of := range asked {
		all[of] = true
	}
	for _, org := range woken {
		for _, of := range q.accounts.PeriodsOf(org) {
			all[of] = true
		}
	}
	q.report(ctx, q.rounds(ctx, all, false))
}

// settle gives back, once, what a former life has left of its blocks: its log is in the store.
func (q *Quota) settle(ctx context.Context) error {
	reading, cancel := context.WithTimeout(ctx, roundWithin)
	left, err := q.book.left(reading, q.server)
	cancel()
	if err == nil {
		err = q.rounds(ctx, left, true)
	}
	q.report(ctx, err)
	return err
}

// returnIdle gives back what was not used for a while.
func (q *Quota) returnIdle(ctx context.Context) error {
	idle := map[account.Period]bool{}
	for p, b := range q.held {
		now, spent := q.accounts.Idle(p)
		if now && b.idle && b.spent == int64(spent) && b.granted != b.spent {
			idle[p] = true
		}
		b.idle, b.spent = now, int64(spent)
	}
	return q.rounds(ctx, idle, true)
}

// giveBack ends this server's part, as far as that is possible.
func (q *Quota) giveBack(ctx context.Context) {
	all := map[account.Period]bool{}
	for p := range q.held {
		all[p] = true
	}
	err := q.rounds(ctx, all, true)
	if err == nil {
		err = q.unbeat(ctx)
	}
	if err != nil {
		q.log.WarnContext(ctx, "what was drawn of budgets was not given back; the next start does it", "reason", err)
	}
}

// rounds draws for periods, some in each transaction. back = what is not needed is given back.
func (q *Quota) rounds(ctx context.Context, periods map[account.Period]bool, back bool) error {
	for some := range slices.Chunk(slices.SortedFunc(maps.Keys(periods), compare), periodsAtime) {
		r := round{q: q, periods: some, back: back}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compare is the order in which periods are drawn.
func compare(a, b account.Period) int {
	return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Token, b.Token), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}
