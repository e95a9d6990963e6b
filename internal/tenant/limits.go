package tenant

import (
	"fmt"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Limits bound what an organisation or a token has at once and spends. A token's may be wider than its organisation's: both hold, the token's for its own
// requests, the organisation's for those of all its tokens together.
type Limits struct {
	RPM         int    // requests a minute; 0 = no limit
	Concurrency int    // requests at once; 0 = no limit
	Budget      Budget // Budget.Limit 0 = none
}

// LimitsChange says what of Limits changes. Nil fields stay; a zero value takes a limit away.
type LimitsChange struct {
	RPM         *int
	Concurrency *int
	Budget      *fleet.NanoUSD // of one period; a raise that is not above it any more ends
	Period      *Period        // empty = monthly
	Soft        *bool
	Raise       *Raise // the zero value ends the one that stands
}

// most is the largest number of requests that a limit may name: so many are none.
const most = math.MaxInt32

// after gives the limits that a change makes of these.
func (l Limits) after(c LimitsChange, now time.Time) (Limits, error) {
	b := &l.Budget
	if !b.Raised(now) {
		b.Raise = Raise{} // it has ended
	}
	set(&l.RPM, c.RPM)
	set(&l.Concurrency, c.Concurrency)
	set(&b.Limit, c.Budget)
	set(&b.Period, c.Period)
	set(&b.Soft, c.Soft)
	set(&b.Raise, c.Raise)
	if b.Limit == 0 && c.Soft == nil {
		b.Soft = false
	}
	if c.Raise == nil && (b.Limit == 0 || b.Raise.Limit <= b.Limit) {
		b.Raise = Raise{}
	}
	return l, l.settle(now)
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// settle fills in what is left to a default, and refuses what cannot be meant.
func (l *Limits) settle(now time.Time) error {
	for field, n := range map[string]int{"rpm": l.RPM, "concurrency": l.Concurrency} {
		if n < 0 || n > most {
			return &InvalidError{field, fmt.Sprintf("%d is out of range; write 1 to %d, or 0 for no limit", n, most)}
		}
	}
	return l.Budget.settle(now)
}

// limitColumns are those of both tables, in the order of values and into.
const limitColumns = "rpm, concurrency, budget_nano_usd, budget_period, budget_soft, raise_nano_usd, raise_until, raise_why"

// limitUpdates sets them to what an INSERT that meets its row has brought.
const limitUpdates = `rpm = excluded.rpm, concurrency = excluded.concurrency, budget_nano_usd = excluded.budget_nano_usd,
	budget_period = excluded.budget_period, budget_soft = excluded.budget_soft, raise_nano_usd = excluded.raise_nano_usd,
	raise_until = excluded.raise_until, raise_why = excluded.raise_why`

// values are the columns' as they are written.
func (l *Limits) values() []any {
	soft := 0
	if l.Budget.Soft {
		soft = 1
	}
	r := &l.Budget.Raise
	return []any{l.RPM, l.Concurrency, int64(l.Budget.Limit), string(l.Budget.Period), soft, int64(r.Limit), micros(given(r.Until)), r.Why}
}

// into is where the columns are scanned to.
func (l *Limits) into() []any {
	r := &l.Budget.Raise
	return []any{&l.RPM, &l.Concurrency, &l.Budget.Limit, &l.Budget.Period, &l.Budget.Soft, &r.Limit, (*moment)(&r.Until), &r.Why}
}
