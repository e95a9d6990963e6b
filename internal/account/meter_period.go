package account

import (
	"math"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// never is later than any moment. Moments are nanoseconds since the accounts were made, by the clock that nobody sets.
const never = math.MaxInt64

// hour is what costs are divided by: rates are per hour, moments in nanoseconds.
const hour = uint64(time.Hour)

// spending is what an organisation or one of its tokens has spent, by the UTC days of the dispatches.
type spending struct {
	token   string // its ID; "" = it is the organisation's
	budget  limits
	days    []spentDay // the earlier first
	periods []*period  // of the budget: in which something runs, and the last
}

type spentDay struct {
	day    int64 // since 1970
	cost   fleet.NanoUSD
	others fleet.NanoUSD // of it: what other servers have spent
}

// keptDays is how many days are kept: a month and the one before it.
const keptDays = 62

// period is one period of a budget, with the runs that are paid from it.
type period struct {
	of       *spending
	from, to int64         // days; to is not in it
	spent    fleet.NanoUSD // by what does not run any more
	floor    int64         // it is not used up before: since then what there is has not been made less
	told     int           // levels of toldOf of which was told
	toldOf   fleet.NanoUSD
	block    block // of several servers

	runs   int
	least  fleet.NanoUSD // of all runs
	rate   uint64        // of those that pay, nano-dollars an hour
	mark   uint128       // of those that pay, rate x from
	newest int64         // the latest from
	coarse int           // runs whose rate is beyond rateMost: the sums above are of no use

	round uint64 // of meter, in which asked and end were worked out
	asked int64
	end   int64
}

// rateMost is the highest rate that is added up: 70,000 dollars an hour.
const rateMost = 1 << 46

// add counts a cost on a day.
func (s *spending) add(day int64, cost fleet.NanoUSD) {
	if cost != 0 {
		s.count(spentDay{day, cost, 0})
	}
}

// count adds to a day.
func (s *spending) count(d spentDay) {
	i := len(s.days)
	for i > 0 && s.days[i-1].day > d.day {
		i--
	}
	if i > 0 && s.days[i-1].day == d.day {
		of := &s.days[i-1]
		of.cost, of.others = plus(of.cost, d.cost), plus(of.others, d.others)
	} else {
		s.days = slices.Insert(s.days, i, d)
		for s.days[len(s.days)-1].day-s.days[0].day >= keptDays {
			s.days = slices.Delete(s.days, 0, 1)
		}
	}
	for _, p := range s.periods {
		if p.has(d.day) {
			p.spent, p.block.others = plus(p.spent, d.cost), plus(p.block.others, d.others)
		}
	}
}

func (p *period) has(day int64) bool { return p.from <= day && day < p.to }

// periodOf gives the period of the budget that a day is in; nil = there is no budget.
func (s *spending) periodOf(day int64) *period {
	if s.budget.Limit == 0 {
		return nil
	}
	for _, p := range s.periods {
		if p.has(day) {
			return p
		}
	}
	from, to := s.budget.Window(time.Unix(day*daySeconds, 0).UTC())
	p := &period{of: s, from: dayOf(from), to: dayOf(to), floor: s.budget.since, block: block{renewAt: math.MaxInt64}}
	for _, d := range s.days {
		if p.has(d.day) {
			p.spent, p.block.others = plus(p.spent, d.cost), plus(p.block.others, d.others)
		}
	}
	s.periods = slices.DeleteFunc(s.periods, func(p *period) bool { return p.runs == 0 })
	s.periods = append(s.periods, p)
	return p
}

func (p *period) add(r *run) {
	p.round = 0
	p.runs++
	p.least = plus(p.least, r.least)
	switch {
	case !r.paying:
	case r.unit > rateMost:
		p.coarse++
	default:
		p.rate += r.unit
		p.mark = p.mark.plus(product(r.unit, uint64(r.from)))
		p.newest = max(p.newest, r.from)
	}
}

func (p *period) remove(r *run) {
	p.round = 0
	p.runs--
	p.least -= r.least
	switch {
	case !r.paying:
	case r.unit > rateMost:
		p.coarse--
	default:
		p.rate -= r.unit
		p.mark = p.mark.minus(product(r.unit, uint64(r.from)))
	}
	if p.runs == 0 {
		p.newest = 0
	}
}

// lasts gives a moment until which no more than limit is owed for certain: the latest by the sums alone; -1 = there is none.
func (p *period) lasts(limit fleet.NanoUSD) int64 {
	left := plus(limit, -p.spent)
	switch {
	case p.coarse > 0 || left < p.least:
		return -1
	case p.rate == 0:
		return never
	}
	until := product(uint64(left-p.least), hour).plus(p.mark).over(p.rate)
	if until < p.newest { // the sums take what begins later for less than nothing
		return -1
	}
	return until
}

// spentBy is what has been spent by a moment, all included, to the nano-dollar below.
func (p *period) spentBy(at int64) fleet.NanoUSD {
	if p.rate == 0 {
		return p.spent
	}
	sum, gone := product(p.rate, uint64(max(at, p.newest))), p.mark
	if sum.less(gone) {
		return p.spent
	}
	return plus(p.spent, fleet.NanoUSD(sum.minus(gone).over(hour)))
}

// owed is what the runs of a period owe at a moment, and what it has spent: what would have been spent if all of them ended then, but each with its first
// microsecond at least. Whose token's budget is used up before ends there.
func (m *meter) owed(p *period, at int64) fleet.NanoUSD {
	sum := p.spent
	for r := m.first; r != nil; r = r.next {
		if r.in[ofOrg] != p && r.in[ofToken] != p {
			continue
		}
		end := at
		if own := r.in[ofToken]; own != nil && own != p && !own.of.budget.Soft {
			end = m.endOf(own, at)
		}
		sum = plus(sum, max(m.all.costOf(r, end), r.least))
	}
	return sum
}

// endOf is the end of those that are paid from a period, at a moment at the latest.
func (m *meter) endOf(p *period, at int64) int64 {
	if p.round != m.round || p.asked != at {
		end, over := m.usedUp(p, at)
		if !over {
			end = at
		}
		p.round, p.asked, p.end = m.round, at, end
	}
	return p.end
}

// holds reports whether a period has still so much left at a moment.
func (m *meter) holds(p *period, at int64, least, limit fleet.NanoUSD) bool {
	limit -= least
	return at <= p.lasts(limit) || m.owed(p, at) <= limit
}

// usedUp gives the last moment at which a period is not owed more than its budget, where that is before a moment; over is false where it is not.
func (m *meter) usedUp(p *period, at int64) (last int64, over bool) {
	b := &p.of.budget
	if at < p.floor {
		at = p.floor
	}
	if b.end <= p.floor || at < b.end { // one limit held all the time
		return m.search(p, p.floor, at, m.allowed(p, at))
	}
	if m.holds(p, at, 0, m.allowed(p, at)) {
		return 0, false
	}
	if last, over := m.search(p, p.floor, b.end-1, m.allowed(p, b.end-1)); over {
		return last, true
	}
	return m.search(p, b.end-1, at, m.allowed(p, at))
}

// search is usedUp between two moments and with one limit. What is owed at from may be more than that: then from is the last moment.
func (m *meter) search(p *period, from, to int64, limit fleet.NanoUSD) (last int64, over bool) {
	if m.holds(p, to, 0, limit) {
		return 0, false
	}
	fits := from
	if bound := p.lasts(limit); bound > from { // that is near
		fits = min(bound, to)
	} else if m.owed(p, from) > limit {
		return from, from < to
	}
	for step := int64(time.Microsecond); fits+step < to; step *= 2 {
		if m.owed(p, fits+step) > limit {
			to = fits + step
			break
		}
		fits += step
	}
	for fits+1 < to {
		if middle := fits + (to-fits)/2; m.owed(p, middle) <= limit {
			fits = middle
		} else {
			to = middle
		}
	}
	return fits, true
}

// costOf is what a run costs that is paid for until a moment.
func (a *Accounts) costOf(r *run, until int64) fleet.NanoUSD {
	if r.stop > 0 {
		until = min(until, r.stop)
	}
	if !r.paying || until <= r.from {
		return 0
	}
	return a.cost(time.Duration(until-r.from), r.rate.GPUs, r.rate.Price)
}

// since turns a time into a moment.
func (a *Accounts) since(t time.Time) int64 { return max(int64(t.Sub(a.made)), 0) }

// moment undoes since.
func (a *Accounts) moment(at int64) time.Time { return a.made.Add(time.Duration(at)) }

const daySeconds = int64(24 * time.Hour / time.Second)

// dayOf is the UTC day of a time, in days since 1970.
func dayOf(t time.Time) int64 {
	seconds := t.Unix()
	day := seconds / daySeconds
	if seconds%daySeconds < 0 {
		day--
	}
	return day
}
