package account

import (
	"context"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// levels are the parts of a budget, in percent, of which is told when they have been spent.
var levels = [...]int{50, 80, 100}

// Notice tells that so much of a budget has been spent. In the life of the accounts it is told once for each period, limit and level.
type Notice struct {
	Org     string
	Token   string // whose budget it is; "" = the organisation's
	Percent int    // 50, 80 or 100
	Limit   fleet.NanoUSD
	Spent   fleet.NanoUSD
	Soft    bool
	Period  string    // its name
	Begins  time.Time // UTC: when the period has begun
	Resets  time.Time // UTC: when the next begins
	At      time.Time // UTC
}

// notices are those of all organisations that nobody has taken yet.
type notices struct {
	mu   sync.Mutex // guards all
	all  []Notice
	some chan struct{} // holds one while there are any
}

func (n *notices) add(notice Notice) {
	n.mu.Lock()
	n.all = append(n.all, notice)
	n.mu.Unlock()
	select {
	case n.some <- struct{}{}:
	default:
	}
}

func (n *notices) take() (all []Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, n.all = n.all, nil
	return all
}

// Notices calls f with each notice, the oldest first, until ctx is done and none is left. Each is one caller's.
func (a *Accounts) Notices(ctx context.Context, f func(Notice)) {
	for more := true; more; {
		select {
		case <-ctx.Done():
			more = false
		case <-a.notices.some:
		}
		for _, n := range a.notices.take() {
			f(n)
		}
	}
}

// levelAmount is what has been spent at a level of a limit.
func levelAmount(limit fleet.NanoUSD, level int) fleet.NanoUSD {
	missing := fleet.NanoUSD(100 - levels[level])
	return limit - (limit/100*missing + limit%100*missing/100)
}

// nextLevel is what may have been spent before the next level is told.
func (p *period) nextLevel(at int64) fleet.NanoUSD {
	limit := p.of.budget.limitAt(at)
	switch {
	case p.toldOf != limit:
		return levelAmount(limit, 0) - 1
	case p.told < len(levels):
		return levelAmount(limit, p.told) - 1
	}
	return never
}

// tell tells of the levels of a period that are reached at a moment; all are where it is used up.
func (m *meter) tell(p *period, at int64, usedUp bool) {
	limit := p.of.budget.limitAt(at)
	if limit == p.toldOf && p.told == len(levels) {
		return
	}
	if limit != p.toldOf {
		p.toldOf, p.told = limit, 0
	}
	for spent := p.spentBy(at); p.told < len(levels) && (usedUp || spent >= levelAmount(limit, p.told)); p.told++ {
		m.all.notices.add(Notice{
			Org: m.name, Token: p.of.token, Percent: levels[p.told], Limit: limit, Spent: spent, Soft: p.of.budget.Soft,
			Period: p.of.budget.Period, Begins: dayTime(p.from), Resets: dayTime(p.to), At: m.all.moment(at).UTC(),
		})
	}
}
