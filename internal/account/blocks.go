package account

import (
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Period is one period of a budget.
type Period struct {
	Org, Token string // whose budget it is; token "" = the organisation's
	From, To   int64  // UTC days since 1970; To is not in it
}

// Pool is what the store says of a period, for one of its servers.
type Pool struct {
	Reserved fleet.NanoUSD // what the others have spent, and may spend still
	Alone    bool          // there are no others at the moment
	Wished   bool          // one of them asks for what is not needed here
	Return   bool          // what is not needed at this moment is to be given back
	Asked    bool          // requests wait for more
	Last     bool          // there is nothing more to be had
}

// PeriodsOf gives the periods of an organisation's budgets in which something may be spent.
func (a *Accounts) PeriodsOf(org string) (all []Period) {
	v, ok := a.meters.Load(org)
	if !ok {
		return nil
	}
	m := v.(*meter)
	m.lock()
	defer m.mu.Unlock()
	today := dayOf(time.Now())
	m.each(func(s *spending) {
		s.periodOf(today)
		for _, p := range s.periods {
			if !s.budget.Soft && (p.runs > 0 || p.has(today)) {
				all = append(all, m.nameOf(p))
			}
		}
	})
	return all
}

// find gives the period of a budget; nil = there is none.
func (m *meter) find(of Period) *period {
	s := &m.org
	if of.Token != "" {
		s = m.tokens[of.Token]
	}
	if s == nil || s.budget.Soft {
		return nil
	}
	for _, p := range s.periods {
		if p.from == of.From && p.to == of.To {
			return p
		}
	}
	return nil
}

// CountOthers is Count of what another server has brought to the store.
func (a *Accounts) CountOthers(org, token string, dispatched time.Time, cost fleet.NanoUSD) {
	m := a.meterOf(org)
	m.lock()
	defer m.mu.Unlock()
	for _, s := range [...]*spending{&m.org, m.spendingOf(token)} {
		s.count(spentDay{dayOf(dispatched), cost, cost})
	}
}

// Others says what other servers have spent on a day, as the store knows it; token "" = the organisation.
func (a *Accounts) Others(org, token string, day int64, cost fleet.NanoUSD) {
	m := a.meterOf(org)
	m.lock()
	defer m.mu.Unlock()
	s := &m.org
	if token != "" {
		s = m.spendingOf(token)
	}
	known := fleet.NanoUSD(0)
	for _, d := range s.days {
		if d.day == day {
			known = d.others
		}
	}
	if cost == known {
		return
	}
	s.count(spentDay{day, cost - known, cost - known})
	at := a.since(time.Now())
	for _, p := range s.periods {
		p.round = 0
		m.tell(p, at, false)
		m.arm(m.due(p, at), at)
	}
}

// DrawBlock says how much this server is to be granted in a period, in all. Where that is less than before, it holds from now on; where it is more, from
// Grant on, which is to be called when the store has it. enough = what runs lacks nothing, nor does one of those that wait; ok is false where there is no
// such budget any more.
//
// A block is never less than what is owed already, so far as the block before let it be.
func (a *Accounts) DrawBlock(of Period, pool Pool) (granted fleet.NanoUSD, enough, ok bool) {
	m := a.meterOf(of.Org)
	m.lock()
	defer m.mu.Unlock()
	p := m.find(of)
	if p == nil {
		return 0, true, false
	}
	at := a.since(time.Now())
	end, over := m.usedUp(p, at)
	if !over {
		end = at
	}
	if !pool.Asked {
		p.block.forgetWants()
	}
	b, own := &p.of.budget, func(sum fleet.NanoUSD) fleet.NanoUSD { return plus(sum, -p.block.others) }
	fact, owed := own(m.owed(p, end)), own(m.owed(p, at))
	need, some := plus(owed, p.block.wanted), plus(owed, p.block.least)
	room := plus(b.limitAt(at), -pool.Reserved)
	granted = min(room, plus(need, p.spare(pool, need, room, at)))
	if room < some { // too little for one here may be enough for one elsewhere, until nobody has any more
		granted = fact
		if pool.Last {
			granted = min(room, owed)
		}
	}
	granted = max(granted, fact)
	p.block.next, p.block.nextRaised = granted, at < b.end
	p.block.granted = min(p.block.granted, granted)
	p.round = 0
	return granted, granted >= some, true
}

// spare is what a block is to hold beyond what is owed, so that it need not be drawn for each request.
func (p *period) spare(pool Pool, need, room fleet.NanoUSD, at int64) fleet.NanoUSD {
	busy := p.runs > 0 || p.block.wanted > 0
	switch {
	case pool.Return && !busy, pool.Wished && !busy:
		return 0
	case pool.Wished:
		return min(max(plus(p.block.granted, -need), 0)/2, p.burns(2*time.Second))
	}
	spare := plus(p.burns(ahead), p.of.budget.limitAt(at)/100)
	if !pool.Alone {
		spare = min(spare, max(plus(room, -need), 0)/2)
	}
	return max(spare, 0)
}

// burns is what those who run cost in a time.
func (p *period) burns(d time.Duration) fleet.NanoUSD {
	return fleet.NanoUSD(product(p.rate, uint64(d)).over(hour))
}

// Grant has a block hold that the store knows of; told = nobody waits for more of it any longer.
func (a *Accounts) Grant(of Period, told bool) {
	m := a.meterOf(of.Org)
	m.lock()
	defer m.mu.Unlock()
	p := m.find(of)
	if p == nil {
		return
	}
	at, b := a.since(time.Now()), &p.block
	if told {
		b.forgetWants()
	}
	more := b.next > b.granted
	b.granted, b.raised, b.renewAt = b.next, b.nextRaised, math.MaxInt64
	if left := plus(b.granted, -plus(p.spentBy(at), -b.others)); more && left > 1 && p.runs > 0 {
		b.renewAt = b.granted - left/2
	}
	p.round = 0
	m.arm(m.due(p, at), at)
}

// Idle reports whether nothing runs in a period, and what this server has spent in it.
func (a *Accounts) Idle(of Period) (idle bool, spent fleet.NanoUSD) {
	m := a.meterOf(of.Org)
	m.lock()
	defer m.mu.Unlock()
	p := m.find(of)
	if p == nil {
		return true, 0
	}
	return p.runs == 0, plus(p.spent, -p.block.others)
}
