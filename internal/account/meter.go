package account

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// late is how long after the instant at which a budget is used up its requests are ended. They are billed to that instant all the same. It lets
// requests that have ended just before say so first: what they leave is the others'.
const late = 2 * time.Millisecond

// meter is what the requests of one organisation have spent and are spending: see the package's doc.
type meter struct {
	all  *Accounts
	name string // of the organisation

	limited atomic.Bool // there is a budget, or was one

	mu      sync.Mutex // guards all below, and the runs on the meter
	org     spending
	tokens  map[string]*spending // by ID
	first   *run                 // of those that run, linked by next
	round   uint64               // counts what is done under mu, for periods' memory of their end
	timer   *time.Timer          // nil until there is a budget
	armed   int64                // when the timer fires; never = it does not
	gauging bool                 // the metric of what is left is there
}

const (
	ofOrg = iota
	ofToken
)

// meterOf gives the meter of an organisation.
func (a *Accounts) meterOf(org string) *meter {
	if m, ok := a.meters.Load(org); ok {
		return m.(*meter)
	}
	m, _ := a.meters.LoadOrStore(org, &meter{all: a, name: org, tokens: map[string]*spending{}, armed: never})
	return m.(*meter)
}

// metered gives the organisation's meter, which is always the same.
func (o *Org) metered() *meter {
	m := o.meter.Load()
	if m == nil {
		m = o.all.meterOf(o.Name)
		o.meter.Store(m)
	}
	return m
}

// lock begins something at a moment, of which all that is worked out on the way stays true until unlock.
func (m *meter) lock() {
	m.mu.Lock()
	m.round++
}

// spendingOf gives what a token has spent.
func (m *meter) spendingOf(token string) *spending {
	s := m.tokens[token]
	if s == nil {
		s = &spending{token: token}
		m.tokens[token] = s
	}
	return s
}

// periodsOf gives the periods of both budgets that a day is in.
func (m *meter) periodsOf(token *spending, day int64) [2]*period {
	return [2]*period{m.org.periodOf(day), token.periodOf(day)}
}

// admits says whether budgets have at least so much left for one request more, or which has not.
func (m *meter) admits(token *spending, least fleet.NanoUSD, now time.Time) *BudgetError {
	at, day := m.all.since(now), dayOf(now)
	for _, p := range m.periodsOf(token, day) {
		if p == nil || p.of.budget.Soft || m.holds(p, at, least, m.allowed(p, at)) {
			continue
		}
		e := p.exceeded(m.name, at)
		if e.ofBlock = m.ofBlock(p, at, least); e.ofBlock {
			p.block.want(e, least)
		} else {
			m.tell(p, at, true)
		}
		return e
	}
	return nil
}

// mayJoin says whether a budget that a request would be paid from has nothing left.
func (m *meter) mayJoin(r *run, token string, now time.Time) error {
	m.lock()
	defer m.mu.Unlock()
	of := m.spendingOf(token)
	r.left(m.periodsOf(of, dayOf(now)), m.all.since(now))
	if e := m.admits(of, 1, now); e != nil {
		return e
	}
	return nil
}

// join puts a request on the meter, which waits for its dispatch.
func (m *meter) join(r *run, token string, now time.Time) error {
	m.lock()
	defer m.mu.Unlock()
	r.token = m.spendingOf(token)
	if e := m.admits(r.token, r.least, now); e != nil {
		r.left(m.periodsOf(r.token, dayOf(now)), m.all.since(now))
		return e
	}
	r.meter, r.state, r.day, r.sent = m, runJoined, dayOf(now), never
	r.prev, r.next = nil, m.first
	if m.first != nil {
		m.first.prev = r
	}
	m.first = r
	at := m.all.since(now)
	m.enter(r, at)
	r.left(r.in, at)
	return nil
}

// enter puts a run that is listed into the periods of its day, and sees to it that the timer fires in time for it.
func (m *meter) enter(r *run, now int64) {
	r.in = m.periodsOf(r.token, r.day)
	for _, p := range r.in {
		if p != nil {
			p.add(r)
			m.arm(m.due(p, now), now)
		}
	}
}

// leave undoes enter.
func (r *run) leave() {
	for _, p := range r.in {
		if p != nil {
			p.remove(r)
		}
	}
	r.in = [2]*period{}
}

// unlist undoes join.
func (m *meter) unlist(r *run) {
	r.leave()
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		m.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
}

// pay says when a run was dispatched, or from when on its engine had proven itself: the one that is not zero.
func (m *meter) pay(r *run, dispatched, proven, now time.Time) {
	m.lock()
	defer m.mu.Unlock()
	if r.state != runJoined {
		return
	}
	day, sent, shown := r.day, r.sent, r.proven
	if !dispatched.IsZero() {
		day, sent = dayOf(dispatched), m.all.since(dispatched)
	}
	if !proven.IsZero() {
		shown = m.all.since(proven)
	}
	m.payFrom(r, day, sent, shown, now)
}

func (m *meter) payFrom(r *run, day, sent, proven int64, now time.Time) {
	if r.day == day && r.sent == sent && r.proven == proven {
		return
	}
	r.leave()
	r.day, r.sent, r.proven = day, sent, proven
	r.paying, r.from = sent != never && proven != never, max(sent, proven)
	m.enter(r, m.all.since(now))
}

// bill takes a run off the meter that is paid for from one moment to another, and gives that until which it is billed: the other, or the one at which a
// budget was used up before.
func (m *meter) bill(r *run, dispatched, from, until time.Time) time.Time {
	m.lock()
	defer m.mu.Unlock()
	end := m.all.since(until)
	if r.state == runCut {
		if end >= r.until {
			end = r.until
			until = m.all.moment(end)
		}
		cost := m.all.costOf(r, end)
		m.count(r, cost-r.cost)
		r.state, r.until, r.cost = runBilled, end, cost
		r.left(m.periodsOf(r.token, r.day), end)
		return until
	}
	if from.IsZero() { // it never came so far
		m.payFrom(r, dayOf(dispatched), never, never, until)
	} else {
		m.payFrom(r, dayOf(dispatched), m.all.since(from), 0, until)
	}
	for _, p := range r.in {
		if p == nil || p.of.budget.Soft {
			continue
		}
		if used, over := m.usedUp(p, end); over {
			end = used
			until = m.all.moment(end)
		}
	}
	in := r.in
	m.unlist(r)
	r.state, r.until, r.cost = runBilled, end, m.all.costOf(r, end)
	m.count(r, r.cost)
	for _, p := range in {
		if p != nil {
			m.tell(p, end, false)
		}
	}
	r.left(in, end)
	return until
}

// unbill gives back all that a run has spent.
func (m *meter) unbill(r *run) {
	m.lock()
	defer m.mu.Unlock()
	if r.state == runJoined {
		m.unlist(r)
	} else {
		m.count(r, -r.cost)
	}
	*r = run{}
}

// cut bills a run to a moment at which a budget was used up, and ends it.
func (m *meter) cut(r *run, until int64, why *BudgetError) {
	m.unlist(r)
	r.state, r.until, r.cost = runCut, until, m.all.costOf(r, until)
	m.count(r, r.cost)
	if r.spender != nil {
		r.spender.OutOfBudget(why, m.all.moment(until))
	}
}

// expire ends the requests whose budget, of whichever of the two sooner, is used up before a moment.
func (m *meter) expire(at int64) {
	over := false
	for r := m.first; r != nil; r = r.next { // all ends first: who is cut changes them
		r.until, r.ends = at, nil
		for _, p := range r.in {
			if p == nil || p.of.budget.Soft {
				continue
			}
			if end := m.endOf(p, at); end < r.until {
				r.until, r.ends, over = end, p, true
			}
		}
	}
	if !over {
		return
	}
	var next *run
	for r := m.first; r != nil; r = next {
		if next = r.next; r.ends != nil {
			m.cut(r, r.until, r.ends.exceeded(m.name, r.until))
			m.tell(r.ends, at, true)
		}
	}
}

// each calls f with what the organisation and each of its tokens has spent that have a budget.
func (m *meter) each(f func(*spending)) {
	if m.org.budget.Limit > 0 {
		f(&m.org)
	}
	for _, s := range m.tokens {
		if s.budget.Limit > 0 {
			f(s)
		}
	}
}

// count adds to what has been spent on the day of a run.
func (m *meter) count(r *run, cost fleet.NanoUSD) {
	m.org.add(r.day, cost)
	r.token.add(r.day, cost)
}
