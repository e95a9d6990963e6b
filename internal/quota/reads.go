package quota

import (
	"context"
	"time"
)

// beat says that this server lives.
func (q *Quota) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	return q.book.write(ctx, func(p page) error {
		now, err := p.now(ctx)
		if err != nil {
			return err
		}
		return p.beat(ctx, q.server, now)
	})
}

// unbeat says that this server ends, and forgets periods that are long over.
func (q *Quota) unbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	return q.book.write(ctx, func(p page) error { return p.leave(ctx, q.server, today(time.Now())-keptDays) })
}

// keptDays is how long blocks of a period are kept that is over: a request of it may still run, or a log of it come late.
const keptDays = 62

// readOthers tells the accounts what others have spent today, and yesterday.
func (q *Quota) readOthers(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	all, err := q.book.spentBy(ctx, q.server, today(now)-1)
	if err != nil {
		return err
	}
	for k, cost := range all {
		q.accounts.Others(k.org, k.token, k.day, cost)
	}
	return nil
}

func today(at time.Time) int64 { return at.Unix() / int64(24*time.Hour/time.Second) }
