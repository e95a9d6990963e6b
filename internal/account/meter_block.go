package account

import (
	"errors"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Quota is where servers that share a store draw from budgets: see Several servers in the package's doc. It is safe for concurrent use.
type Quota interface {
	// Draw waits until more was drawn for a period, which lacks something, but no longer than until a moment. false = there is nothing more to be had, or
	// the time has passed.
	Draw(of Period, until time.Time) bool

	// Wake has an organisation's blocks looked at soon.
	Wake(org string)
}

// drawWithin is the default of Config.DrawWithin.
const drawWithin = time.Second

// ahead is for how long a block is to last at the rate of those that run: as long as tokens are known while the store is down.
const ahead = 5 * time.Minute

// block is what this server may spend in a period of a budget.
type block struct {
	others  fleet.NanoUSD // what other servers have spent, as far as that is known; it is in the period's spent
	granted fleet.NanoUSD // what this one may spend, in all
	raised  bool          // it was drawn before the end of a raise, and ends with that
	renewAt fleet.NanoUSD // spent by this one: then more is drawn ahead; math.MaxInt64 = that was asked for, or there is none
	wanted  fleet.NanoUSD // by all requests that wait for more of it
	least   fleet.NanoUSD // by the one of them that wants least
	wave    uint64        // counts how often both were forgotten

	next       fleet.NanoUSD // what is to be granted once the store knows
	nextRaised bool
}

// want notes what a request lacks that is to wait.
func (b *block) want(e *BudgetError, least fleet.NanoUSD) {
	if b.wanted == 0 || least < b.least {
		b.least = least
	}
	b.wanted = plus(b.wanted, least)
	e.least, e.wave = least, b.wave
}

// forgetWants has nobody want anything.
func (b *block) forgetWants() {
	b.wanted, b.least = 0, 0
	b.wave++
}

// unwant undoes want once the request does not wait any more: else more would be drawn for it, which others may need.
func (m *meter) unwant(e *BudgetError) {
	m.lock()
	defer m.mu.Unlock()
	p := m.find(e.of)
	if p == nil || p.block.wave != e.wave {
		return
	}
	if p.block.wanted -= e.least; p.block.wanted <= 0 {
		p.block.forgetWants()
	}
}

// nothing is less than any period has spent.
const nothing = math.MinInt64 / 2

// allowed is what may have been spent at a moment before it is used up: the limit, and by this server no more than its block.
func (m *meter) allowed(p *period, at int64) fleet.NanoUSD {
	limit := p.of.budget.limitAt(at)
	switch {
	case m.all.quota == nil, p.of.budget.Soft:
		return limit
	case p.block.raised && at >= p.of.budget.end:
		return nothing
	}
	return min(limit, plus(p.block.others, p.block.granted))
}

// endBlock leaves nothing of a block that has ended with a raise, whatever budget comes.
func (m *meter) endBlock(p *period, at int64) {
	if end := p.of.budget.end; p.block.raised && at >= end {
		p.block.granted = min(p.block.granted, plus(m.owed(p, max(end-1, 0)), -p.block.others))
	}
}

// ofBlock reports whether a period that does not hold any more would hold if the block were larger.
func (m *meter) ofBlock(p *period, at int64, least fleet.NanoUSD) bool {
	return m.all.quota != nil && m.holds(p, at, least, p.of.budget.limitAt(at))
}

// draw has the quota draw more as long as a period is short of it: short gives one, but for those that are left out.
func (m *meter) draw(short func(leave map[Period]bool) (of Period, is bool)) {
	if m.all.quota == nil {
		return
	}
	until := time.Now().Add(m.all.within)
	var leave map[Period]bool
	for {
		of, is := short(leave)
		if !is {
			return
		}
		if !m.all.quota.Draw(of, until) {
			if leave == nil {
				leave = map[Period]bool{}
			}
			leave[of] = true
		}
	}
}

// drawing does something again, as long as a block is all that is in its way and more can be drawn.
func (m *meter) drawing(do func() error) error {
	err := do()
	if err == nil || m.all.quota == nil {
		return err
	}
	for until := time.Now().Add(m.all.within); ; err = do() {
		used := (*BudgetError)(nil)
		if !errors.As(err, &used) || !used.ofBlock {
			return err
		}
		more := m.all.quota.Draw(used.of, until)
		m.unwant(used)
		if !more {
			return err
		}
	}
}

// lacks gives a period in which something is to be ended at a moment for want of a block.
func (m *meter) lacks(now time.Time, leave map[Period]bool) (of Period, is bool) {
	m.lock()
	defer m.mu.Unlock()
	at := m.all.since(now) - int64(late)
	m.each(func(s *spending) {
		for _, p := range s.periods {
			if name := m.nameOf(p); !is && p.runs > 0 && !leave[name] && m.short(p, at) {
				of, is = name, true
			}
		}
	})
	return of, is
}

// stop notes that a run has ended, before it is billed: it owes nothing for the time that is waited for a block.
func (m *meter) stop(r *run, dispatched, from, until time.Time) {
	m.lock()
	defer m.mu.Unlock()
	if r.state != runJoined {
		return
	}
	if !from.IsZero() {
		m.payFrom(r, dayOf(dispatched), m.all.since(from), 0, until)
	}
	r.stop = m.all.since(until)
	for _, p := range r.in {
		if p != nil {
			p.round = 0
		}
	}
}

// lacksFor is lacks of a run that ends then.
func (m *meter) lacksFor(r *run, end time.Time, leave map[Period]bool) (of Period, is bool) {
	m.lock()
	defer m.mu.Unlock()
	at := m.all.since(end)
	for _, p := range r.in {
		if p != nil && m.short(p, at) && !leave[m.nameOf(p)] {
			return m.nameOf(p), true
		}
	}
	return Period{}, false
}

func (m *meter) nameOf(p *period) Period { return Period{m.name, p.of.token, p.from, p.to} }

// short reports whether a period is used up before a moment, and would not be so soon if the block were larger. However late that is asked, less than the whole
// of that moment's debt may be left elsewhere.
func (m *meter) short(p *period, at int64) bool {
	if p.of.budget.Soft {
		return false
	}
	last, over := m.usedUp(p, at)
	return over && m.ofBlock(p, last+1, 0)
}

// renewal is when more is to be drawn, before it is needed.
func (m *meter) renewal(p *period) int64 {
	if m.all.quota == nil || p.block.renewAt == math.MaxInt64 || p.coarse > 0 {
		return never
	}
	return later(p.lasts(plus(p.block.others, p.block.renewAt)), 1)
}

// renew asks for more where that is due.
func (m *meter) renew(p *period, at int64) {
	if at >= m.renewal(p) {
		p.block.renewAt = math.MaxInt64
		m.all.quota.Wake(m.name)
	}
}

// redraw has blocks fit a budget that has changed.
func (m *meter) redraw() {
	if m.all.quota == nil {
		return
	}
	m.mu.Lock()
	used := m.first != nil
	m.each(func(s *spending) {
		for _, p := range s.periods {
			used = used || p.block.granted != 0
		}
	})
	m.mu.Unlock()
	if used {
		m.all.quota.Wake(m.name)
	}
}
