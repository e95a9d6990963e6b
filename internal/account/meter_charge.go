package account

import (
	"math/bits"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A request spends in this order: MaySpend when it is admitted, Spend when it has got its engine, Dispatched when its head is written there, and Proven,
// Bill once it has ended. Unspend undoes all of it at any time. What costs nothing is not on a meter, and is not refused either.

// MaySpend gives a *BudgetError where nothing is left of a budget that a request would be paid from.
func (c *Charge) MaySpend(r Rate) error {
	if c.token == nil || c.all.costless(r) {
		return nil
	}
	m := c.token.Org.metered()
	if !m.limited.Load() {
		return nil
	}
	return m.drawing(func() error { return m.mayJoin(&c.run, c.token.ID, time.Now()) })
}

// Spend puts the request on its organisation's meter; proven = its engine has proven itself before. The error is a *BudgetError where too little is left
// of a budget for its first microsecond. Until Bill or Unspend returns, spender may be told that a budget is used up; nil = it is only billed so.
func (c *Charge) Spend(r Rate, proven bool, spender Spender) error {
	if c.token == nil || c.all.costless(r) {
		return nil
	}
	c.run = run{spender: spender, rate: r, unit: r.unit(), least: max(c.all.cost(time.Microsecond, r.GPUs, r.Price), 1), proven: never}
	if proven {
		c.run.proven = 0
	}
	m := c.token.Org.metered()
	if m.all.quota == nil {
		return m.join(&c.run, c.token.ID, time.Now())
	}
	return m.drawing(func() error { return m.join(&c.run, c.token.ID, time.Now()) })
}

// Dispatched says when the request was sent to an engine, which decides the period that pays. What is said last counts.
func (c *Charge) Dispatched(at time.Time) {
	if c.run.meter != nil {
		c.run.meter.pay(&c.run, at, time.Time{}, time.Now())
	}
}

// Proven says from when on the request's engine had proven itself, where it had not before: the request is paid for from then on, and from its dispatch. It may be
// called from another goroutine, between Spend and the end of the request, which is Bill or Unspend.
func (c *Charge) Proven(at time.Time) {
	if c.run.meter != nil {
		c.run.meter.pay(&c.run, time.Time{}, at, time.Now())
	}
}

// Bill takes the request off the meter. It is paid for from one time (zero = it never came so far) to another, or to the one that Bill gives: the
// instant before at which a budget was used up.
func (c *Charge) Bill(dispatched, from, until time.Time) time.Time {
	if c.run.meter == nil || c.run.state == runBilled {
		return until
	}
	m := c.run.meter
	if m.all.quota != nil {
		m.stop(&c.run, dispatched, from, until)
		m.draw(func(leave map[Period]bool) (Period, bool) { return m.lacksFor(&c.run, until, leave) })
	}
	return m.bill(&c.run, dispatched, from, until)
}

// Unspend takes the request off the meter, if it is on it, and gives back what it has spent: nobody pays for it.
func (c *Charge) Unspend() {
	if c.run.meter != nil {
		c.run.meter.unbill(&c.run)
	}
}

// Left is what was left of its budgets when the request was admitted, joined its meter, or was billed, whichever came last; ok is false where it has none.
func (c *Charge) Left() (left fleet.NanoUSD, ok bool) { return c.run.remains, c.run.limited }

// closeRun ends a run as Settle does: what was billed stays so.
func (c *Charge) closeRun() {
	if c.run.state != runBilled {
		c.Unspend()
	}
	c.run = run{}
}

func (a *Accounts) costless(r Rate) bool { return a.cost == nil || r.GPUs <= 0 || r.Price <= 0 }

// unit is what an hour costs. What no uint64 holds is the most.
func (r Rate) unit() uint64 {
	over, unit := bits.Mul64(uint64(r.GPUs), uint64(r.Price))
	if over > 0 {
		return 1<<64 - 1
	}
	return unit
}
