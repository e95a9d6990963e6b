package tenant

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Period is how often a budget begins anew.
type Period string

// The periods, in UTC. Weeks begin on Monday.
const (
	Monthly Period = "monthly"
	Weekly  Period = "weekly"
	Daily   Period = "daily"
)

// Periods lists all periods, for messages and completion.
func Periods() []Period { return []Period{Monthly, Weekly, Daily} }

// Window gives the period that a moment lies in: from its first instant to the first of the next, which is when a budget begins anew. Both are UTC.
func (p Period) Window(at time.Time) (from, to time.Time) {
	at = at.UTC()
	year, month, day := at.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	switch p {
	case Daily:
		return midnight, midnight.AddDate(0, 0, 1)
	case Weekly:
		sinceMonday := (int(at.Weekday()) + 6) % 7
		monday := midnight.AddDate(0, 0, -sinceMonday)
		return monday, monday.AddDate(0, 0, 7)
	default:
		first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return first, first.AddDate(0, 1, 0)
	}
}

// Budget is what may be spent in each period.
type Budget struct {
	Limit  fleet.NanoUSD // of one period; 0 = there is no budget
	Period Period        // empty = monthly
	Soft   bool          // going over it is told, and refuses nobody
	Raise  Raise         // the zero value = there is none
}

// Raise is another limit that stands in a budget's place for a while.
type Raise struct {
	Limit fleet.NanoUSD // of one period; above the budget's own
	Until time.Time     // UTC; from then on the budget's own limit holds again
	Why   string        // for people
}

// At gives the limit that is in force at a moment, 0 = none. A raise changes it without anybody doing anything: at Raise.Until.
func (b *Budget) At(at time.Time) fleet.NanoUSD {
	if b.Raised(at) {
		return b.Raise.Limit
	}
	return b.Limit
}

// Raised reports whether the raise stands at a moment.
func (b *Budget) Raised(at time.Time) bool { return b.Limit > 0 && at.Before(b.Raise.Until) }

// ParseUntil reads when something ends: a moment in RFC 3339, or a day, YYYY-MM-DD, to whose end in UTC it lasts.
func ParseUntil(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a day such as 2026-12-31 nor a moment in RFC 3339", s)
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// settle is that of Limits.
func (b *Budget) settle(now time.Time) error {
	if b.Period == "" {
		b.Period = Monthly
	}
	b.Raise.Until = b.Raise.Until.UTC().Truncate(time.Microsecond)
	switch {
	case b.Limit < 0:
		return &InvalidError{"budget_usd", fmt.Sprintf("%s is less than nothing; write an amount such as 100, or 0 for no budget", b.Limit)}
	case !slices.Contains(Periods(), b.Period):
		return &InvalidError{"budget_period", fmt.Sprintf("there is no period %q; use monthly, weekly or daily", b.Period)}
	case b.Limit == 0 && b.Soft:
		return &InvalidError{"budget_soft", "there is no budget that could be soft; give budget_usd too"}
	}
	return b.Raise.check(b.Limit, now)
}

func (r *Raise) check(limit fleet.NanoUSD, now time.Time) error {
	wrong := func(format string, args ...any) error {
		return &InvalidError{"budget_raise", fmt.Sprintf(format, args...)}
	}
	switch {
	case *r == Raise{}:
		return nil
	case limit == 0:
		return wrong("there is no budget to raise; give budget_usd first")
	case r.Limit <= limit:
		return wrong("%s is not more than the budget itself, %s; a raise is, and what is to stay is set without an end", r.Limit, limit)
	case r.Until.IsZero():
		return wrong("it has no end; say until when, such as 2026-12-31")
	case !r.Until.After(now):
		return wrong("it would have ended already, at %s; name a moment to come", r.Until.Format(time.RFC3339))
	case r.Why == "":
		return wrong("it has no reason; say why, for whoever reads it later")
	case !forPeople(r.Why, maxWhy):
		return wrong("as its reason use at most %d characters, none of them a control character", maxWhy)
	}
	return nil
}

const maxWhy = 200
