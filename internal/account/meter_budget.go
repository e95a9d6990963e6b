package account

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Budget is what an organisation or a token may spend in each period. With several servers it is the part of that which this one may spend: the parts of
// all of them add up to the whole.
type Budget struct {
	Limit fleet.NanoUSD // of one period; 0 = there is no budget
	Soft  bool          // it refuses nobody and ends nothing: it is only told of
	Raise Raise         // the zero value = there is none

	Period string                                  // its name, for people
	Window func(at time.Time) (from, to time.Time) // the period that a time lies in; both are midnight, UTC
}

// Raise is a higher limit for a while.
type Raise struct {
	Limit fleet.NanoUSD
	Until time.Time // from then on the budget's own holds again
}

func (b *Budget) same(c *Budget) bool {
	return b.Limit == c.Limit && b.Soft == c.Soft && b.Raise.Limit == c.Raise.Limit && b.Raise.Until.Equal(c.Raise.Until) && b.Period == c.Period
}

// limits is a budget on a meter.
type limits struct {
	Budget
	since int64 // it holds from then on: whatever was spent before
	end   int64 // of the raise; 0 = there is none
}

// clock works out when the raise ends, which the wall's clock says, and that may be set.
func (l *limits) clock(a *Accounts, now time.Time) {
	if l.end = 0; l.Raise.Limit > 0 {
		l.end = max(later(a.since(now), int64(l.Raise.Until.Sub(now.Round(0)))), 0)
	}
}

// limitAt is what may have been spent at a moment.
func (l *limits) limitAt(at int64) fleet.NanoUSD {
	if at < l.end {
		return l.Raise.Limit
	}
	return l.Limit
}

// narrows reports whether a budget in place of another, of a moment, may leave less, then or later.
func (l *limits) narrows(b *limits, at int64) bool {
	return b.Limit == 0 || b.Period != l.Period || b.Soft && !l.Soft || l.Limit < b.Limit || b.end > at && (l.end < b.end || l.Raise.Limit < b.Raise.Limit)
}

// SetBudget says what an organisation may spend from now on, or one of its tokens: token "" = the organisation. What has been spent in the period counts.
// A budget that is less than that already ends what runs at this moment.
func (a *Accounts) SetBudget(org, token string, b Budget) {
	if b.Limit == 0 && !a.budgeted(org, token) {
		return
	}
	m := a.meterOf(org)
	m.set(token, b, time.Now())
	m.redraw()
}

// budgeted reports whether there may be a budget.
func (a *Accounts) budgeted(org, token string) bool {
	v, ok := a.meters.Load(org)
	if !ok || token == "" {
		return ok
	}
	m := v.(*meter)
	m.lock()
	defer m.mu.Unlock()
	return m.tokens[token] != nil
}

func (m *meter) set(token string, b Budget, now time.Time) {
	m.lock()
	defer m.mu.Unlock()
	s := &m.org
	if token != "" {
		s = m.spendingOf(token)
	}
	if s.budget.same(&b) {
		return
	}
	at := m.all.since(now)
	m.limited.Store(true)
	if m.timer == nil {
		m.timer = m.all.timer(m.fire)
	}
	next := limits{Budget: b, since: s.budget.since}
	next.clock(m.all, now)
	if b.Limit > 0 && next.narrows(&s.budget, at) {
		m.expire(at)
		next.since = at
	}
	m.replace(s, next, at)
	if token == "" {
		m.all.gauge(m, b.Limit > 0)
	}
}

// replace gives a spending another budget.
func (m *meter) replace(s *spending, next limits, at int64) {
	anew := s.budget.Limit == 0 || next.Limit == 0 || s.budget.Period != next.Period
	for _, p := range s.periods {
		m.endBlock(p, at)
	}
	s.budget = next
	for _, p := range s.periods {
		p.floor, p.round = next.since, 0
		p.block.raised = next.end > at
	}
	k := ofToken
	if s == &m.org {
		k = ofOrg
	}
	if anew {
		s.periods = nil
		for r := m.first; r != nil; r = r.next {
			if k == ofToken && r.token != s {
				continue
			}
			if r.in[k] = s.periodOf(r.day); r.in[k] != nil {
				r.in[k].add(r)
			}
		}
	}
	s.periodOf(dayOf(m.all.moment(at)))
	for _, p := range s.periods {
		m.tell(p, at, false)
		m.arm(m.due(p, at), at)
	}
}

// Count adds what a record says that was not made here: one of a former life, or a correction, which may be less than nothing. dispatched is the record's.
func (a *Accounts) Count(org, token string, dispatched time.Time, cost fleet.NanoUSD) {
	a.meterOf(org).record(token, dispatched, cost, time.Now())
}

func (m *meter) record(token string, dispatched time.Time, cost fleet.NanoUSD, now time.Time) {
	m.lock()
	defer m.mu.Unlock()
	day, at := dayOf(dispatched), m.all.since(now)
	all := [...]*spending{&m.org, m.spendingOf(token)}
	if cost > 0 && m.first != nil {
		m.expire(at)
	}
	for _, s := range all {
		s.add(day, cost)
		for _, p := range s.periods {
			if p.round = 0; cost > 0 {
				p.floor = at
			}
			m.tell(p, at, false)
			m.arm(m.due(p, at), at)
		}
	}
}

// Balance is a budget at one moment.
type Balance struct {
	Budget
	Now    fleet.NanoUSD // the limit that is in force
	Spent  fleet.NanoUSD // in the period, by what runs, too
	Resets time.Time     // UTC: when the next period begins
}

// Left is what may still be spent.
func (b *Balance) Left() fleet.NanoUSD { return max(plus(b.Now, -b.Spent), 0) }

// Balance gives the budget of an organisation, or of one of its tokens, token "" = the organisation; ok is false where there is none.
func (a *Accounts) Balance(org, token string) (b Balance, ok bool) {
	v, known := a.meters.Load(org)
	if !known {
		return Balance{}, false
	}
	m := v.(*meter)
	m.lock()
	defer m.mu.Unlock()
	s := &m.org
	if token != "" {
		if s = m.tokens[token]; s == nil {
			return Balance{}, false
		}
	}
	now := time.Now()
	p := s.periodOf(dayOf(now))
	if p == nil {
		return Balance{}, false
	}
	at := a.since(now)
	return Balance{Budget: s.budget.Budget, Now: s.budget.limitAt(at), Spent: p.spentBy(at), Resets: dayTime(p.to)}, true
}

func dayTime(day int64) time.Time { return time.Unix(day*daySeconds, 0).UTC() }

// BudgetError says that a budget is used up.
type BudgetError struct {
	Org    string
	Token  string // whose budget it is; "" = the organisation's
	Limit  fleet.NanoUSD
	Period string    // its name
	Resets time.Time // UTC: when the next period begins
	Raised time.Time // UTC: when the raise ends that the limit is of; zero = it is of none

	ofBlock bool // what this server has drawn of it is used up: there may be more
	of      Period
	least   fleet.NanoUSD // that the request wants of it
	wave    uint64        // of the block's wants, in which that is
}

func (e *BudgetError) Error() string {
	whose := "the organisation " + e.Org
	if e.Token != "" {
		whose = "this token"
	}
	text := fmt.Sprintf("the %s budget of %s, %s US dollars, is used up; it begins anew at %s", e.Period, whose, e.Limit, e.Resets.Format(time.RFC3339))
	if !e.Raised.IsZero() {
		text += fmt.Sprintf("; its raise ends at %s", e.Raised.Format(time.RFC3339))
	}
	return text
}

// exceeded says that a period's budget is used up at a moment.
func (p *period) exceeded(org string, at int64) *BudgetError {
	b := &p.of.budget
	e := &BudgetError{Org: org, Token: p.of.token, Limit: b.limitAt(at), Period: b.Period, Resets: dayTime(p.to), of: Period{org, p.of.token, p.from, p.to}}
	if at < b.end {
		e.Raised = b.Raise.Until.UTC()
	}
	return e
}

// left keeps what is left of the budgets that a run is paid from.
func (r *run) left(in [2]*period, at int64) {
	r.limited = false
	for _, p := range in {
		if p == nil {
			continue
		}
		if left := max(plus(p.of.budget.limitAt(at), -p.spentBy(at)), 0); !r.limited || left < r.remains {
			r.limited, r.remains = true, left
		}
	}
}
